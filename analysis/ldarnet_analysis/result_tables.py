"""The files of an analysis, read back and checked before anything is drawn from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import Any, NamedTuple

import pandas as pd

from ldarnet_analysis.balance import BALANCE_COLUMNS
from ldarnet_analysis.controls import PAIR_COLUMNS
from ldarnet_analysis.density import DENSITY_COLUMNS
from ldarnet_analysis.heatmaps import SavedMatrix, load_matrix
from ldarnet_analysis.json_object import read_object
from ldarnet_analysis.logos import LOGO_COLUMNS
from ldarnet_analysis.primary import STATUSES, TEST_COLUMNS
from ldarnet_analysis.r2_plot import R2_COLUMNS
from ldarnet_analysis.sites import SITE_COLUMNS
from ldarnet_analysis.style import LOOKS, SIGNALS, SITES


class _Table(NamedTuple):
    columns: tuple[str, ...]
    is_needed: bool = True


_NAMES = {"class", "rung", "signal", "covariate", "status", "reason", "matching"}
_PLACES = {"site_id", "pair_id", "chrom", "strand", "locus", "gene", "position_status", "height_status", "track"}
_TABLES: Mapping[str, _Table] = MappingProxyType(
    {
        "sites": _Table(tuple(SITE_COLUMNS)),
        "pairs": _Table(tuple(PAIR_COLUMNS)),
        "balance": _Table(tuple(BALANCE_COLUMNS)),
        "profiles": _Table(("class", "rung", "signal", "offset", "mean", "lo", "hi", "n_sites", "n_loci")),
        "tests": _Table(tuple(TEST_COLUMNS)),
        "odds": _Table(("class", "rung", "odds_ratio", "lo", "hi", "site_share", "control_share", "status"), False),
        "peaks": _Table(("class", "signal", "offset", "offset_lo", "offset_hi", "height", "lo", "hi"), False),
        "r2": _Table(tuple(R2_COLUMNS), False),
        "density": _Table(tuple(DENSITY_COLUMNS), False),
        "unmatched": _Table(("class", "rung", "site_id", "reason"), False),
        "logos": _Table(tuple(LOGO_COLUMNS), False),
    }
)


@dataclass(frozen=True)
class Results:
    """Result tables by name (`results["tests"]`), those that an analysis need not have empty, and run.json."""

    folder: Path
    run: dict[str, Any]
    tables: Mapping[str, pd.DataFrame]

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self.tables[name]

    def of_class(self, name: str, site_class: str) -> pd.DataFrame:
        """The rows of a table that are about a class."""
        table = self.tables[name]
        return table[table["class"] == site_class]

    @property
    def classes(self) -> list[str]:
        """Site classes in the order of the tests."""
        return list(dict.fromkeys([*self["tests"]["class"], *self["profiles"]["class"]]))

    @property
    def command(self) -> list[str]:
        """The command that made the analysis, without where on a machine the program and its files lay."""
        recorded = self.run.get("command")
        return [_without_folders(str(each)) for each in recorded] if isinstance(recorded, list) else []

    @property
    def windows(self) -> dict[str, tuple[int, int]]:
        """Offsets (first, last) that the primary value of a class is the mean of, as run.json's panel says."""
        found = {}
        panel = self.run.get("panel")
        for entry in panel if isinstance(panel, list) else []:
            window = entry.get("test_window") if isinstance(entry, dict) else None
            if isinstance(window, list) and len(window) == 2 and all(isinstance(each, int) for each in window):
                found[str(entry.get("name"))] = (window[0], window[1])
        return found

    @property
    def scored_classes(self) -> frozenset[str]:
        """Classes that are motifs given as matrices: their same-kmer controls share the score, not the letters."""
        panel = self.run.get("panel")
        entries = [entry for entry in panel if isinstance(entry, dict)] if isinstance(panel, list) else []
        motif_of = {str(entry.get("name")): entry.get("motif") for entry in entries}
        return frozenset(
            name for name, motif in motif_of.items() if isinstance(motif, dict) and motif.get("p_value") is not None
        )

    def matrix(self, site_class: str, signal: str = "raw", rung: str = SITES) -> SavedMatrix | None:
        """The profile matrix of a class; None if the analysis has none. Raises ValueError for a damaged one."""
        end = "" if signal == "raw" else f".{signal}"
        path = self.folder / "matrices" / f"{file_name(site_class)}.{rung}{end}.npz"
        return load_matrix(path) if path.is_file() else None


def read_results(folder: Path) -> Results:
    """The result files in a folder.

    Raises ValueError, naming file and row, for tables that are missing, lack a column, hold text where a number is
    expected or a rung, signal or status that does not exist, and for a run.json that is no JSON object.
    """
    tables = {name: read_table(folder, name) for name in _TABLES}
    return Results(folder, read_run(folder), MappingProxyType(tables))


def read_run(folder: Path) -> dict[str, Any]:
    """What run.json says of an analysis. Raises ValueError where it is missing or no JSON object."""
    return read_object(folder / "run.json", "ldarnet align")


def file_name(site_class: str) -> str:
    """A class as part of a file name: letters, digits, `-`, `_` and `.`, all else replaced by `_`."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in site_class)


def _without_folders(argument: str) -> str:
    """The last part of a path that starts at the root, at home or further up; anything else as it is."""
    option, equals, value = argument.rpartition("=") if argument.startswith("--") else ("", "", argument)
    return option + equals + (PurePath(value).name if value.startswith(("/", "~", "..")) else value)


def read_table(folder: Path, name: str) -> pd.DataFrame:
    """One table of `read_results`, checked as there."""
    path, expected = folder / f"{name}.tsv", _TABLES[name]
    if not path.is_file():
        if expected.is_needed:
            raise ValueError(f"expected the table {path.name} in {path.parent}, which is not there")
        return pd.DataFrame(columns=list(expected.columns))
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, encoding="utf-8")
    except ValueError as error:
        raise ValueError(f"{path}: expected tab-separated text with a header line: {error}") from error
    if missing := [column for column in expected.columns if column not in table.columns]:
        raise ValueError(f"{path}: expected the columns {', '.join(expected.columns)}; missing: {', '.join(missing)}")
    for column in expected.columns:
        if column not in _NAMES | _PLACES:
            table[column] = _numbers(table[column], path)
    for column, known in (("rung", LOOKS), ("signal", SIGNALS)):
        if column in expected.columns:
            _check_known(table[column], list(known), path)
    if name == "tests":
        _check_known(table["status"], list(STATUSES), path)
    return table


def _numbers(column: pd.Series, path: Path) -> pd.Series:
    is_missing = column.isin(["", "nan", "NaN", "NA"])
    numbers = pd.to_numeric(column.mask(is_missing), errors="coerce")
    wrong = column[numbers.isna() & ~is_missing]
    if len(wrong):
        raise ValueError(
            f"{path}, row {int(wrong.index[0]) + 1}: expected a number as {column.name}, got {wrong.iloc[0]!r}"
        )
    return numbers


def _check_known(column: pd.Series, known: list[str], path: Path) -> None:
    wrong = column[~column.isin(known)]
    if len(wrong):
        where = f"{path}, row {int(wrong.index[0]) + 1}"
        raise ValueError(f"{where}: expected as {column.name} one of {', '.join(known)}, got {wrong.iloc[0]!r}")
