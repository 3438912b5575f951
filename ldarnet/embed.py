"""Hidden states of bases and chunks, with the cuts they belong to, as one .npz file."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from ldarnet import vocab
from ldarnet.boundaries import default_settings
from ldarnet.checkpoint import load_model
from ldarnet.devices import pick_device
from ldarnet.genome import Contig, Genome, Interval, Window, open_genome, parse_regions, plan_windows
from ldarnet.genome.names import list_names
from ldarnet.model import LDARNet
from ldarnet.tracks.atomic import TrackError, check_inputs_stay, check_place, whole_file

LEVELS = ("base", "chunk")


class EmbedSummary(NamedTuple):
    """What was written."""

    num_bases: int
    num_chunks: int
    num_arrays: int


class States(NamedTuple):
    """Cuts (int64 [n], rising) and the hidden states that stand at them (float32 [n, width])."""

    cut: np.ndarray
    hidden: np.ndarray

    def between(self, start: int, end: int) -> "States":
        """Copies of those with start <= cut < end."""
        low, high = np.searchsorted(self.cut, (start, end))
        return States(self.cut[low:high].copy(), self.hidden[low:high].copy())


def write_embeddings(
    fasta: str,
    out: Path,
    *,
    model: str,
    regions: str | None,
    levels: Sequence[str],
    window_bp: int | None,
    halo_bp: int | None,
    device: str,
    max_gb: float,
    random_weights: bool,
    say: Callable[[str], None],
) -> EmbedSummary:
    """Write base and chunk states of a FASTA or its regions; `levels` holds "base", "chunk" or both.

    A base's state is what leaves the decoder; N has none. A chunk's state is what the network inside stage 0 makes
    of it; it stands at the cut where the chunk starts, N or not. Windows overlap as for a track: each base and each
    chunk comes from the window whose core holds its cut.
    """
    if out.suffix != ".npz":
        raise TrackError(f"--out {out}: expected a name ending in .npz")
    check_place(out)
    check_inputs_stay([out], (("--fasta", fasta), ("--regions", regions), ("--model", model)))
    with open_genome(fasta) as genome:
        for note in genome.notes:
            say(note)
        wanted = _wanted(genome, regions, say)
        if num_iupac_bp := sum(genome.survey(chrom).num_iupac_bp for chrom in {i.chrom for i in wanted}):
            say(f"{genome.name}: {num_iupac_bp:,} IUPAC codes are read as N")
        network = load_model(model, device=pick_device(device), random_weights=random_weights)
        network.config.check_reads_dna()
        window, halo = default_settings(network, window_bp=window_bp, halo_bp=halo_bp)
        _check_size(wanted, network, levels, max_gb)
        arrays: dict[str, np.ndarray] = {}
        inside: dict[str, list[Interval]] = {}
        for interval in wanted:
            inside.setdefault(interval.chrom, []).append(interval)
        for contig in genome.contigs:
            intervals = inside.get(contig.name, [])
            for interval, states in _embed(network, genome, contig, intervals, window, halo, levels).items():
                named = interval.chrom if regions is None else _name(interval)
                for level, pieces in states.items():
                    arrays[f"{named}/{level}_cut"] = np.concatenate([p.cut for p in pieces])
                    arrays[f"{named}/{level}_hidden"] = np.concatenate([p.hidden for p in pieces])
    _save(out, arrays)
    num_bases, num_chunks = (
        sum(len(a) for name, a in arrays.items() if name.endswith(f"/{level}_cut")) for level in LEVELS
    )
    return EmbedSummary(num_bases, num_chunks, len(arrays))


def _wanted(genome: Genome, regions: str | None, say: Callable[[str], None]) -> list[Interval]:
    """Disjoint intervals in the order of the genome."""
    if regions is None:
        return [Interval(c.name, 0, c.length_bp) for c in genome.contigs]
    parsed = parse_regions(regions, genome.contigs)
    if parsed.num_merged:
        names = list_names([_name(interval) for interval in parsed.intervals])
        say(
            f"{regions}: {parsed.num_merged:,} overlapping or touching regions were merged; the arrays have the names "
            f"of what came of it ({names}): a region's rows are in the one that holds it, by their cuts"
        )
    return list(parsed.intervals)


def _name(interval: Interval) -> str:
    return f"{interval.chrom}:{interval.start}-{interval.end}"


def _embed(
    model: LDARNet,
    genome: Genome,
    contig: Contig,
    intervals: Sequence[Interval],
    window_bp: int,
    halo_bp: int,
    levels: Sequence[str],
) -> dict[Interval, dict[str, list[States]]]:
    """Per interval (disjoint, sorted, on the contig) and level the states, in pieces; every window runs once."""
    pieces = {interval: {level: list[States]() for level in levels} for interval in intervals}
    starts, ends = [i.start for i in intervals], [i.end for i in intervals]
    for window in plan_windows(contig, window_bp, halo_bp) if intervals else ():
        first, last = bisect_right(ends, window.core_start), bisect_left(starts, window.core_end)
        if first < last:
            states = _run(model, genome, window)
            for interval in intervals[first:last]:
                for level in levels:
                    low, high = max(window.core_start, interval.start), min(window.core_end, interval.end)
                    pieces[interval][level].append(states[level].between(low, high))
    return pieces


def _run(model: LDARNet, genome: Genome, window: Window) -> dict[str, States]:
    ids = genome.ids(window.chrom, window.start, window.end)
    with torch.inference_mode():
        out = model(torch.from_numpy(ids)[None].to(next(model.parameters()).device))
    cuts = window.start + np.arange(len(ids))
    known = ids != vocab.N
    is_chunk = out.routing[0].cut[0].cpu().numpy()
    return {
        "base": States(cuts[known], out.last_hidden_state[0].float().cpu().numpy()[known]),
        "chunk": States(cuts[is_chunk], out.chunk_hidden_state[0][0].float().cpu().numpy()),
    }


def _check_size(wanted: Sequence[Interval], model: LDARNet, levels: Sequence[str], max_gb: float) -> None:
    num_bases = sum(i.end - i.start for i in wanted)
    # A chunk per base is the most there can be; one per three is what to expect.
    per_base = {"base": 1.0, "chunk": 1 / 3}
    num_bytes = {level: 8 + 4 * width for level, width in zip(LEVELS, model.config.d_model, strict=False)}
    gb = sum(num_bytes[level] * per_base[level] * num_bases for level in levels) / 1e9
    if not gb <= max_gb:
        raise ValueError(
            f"about {gb:.2g} GB of hidden states for {num_bases:,} bases, more than --max-gb {max_gb:g}: "
            "choose --regions, or --level chunk, or raise --max-gb"
        )


def _save(out: Path, arrays: dict[str, np.ndarray]) -> None:
    if not any(array.size for array in arrays.values()):
        raise TrackError(
            f"{out} was not written: what was asked for holds neither a base other than N nor the start of a chunk"
        )
    try:
        with whole_file(out) as file:
            # An array named like a parameter of savez would be lost; ours all hold a slash.
            np.savez(file, **arrays)  # type: ignore[arg-type]
    except OSError as error:
        raise TrackError(f"cannot write {out}: {error.strerror}") from None
