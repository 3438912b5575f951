"""Published results, and the table that sets ours beside them."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pandas as pd

METRICS = {"mcc": "MCC", "accuracy": "accuracy", "macro_f1": "macro F1"}
_FILE = Path(__file__).parent / "published_results.tsv"


@cache
def published_results() -> pd.DataFrame:
    """Published means (x100) and standard deviations over folds: task model parameters metric mean sd folds source."""
    return pd.read_csv(_FILE, sep="\t", dtype={"parameters": str}, keep_default_na=False, na_values={"sd": ""})


def beside_published(results: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Headings and rows: a task each, then our models, then published ones; mean ± sd over folds, x100.

    A task of another suite stands beside the published task on the same sequences, whose name is in the second column.
    """
    published = published_results()
    tasks = list(dict.fromkeys(results["task"]))
    known = {task: results.loc[results["task"] == task, "published_as"].iloc[0] for task in tasks}
    shown = published[published["task"].isin(known.values())]
    ours, theirs = list(dict.fromkeys(results["model"])), list(dict.fromkeys(shown["model"]))
    sizes = dict(zip(shown["model"], shown["parameters"], strict=True))
    headings = ["task", "published", "metric", *ours, *(_with_size(name, sizes[name]) for name in theirs)]
    rows = []
    for task in tasks:
        mine = results[results["task"] == task]
        row = [task, known[task] if known[task] != task else "", METRICS[mine["metric"].iloc[0]]]
        row += [_mine(mine[mine["model"] == name]) for name in ours]
        row += [_theirs(shown[(shown["task"] == known[task]) & (shown["model"] == name)]) for name in theirs]
        rows.append(row)
    return headings, rows


def sources(results: pd.DataFrame) -> list[str]:
    """Where the published numbers shown beside these results come from."""
    published = published_results()
    shown = published[published["task"].isin(set(results["published_as"]))]
    return list(dict.fromkeys(shown["source"]))


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def percent(value: float, sd: float | None = None) -> str:
    """A share x100 with one digit, and its standard deviation; nothing for NaN."""
    if value != value:
        return ""
    spread = "" if sd is None or sd != sd else f" ± {100 * sd:.1f}"
    return f"{100 * value:.1f}".replace("-", "−") + spread


def _with_size(name: str, parameters: str) -> str:
    return f"{name} ({parameters})" if parameters else name


def _mine(rows: pd.DataFrame) -> str:
    return "" if rows.empty else percent(float(rows["value"].iloc[0]), float(rows["fold_sd"].iloc[0]))


def _theirs(rows: pd.DataFrame) -> str:
    return "" if rows.empty else percent(float(rows["mean"].iloc[0]) / 100, float(rows["sd"].iloc[0]) / 100)
