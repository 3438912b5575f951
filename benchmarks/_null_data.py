"""Null data for the calibration of tests: loci as they are, put where they have no reason to be."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.signal import lfilter

from ldarnet import vocab
from ldarnet.genome import open_genome
from ldarnet.tracks import open_track
from ldarnet_analysis.annotations import read_annotation
from ldarnet_analysis.splicing import splice_sites

OFFSETS = np.arange(-200, 201)
GC_FLANK_BP = 100
# Room for a profile at both ends of a stretch.
MARGIN_BP = 200
SYNTHETIC_BP = 2_000_000
NUM_SYNTHETIC_LOCI = 2000


@dataclass(frozen=True)
class Line:
    """The parts of all contigs that the track covers, end to end.

    `gc` is the number of G and C in the window about each cut, -1 where no control may lie; `by_gc` holds the others
    in the order of it, those with n of them from `firsts[n]` to `firsts[n + 1]`.
    """

    values: np.ndarray
    gc: np.ndarray
    stretches: np.ndarray
    by_gc: np.ndarray
    firsts: np.ndarray


class NullData(NamedTuple):
    """Profiles of sites [n, num_offsets] and of their controls [n, controls per site, num_offsets], and loci [n]."""

    sites: np.ndarray
    controls: np.ndarray
    loci: np.ndarray


def read_line(track_path, fasta_path):
    """The line of a track and the genome it was made on."""
    parts = []
    with open_track(Path(track_path)) as track, open_genome(fasta_path) as genome:
        for name, length_bp in track.contigs:
            values = track.values(name, 0, length_bp)
            known = np.flatnonzero(~np.isnan(values))
            if len(known):
                start, end = int(known[0]), int(known[-1]) + 1
                parts.append((values[start:end], genome.ids(name, start, end)))
    return line_of(parts)


def line_of(parts):
    """The line of stretches given as values and ids of their bases."""
    ends = np.cumsum([len(values) for values, _ in parts])
    stretches = np.stack([np.append(0, ends[:-1]), ends], axis=1)
    gc = np.concatenate([_gc(ids) for _, ids in parts])
    order = np.argsort(gc, kind="stable")
    firsts = np.searchsorted(gc[order], np.arange(2 * GC_FLANK_BP + 2))
    return Line(np.concatenate([values for values, _ in parts]), gc, stretches, order, firsts)


def _gc(ids):
    num_gc = np.append(0, np.cumsum(np.isin(ids, vocab.encode("GC"))))
    num_unknown = np.append(0, np.cumsum(ids == vocab.N))
    gc = np.full(len(ids), -1)
    cuts = np.arange(MARGIN_BP, len(ids) - MARGIN_BP)
    low, high = cuts - GC_FLANK_BP, cuts + GC_FLANK_BP
    gc[cuts] = np.where(num_unknown[high] == num_unknown[low], num_gc[high] - num_gc[low], -1)
    return gc


def synthetic_line(rng):
    """Cuts every 2 to 8 bases, the sharper the richer in GC the region is; regions change slowly."""
    region = lfilter([0.02], [1, -0.9995], rng.normal(size=SYNTHETIC_BP))
    region /= region.std()
    ids = np.where(rng.random(SYNTHETIC_BP) < 0.45 + 0.07 * np.tanh(region), 1, 0).astype(np.uint8)
    is_cut = np.zeros(SYNTHETIC_BP)
    cuts = np.cumsum(rng.integers(2, 9, size=SYNTHETIC_BP // 2))
    is_cut[cuts[cuts < SYNTHETIC_BP]] = 1
    local = lfilter([1], [1, -0.7], rng.normal(size=SYNTHETIC_BP))
    logit = 3 * is_cut - 2.5 + 0.6 * local + 0.4 * region
    return line_of([((1 / (1 + np.exp(-logit))).astype(np.float32), ids)])


def read_loci(annotation_path, max_span_bp):
    """Offsets of the donors of each locus from its first one, and how many loci are too long to be placed."""
    sites = splice_sites(read_annotation(annotation_path))
    cuts = sites[sites["class"] == "donor"].groupby("locus")["cut"]
    loci = [np.sort(each.to_numpy()) - each.min() for _, each in cuts]
    kept = [locus for locus in loci if locus[-1] < max_span_bp]
    return kept, len(loci) - len(kept)


def synthetic_loci(rng):
    """Loci of 1 to about 60 sites, 1.5 kb apart on average, as skewed as real ones."""
    sizes = rng.negative_binomial(1, 0.08, size=NUM_SYNTHETIC_LOCI) + 1
    return [np.append(0, np.cumsum(rng.geometric(1 / 1500, size=size - 1))) for size in sizes]


def draw(rng, line, loci, num_loci, rung, controls_per_site):
    """One null data set: loci drawn with replacement and placed at random; controls `random`, or of the same `gc`."""
    chosen = [loci[i] for i in rng.integers(len(loci), size=num_loci)]
    sizes = [len(locus) for locus in chosen]
    cuts = np.concatenate([_place(rng, line, locus) for locus in chosen])
    strands, names = np.repeat(rng.choice([-1, 1], num_loci), sizes), np.repeat(np.arange(num_loci), sizes)
    usable = line.gc[cuts] >= 0
    cuts, strands, names = cuts[usable], strands[usable], names[usable]
    controls = _controls(rng, line, cuts, rung, controls_per_site)
    control_strands = rng.choice([-1, 1], controls.shape)
    return NullData(_profiles(line, cuts, strands), _profiles(line, controls, control_strands), names)


def _place(rng, line, locus):
    mirrored = rng.random() < 0.5
    spacing = locus[-1] - locus if mirrored else locus
    room = np.maximum(np.diff(line.stretches, axis=1)[:, 0] - 2 * MARGIN_BP - locus[-1], 0)
    stretch = rng.choice(len(room), p=room / room.sum())
    return line.stretches[stretch, 0] + MARGIN_BP + rng.integers(room[stretch]) + spacing


def _controls(rng, line, cuts, rung, controls_per_site):
    if rung == "gc":
        low, high = line.firsts[line.gc[cuts]], line.firsts[line.gc[cuts] + 1]
    else:
        low, high = (np.full(len(cuts), line.firsts[i]) for i in (0, -1))
    return line.by_gc[rng.integers(low[:, None], high[:, None], size=(len(cuts), controls_per_site))]


def _profiles(line, cuts, strands):
    return line.values[cuts[..., None] + strands[..., None] * OFFSETS]
