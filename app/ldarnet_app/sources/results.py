"""The files of an analysis: its tables, and the profile matrices that its subsets are computed from."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ldarnet.tracks import open_track
from ldarnet_analysis.heatmaps import SavedMatrix
from ldarnet_analysis.result_tables import Results, file_name, read_results
from ldarnet_analysis.style import RUNGS, SITES
from ldarnet_app.file_cache import per_file

Stamp = tuple[tuple[str, int, int], ...]


class Places(NamedTuple):
    """The rows of a profile matrix: values float32 [rows, offsets], int64 [offsets], and what each row is about.

    `table` has a row for each of the matrix: row_id, chrom, cut and strand of the row, and site_id, site_row (where
    it is among the sites of its class), gene and locus of the site.
    """

    matrix: np.ndarray
    offsets: np.ndarray
    table: pd.DataFrame


def stamp_of(folder: Path) -> Stamp:
    """Names, sizes and times of the tables and matrices of a results folder: another stamp, other results.

    Raises ValueError for a folder that is not there.
    """
    if not folder.is_dir():
        raise ValueError(f"expected the results of `ldarnet align` in the folder {folder}, which is not there")
    files = [*folder.glob("*.tsv"), *folder.glob("run.json"), *folder.glob("matrices/*.npz")]
    stats = ((path, path.stat()) for path in sorted(files))
    return tuple((str(path.relative_to(folder)), stat.st_mtime_ns, stat.st_size) for path, stat in stats)


def read_analysis(folder: Path, stamp: Stamp) -> Results:
    """The tables of an analysis, kept until their stamp changes; ValueError, naming the file, for damaged ones."""
    return _read_analysis(folder, stamp)


def read_places(folder: Path, stamp: Stamp, site_class: str, rung: str, signal: str) -> Places | None:
    """The matrix of the sites of a class, or of their controls, and its rows; None where none is stored.

    Designed controls have none. The hard-cut rate is made of the raw matrix. Raises ValueError, naming the file, for
    a matrix that is damaged, of another class, or of sites that the tables do not list.
    """
    return _read_places(folder, stamp, site_class, rung, "residual" if signal == "residual" else "raw")


def classes_of(results: Results) -> list[str]:
    """Site classes in the order of the tests: `results.classes`, in a hundredth of its time for many profiles."""
    return list(dict.fromkeys([*results["tests"]["class"].unique(), *results["profiles"]["class"].unique()]))


def stored_rungs(results: Results, site_class: str, signal: str) -> list[str]:
    """Of the sites of a class (`SITES`) and of the rungs, in order: those that a profile matrix is stored of."""
    return [rung for rung in (SITES, *RUNGS) if _matrix_file(results.folder, site_class, rung, signal).is_file()]


@per_file(maxsize=4)
def contig_lengths(track: Path) -> Mapping[str, int]:
    """Lengths in bases of the contigs of a track."""
    with open_track(track) as opened:
        return {contig.name: contig.length_bp for contig in opened.contigs}


@per_file(maxsize=4)
def _read_analysis(folder: Path, stamp: Stamp) -> Results:
    results = read_results(folder)
    for table, column in (("sites", "site_id"), ("pairs", "pair_id")):
        ids = results[table][column]
        if ids.duplicated().any():
            twice = ids[ids.duplicated()].iloc[0]
            raise ValueError(f"{folder / table}.tsv: expected every {column} once, got {twice!r} again")
    taken: dict[str, str] = {}
    for name in classes_of(results):
        if taken.setdefault(file_name(name), name) != name:
            both = f"{taken[file_name(name)]!r} and {name!r}"
            raise ValueError(f"{folder / 'tests.tsv'}: classes {both} would both have files called {file_name(name)}")
    return results


@per_file(maxsize=12)
def _read_places(folder: Path, stamp: Stamp, site_class: str, rung: str, signal: str) -> Places | None:
    results = read_analysis(folder, stamp)
    saved = results.matrix(site_class, signal, rung)
    if saved is None:
        return None
    name = str(_matrix_file(folder, site_class, rung, signal))
    _check_subject(saved, {"class": site_class, "rung": rung, "signal": signal}, name)
    return Places(saved.matrix, saved.offsets, _rows_of(saved, results, site_class, rung, name))


def _matrix_file(folder: Path, site_class: str, rung: str, signal: str) -> Path:
    end = ".residual" if signal == "residual" else ""
    return folder / "matrices" / f"{file_name(site_class)}.{rung}{end}.npz"


def _rows_of(saved: SavedMatrix, results: Results, site_class: str, rung: str, name: str) -> pd.DataFrame:
    sites = results.of_class("sites", site_class)
    ids = pd.Index(saved.site_ids.astype(object))
    if rung == SITES:
        place, site_ids = sites.set_index("site_id"), ids
    else:
        pairs = results["pairs"]
        place = pairs[pairs["rung"] == rung].set_index("pair_id")
        site_ids = place["site_id"].reindex(ids)
    place_row = place.index.get_indexer(ids)
    site_row = pd.Index(sites["site_id"]).get_indexer(site_ids)
    unknown = np.flatnonzero((place_row < 0) | (site_row < 0))
    if unknown.size:
        table = "sites.tsv" if rung == SITES else "sites.tsv and pairs.tsv"
        raise ValueError(f"{name}: expected rows about {site_class} as {table} has them, got {ids[unknown[0]]!r}")
    columns = {"row_id": ids, "site_id": sites["site_id"].to_numpy()[site_row], "site_row": site_row}
    columns |= {column: place[column].to_numpy()[place_row] for column in ("chrom", "cut", "strand")}
    columns |= {column: sites[column].to_numpy()[site_row] for column in ("gene", "locus")}
    return pd.DataFrame(columns)


def _check_subject(saved: SavedMatrix, expected: Mapping[str, str], name: str) -> None:
    for key, value in expected.items():
        got = saved.provenance.get(key, value)
        if got != value:
            raise ValueError(f"{name}: expected a matrix of {key} {value!r}, got one of {got!r}")
