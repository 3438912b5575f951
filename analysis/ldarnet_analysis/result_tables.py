"""The files of an analysis, read back and checked before anything is drawn from them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pandas as pd

from ldarnet_analysis.balance import BALANCE_COLUMNS
from ldarnet_analysis.controls import PAIR_COLUMNS
from ldarnet_analysis.density import DENSITY_COLUMNS
from ldarnet_analysis.heatmaps import SavedMatrix, load_matrix
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
    def windows(self) -> dict[str, tuple[int, int]]:
        """Offsets (first, last) that the primary value of a class is the mean of, as run.json's panel says."""
        found = {}
        panel = self.run.get("panel")
        for entry in panel if isinstance(panel, list) else []:
            window = entry.get("test_window") if isinstance(entry, dict) else None
            if isinstance(window, list) and len(window) == 2 and all(isinstance(each, int) for each in window):
                found[str(entry.get("name"))] = (window[0], window[1])
        return found

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
    tables = {name: _read_table(folder / f"{name}.tsv", table) for name, table in _TABLES.items()}
    return Results(folder, _read_run(folder / "run.json"), MappingProxyType(tables))


def file_name(site_class: str) -> str:
    """A class as part of a file name: letters, digits, `-`, `_` and `.`, all else replaced by `_`."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in site_class)


def _read_table(path: Path, expected: _Table) -> pd.DataFrame:
    if not path.is_file():
        if expected.is_needed:
            raise ValueError(f"expected the table {path.name} in {path.parent}, which is not there")
        return pd.DataFrame(columns=list(expected.columns))
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, encoding="utf-8")
    except ValueError as error:
        raise ValueError(f"{path}: expected tab-separated text with a header line: {error}") from error
    if missing := [name for name in expected.columns if name not in table.columns]:
        raise ValueError(f"{path}: expected the columns {', '.join(expected.columns)}; missing: {', '.join(missing)}")
    for name in expected.columns:
        if name not in _NAMES | _PLACES:
            table[name] = _numbers(table[name], path)
    for name, known in (("rung", LOOKS), ("signal", SIGNALS)):
        if name in expected.columns:
            _check_known(table[name], list(known), path)
    if path.stem == "tests":
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


def _read_run(path: Path) -> dict[str, Any]:
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"expected run.json in {path.parent}, which is not there") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected JSON: {error}") from error
    if not isinstance(run, dict):
        raise ValueError(f"{path}: expected a JSON object, got {type(run).__name__}")
    return run
