"""The tasks as a table for people."""

from pathlib import Path

from ldarnet.evaluate.locate import has_files
from ldarnet.evaluate.tasks import SUITES, TASKS, Task

HEADINGS = ("task", "about", "classes", "bases", "metric", "published splits", "files in --data")


def as_table(data: Path | None) -> str:
    """Every task in columns, where its files lie, and with a folder whether they are there."""
    rows = [HEADINGS, *(_row(task, data) for task in TASKS.values())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    suites = [f"{name}: {about}" for name, about in SUITES.items()]
    return "\n".join([*lines, "", *suites])


def _row(task: Task, data: Path | None) -> tuple[str, ...]:
    sizes = ", ".join(f"{name} {number:,}" for name, number in task.sizes.items())
    place = task.folder if data is None else "yes" if has_files(task, data) else f"no ({task.folder})"
    length = "various" if task.length_bp is None else str(task.length_bp)
    return task.name, task.about, str(task.num_classes), length, task.metric, sizes, place
