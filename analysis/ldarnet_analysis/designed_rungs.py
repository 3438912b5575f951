"""Rungs that need new sequences: design them, have the model run on them, read its track back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ldarnet import vocab
from ldarnet.genome import Genome
from ldarnet.tracks import Track
from ldarnet_analysis.crossfit import CrossFit
from ldarnet_analysis.design_files import write_design
from ldarnet_analysis.designs import NATIVE, Design, design, join_designs, record_pairs
from ldarnet_analysis.kmer_table import KmerLookup
from ldarnet_analysis.profiles import profile_matrix

RunModel = Callable[[Path, Path], None]
"""Writes the boundary track of a FASTA: (fasta, track)."""


@dataclass(frozen=True)
class ClassDesigns:
    """The designs of one site class by rung, and the rungs that could not be designed with the reason."""

    sites: pd.DataFrame
    by_rung: dict[str, Design]
    impossible: dict[str, str]


def design_class(
    sites: pd.DataFrame,
    genome: Genome,
    rungs: Sequence[str],
    window_bp: int,
    *,
    matched: pd.DataFrame | None,
    kind: str | None = None,
    seed: int,
) -> ClassDesigns:
    """Windows for every rung asked for; `matched` are the pairs that context-swap takes contexts from.

    `kind` is what the sites are, by default their class.
    """
    by_rung, impossible = {}, {}
    for rung in rungs:
        try:
            made = design(rung, sites, genome, window_bp, pairs=matched, kind=kind, seed=seed)
        except ValueError as error:
            impossible[rung] = str(error)
            continue
        if made.records:
            by_rung[rung] = made
        else:
            impossible[rung] = "; ".join(made.notes) or "no site could be designed"
    return ClassDesigns(sites, by_rung, impossible)


def run_designs(classes: Mapping[str, ClassDesigns], folder: Path, run_model: RunModel) -> Path | None:
    """Write all designs as one FASTA and table into `folder`, run the model, return its track (None: no designs)."""
    designs = [made for each in classes.values() for made in each.by_rung.values()]
    if not designs:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    fasta, track = folder / "designs.fa", folder / "designs.bw"
    write_design(join_designs(designs), fasta, folder / "designs.tsv")
    run_model(fasta, track)
    return track


@dataclass(frozen=True)
class RungMatrices:
    """Matrices of one designed rung by signal: of the native windows and of the changed ones; rows by site."""

    sites: pd.DataFrame
    """The sites that have records, in the order of the native rows."""
    signals: dict[str, tuple[np.ndarray, np.ndarray]]
    pair_rows: np.ndarray


def read_rung(
    made: Design,
    sites: pd.DataFrame,
    track: Track,
    offsets: np.ndarray,
    expectation: KmerLookup | CrossFit | None,
) -> RungMatrices:
    """Values of the native and the changed records of a design, raw and (with a look-up) residual."""
    table = record_pairs(made.table)
    native, changed = table[table["rung"] == NATIVE], table[table["rung"] != NATIVE]
    order = sites.set_index("site_id").loc[native["site_id"]].reset_index()
    row_of = pd.Series(np.arange(len(native)), index=native["site_id"])
    signals = {"raw": (profile_matrix(track, native, offsets), profile_matrix(track, changed, offsets))}
    if expectation is not None:
        place_of = order.set_index("site_id")[["chrom", "cut"]]
        ids_of = dict(made.records)
        expected = [_expected(rows, place_of, ids_of, offsets, expectation) for rows in (native, changed)]
        raw_native, raw_changed = signals["raw"]
        signals["residual"] = (raw_native - expected[0], raw_changed - expected[1])
    return RungMatrices(order, signals, row_of.loc[changed["site_id"]].to_numpy())


def _expected(
    rows: pd.DataFrame,
    place_of: pd.DataFrame,
    ids_of: Mapping[str, np.ndarray],
    offsets: np.ndarray,
    expectation: KmerLookup | CrossFit,
) -> np.ndarray:
    """What the look-up that did not see the site expects of its records: float32 [rows, offsets]."""
    expected = np.full((len(rows), len(offsets)), np.nan, dtype=np.float32)
    for row, (record, cut, site_id) in enumerate(zip(rows["chrom"], rows["cut"], rows["site_id"], strict=True)):
        chrom, site_cut = place_of.loc[site_id]
        lookup = expectation if isinstance(expectation, KmerLookup) else expectation.lookup_at(chrom, int(site_cut))
        ids = ids_of[record]
        wanted = cut + offsets
        inside = (wanted >= 0) & (wanted < len(ids))
        expected[row, inside] = lookup.expected(np.minimum(ids, vocab.N))[wanted[inside]]
    return expected
