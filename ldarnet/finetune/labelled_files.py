"""Labelled sequences in files: CSV or TSV with a header, or FASTA with the label in the header; plain or gzip."""

import csv
import gzip
import io
import math
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ldarnet import vocab
from ldarnet.finetune.settings import Task
from ldarnet.genome.streams import GZIP_MAGIC

_LABEL = re.compile(r"(?:^|[\s|;])label=(\S+)")
_EXPECTED = {
    "classification": "a whole number, 0 or more",
    "multilabel": "0 or 1 for every label, with commas, semicolons or blanks between",
    "regression": "a number",
}


class Labelled(NamedTuple):
    """The records of a file, in its order."""

    path: Path
    names: list[str]
    """Of a column `name` or `id`, of the FASTA header, or else the number of the record, from 1."""
    sequences: list[np.ndarray]
    """ids, uint8"""
    labels: np.ndarray
    """As in `Examples`."""


class _Record(NamedTuple):
    where: str
    name: str
    sequence: str
    label: str


def read_labelled(
    path: Path,
    task: Task,
    *,
    sequence_column: str = "sequence",
    label_column: str = "label",
    num_classes: int | None = None,
) -> Labelled:
    """All records of a file; columns are found by name, whatever their order.

    Several columns that begin with the label column's name and a `_` make up a multi-label task. In FASTA the label
    stands as `label=1` in the header, or behind its last `|`. With `num_classes`, classes are 0 to one less. Raises
    ValueError naming file, line and record for what is not a sequence or not a label of the task, and OSError.
    """
    text = _text_of(path)
    if text.lstrip().startswith(">"):
        records = _fasta_records(path, text)
    else:
        records = _table_records(path, text, sequence_column, label_column)
    names, sequences, labels = [], [], []
    for record in records:
        try:
            ids = vocab.encode(record.sequence)
            if not ids.size:
                raise ValueError("expected bases, got an empty sequence")
            labels.append(parse_label(record.label, task))
            if num_classes is not None and labels[-1] >= num_classes:
                raise ValueError(f"expected a class, 0..{num_classes - 1}, got {labels[-1]}")
        except ValueError as error:
            raise ValueError(f"{path}: {record.where}: {error}") from None
        if labels[-1].shape != labels[0].shape:
            got = f"expected {labels[0].size} labels, as above, got {labels[-1].size}"
            raise ValueError(f"{path}: {record.where}: {got}")
        names.append(record.name)
        sequences.append(ids)
    if not names:
        raise ValueError(f"{path}: no sequences in it; expected a CSV, TSV or FASTA of labelled sequences")
    return Labelled(path, names, sequences, np.array(labels, dtype=_DTYPES[task]))


def parse_label(text: str, task: Task) -> np.ndarray:
    """A label, [] or [k], as a table or a FASTA header holds it; ValueError says what was expected."""
    text = text.strip()
    wrong = ValueError(f"expected a label ({_EXPECTED[task]}), got {text[:40]!r}" if text else "it has no label")
    if task == "classification":
        if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
            raise wrong
        return np.array(int(text))
    if task == "multilabel":
        parts = re.split(r"[\s,;]+", text.strip(",; "))
        if not all(part in ("0", "1") for part in parts):
            raise wrong
        return np.array([part == "1" for part in parts])
    try:
        value = float(text)
    except ValueError:
        raise wrong from None
    if not math.isfinite(value):
        raise wrong
    return np.array(value)


_DTYPES: dict[Task, type] = {"classification": np.int64, "multilabel": np.bool_, "regression": np.float32}


def _text_of(path: Path) -> str:
    data = path.read_bytes()
    if data.startswith(GZIP_MAGIC):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path}: expected complete gzip data ({error}); truncated download?") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected text, got a byte that is none at offset {error.start:,}") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _table_rows(path: Path, text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """Rows with the line each ends on; sequences may be longer than the csv module takes unasked."""
    limit = csv.field_size_limit(max(len(text), 1))
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    try:
        return [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise ValueError(f"{path}: line {reader.line_num}: no table that can be read: {error}") from None
    finally:
        csv.field_size_limit(limit)


def _table_records(path: Path, text: str, sequence_column: str, label_column: str) -> Iterator[_Record]:
    header = text.split("\n", 1)[0]
    rows = _table_rows(path, text, "\t" if "\t" in header else ",")
    if not rows or not rows[0][1]:
        return
    columns = [name.strip() for name in rows[0][1]]
    if repeated := sorted({name for name in columns if columns.count(name) > 1}):
        raise ValueError(f"{path}: line 1: expected every column once, got {', '.join(repeated)} more often")
    label_columns = [label_column] if label_column in columns else []
    label_columns = label_columns or [name for name in columns if name.startswith(f"{label_column}_")]
    if sequence_column not in columns or not label_columns:
        raise ValueError(
            f"{path}: line 1: expected a header with columns {sequence_column!r} and {label_column!r}, got "
            f"{', '.join(map(repr, (name[:40] for name in columns[:10])))}; other names can be given as options"
        )
    names = [name for name in ("name", "id") if name in columns and name not in (sequence_column, *label_columns)]
    number = 0
    for line, row in rows[1:]:
        if not any(field.strip() for field in row):
            continue
        number += 1
        where = f"line {line}"
        if len(row) != len(columns):
            raise ValueError(f"{path}: {where}: expected {len(columns)} fields, as in the header, got {len(row)}")
        fields = dict(zip(columns, row, strict=True))
        label = ",".join(fields[name].strip() or "?" for name in label_columns) if len(label_columns) > 1 else None
        yield _Record(
            where,
            fields[names[0]].strip() if names else str(number),
            fields[sequence_column].strip(),
            fields[label_columns[0]] if label is None else label,
        )


def _fasta_records(path: Path, text: str) -> Iterator[_Record]:
    header, start, parts = "", 0, list[str]()
    for number, line in enumerate([*text.splitlines(), ">"], start=1):
        if not line.startswith(">"):
            parts.append("".join(line.split()))
            continue
        if start:
            name, label = _split_header(header)
            where = f"line {start}, record {name[:60]!r}"
            if not label:
                raise ValueError(
                    f"{path}: {where}: it has no label; expected one as 'label=1' in the header, or behind its last '|'"
                )
            yield _Record(where, name, "".join(parts), label)
        header, start, parts = line[1:].strip(), number, []


def _split_header(header: str) -> tuple[str, str]:
    """Name and label, "" where there is none."""
    if found := _LABEL.search(header):
        rest, label = header, found[1]
    else:
        before, separator, last = header.rpartition("|")
        rest, label = (before, last.strip()) if separator else (header, "")
    return next(iter(rest.split()), ""), label
