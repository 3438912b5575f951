"""Writing the tables of an analysis: each file whole or not at all."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ldarnet.tracks.atomic import write_text
from ldarnet_analysis.comparisons import MAX_T_COLUMNS, ODDS_COLUMNS, PROFILE_COLUMNS, Findings
from ldarnet_analysis.controls import PAIR_COLUMNS, Controls

UNMATCHED_COLUMNS = ["class", "rung", "site_id", "reason"]


def finding_tables(findings: Findings, controls: Mapping[tuple[str, str], Controls]) -> dict[str, pd.DataFrame]:
    """What was found, and the controls of each (class, rung), as tables by the names of their files."""
    unmatched = [
        drawn.unmatched.assign(rung=rung, **{"class": name})[UNMATCHED_COLUMNS]
        for (name, rung), drawn in controls.items()
    ]
    return {
        "pairs": joined([drawn.pairs for drawn in controls.values()], PAIR_COLUMNS),
        "balance": joined([drawn.balance for drawn in controls.values()], ("class", "rung", "covariate")),
        "unmatched": joined(unmatched, UNMATCHED_COLUMNS),
        "profiles": joined(findings.profiles, PROFILE_COLUMNS),
        "odds": pd.DataFrame(findings.odds, columns=ODDS_COLUMNS),
        "max_t": joined(findings.max_t, MAX_T_COLUMNS),
    }


def joined(tables: Sequence[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    """The tables one below the other; an empty one with these columns where there are none."""
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(columns))


def write_results(folder: Path, tables: Mapping[str, pd.DataFrame], record: Mapping[str, Any]) -> None:
    """Write NAME.tsv for every table, and run.json."""
    for name, table in tables.items():
        write_text(folder / f"{name}.tsv", table.to_csv(sep="\t", index=False, na_rep="nan", float_format="%.6g"))
    write_text(folder / "run.json", json.dumps(record, indent=2, default=str) + "\n")
