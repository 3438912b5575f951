"""Labelled sequences of a task's file: CSV, TSV or FASTA, or a parquet file of one task or of all."""

from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ldarnet import vocab
from ldarnet.finetune.labelled_files import parse_label, read_labelled

CSV_SUFFIXES = (".csv", ".tsv")
FASTA_SUFFIXES = (".fna", ".fa", ".fasta")
PARQUET_COLUMNS = ("sequence", "label")
TASK_COLUMN = "task"


class Rows(NamedTuple):
    """Sequences of a file with their classes."""

    sequences: list[np.ndarray]
    """Ids, uint8 [length] each."""
    labels: np.ndarray
    """int64 [n]"""


def layout_of(path: Path) -> str:
    """The suffix that tells the layout, in lower case and without .gz."""
    return (path.with_suffix("") if path.suffix.lower() == ".gz" else path).suffix.lower()


def read_rows(path: Path, num_classes: int, *, only_task: str | None = None, is_shared: bool = False) -> Rows:
    """The labelled sequences of one file, whose layout its suffix tells; `only_task` picks rows of a parquet file.

    `is_shared`: the parquet file holds several tasks, and must name them.

    Raises ValueError with file and line (or row) for a missing label, a letter that is no base, a missing column, a
    class that the task does not have, and for a file without sequences; OSError if it cannot be read.
    """
    if layout_of(path) == ".parquet":
        rows = _parquet_rows(path, only_task, is_shared, num_classes)
    else:
        labelled = read_labelled(path, "classification", num_classes=num_classes)
        rows = Rows(labelled.sequences, labelled.labels)
    if not rows.sequences:
        raise ValueError(f"{path}: expected labelled sequences, got none")
    return rows


def _parquet_rows(path: Path, only_task: str | None, is_shared: bool, num_classes: int) -> Rows:
    try:
        arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        raise ValueError(f"{path}: reading parquet needs pyarrow: pip install pyarrow") from None
    try:
        table = parquet.read_table(path)
    except arrow.ArrowInvalid as error:
        raise ValueError(f"{path}: no parquet file that can be read: {error}") from None
    names = table.column_names
    needed = (*PARQUET_COLUMNS, TASK_COLUMN) if is_shared else PARQUET_COLUMNS
    if missing := [name for name in needed if name not in names]:
        raise ValueError(f"{path}: expected columns {', '.join(needed)}, got {', '.join(names)}: no {missing[0]}")
    tasks = table.column(TASK_COLUMN).to_pylist() if TASK_COLUMN in names else [only_task] * table.num_rows
    texts, values = (table.column(name).to_pylist() for name in PARQUET_COLUMNS)
    sequences, labels = [], []
    for number, (task, text, value) in enumerate(zip(tasks, texts, values, strict=True), start=1):
        if only_task is None or task == only_task:
            try:
                sequences.append(_sequence(text))
                label = int(parse_label("" if value is None else str(value), "classification"))
                if label >= num_classes:
                    raise ValueError(f"expected a class, 0..{num_classes - 1}, got {label}")
                labels.append(label)
            except ValueError as error:
                raise ValueError(f"{path}, row {number}: {error}") from None
    return Rows(sequences, np.array(labels, dtype=np.int64))


def _sequence(text: Any) -> np.ndarray:  # noqa: ANN401 - whatever a column holds
    if not isinstance(text, str) or not text.strip():
        raise ValueError("expected bases, got an empty sequence")
    return vocab.encode(text.strip())
