"""Finding the files of a task below a folder, and reading them as one set of examples with their published splits."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from ldarnet.evaluate.coordinates import Genomes, cut_regions, read_regions
from ldarnet.evaluate.readers import CSV_SUFFIXES, FASTA_SUFFIXES, layout_of, read_rows
from ldarnet.evaluate.tasks import TASKS, Task

DEV_NAMES = ("dev", "valid", "validation")
_NT_FOLDERS = frozenset(Path(task.folder).name for task in TASKS.values() if task.suite == "nt")
_PART = re.compile(r"-\d+-of-\d+\.")
_SUFFIXES = {"gue": (*CSV_SUFFIXES, ".parquet"), "nt": (*FASTA_SUFFIXES, ".parquet"), "gb": (".csv",)}


@dataclass(frozen=True)
class TaskData:
    """Everything that is there of a task, in the order of its files."""

    task: Task
    sequences: list[np.ndarray]
    """Ids, uint8 [length] each."""
    labels: np.ndarray
    """int64 [n]"""
    splits: np.ndarray
    """Published split of each: train, dev or test."""
    cut_from: tuple[str, ...]
    """Genomes that coordinates were looked up in."""
    missing: Counter[str]
    """Reason -> number of sequences that coordinates name and no genome at hand holds."""

    @property
    def split_names(self) -> tuple[str, ...]:
        """The published splits that are here, in their usual order."""
        here = set(self.splits.tolist())
        return tuple(name for name in ("train", "dev", "test") if name in here)

    def sizes(self) -> dict[str, int]:
        """Sequences per split."""
        return {name: int((self.splits == name).sum()) for name in self.split_names}

    def notes(self) -> list[str]:
        """What differs from the published task, in sentences."""
        found = self.sizes()
        notes = [
            f"{name}: {found.get(name, 0):,} sequences, published are {expected:,}"
            for name, expected in self.task.sizes.items()
            if found.get(name, 0) != expected
        ]
        if self.cut_from:
            notes.append(f"cut from {', '.join(self.cut_from)}; coordinates are of {self.task.assembly}")
        notes += [f"{number:,} regions left out: {reason}" for reason, number in self.missing.most_common()]
        if self.task.length_bp is not None:
            others = sum(len(sequence) != self.task.length_bp for sequence in self.sequences)
            if others:
                notes.append(f"{others:,} sequences are not {self.task.length_bp} bases long, as published ones are")
        return notes

    def sha256(self) -> str:
        """Digest of sequences, labels and splits, in order."""
        digest = hashlib.sha256()
        for sequence, label, split in zip(self.sequences, self.labels, self.splits, strict=True):
            digest.update(sequence.tobytes() + f"|{label}|{split};".encode())
        return digest.hexdigest()


def has_files(task: Task, data: Path) -> bool:
    """Whether any split of a task lies below the folder."""
    return bool(_split_files(task, data))


def read_task(task: Task, data: Path, genomes: Genomes) -> TaskData:
    """Read every split of a task that lies below `data`.

    Raises ValueError with file and line for what cannot be used, and where a split or a class has no sequence at all.
    """
    files = _split_files(task, data)
    if not files:
        raise ValueError(f"{task.name}: expected {_expected(task)} below {data}, found neither")
    sequences: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    splits: list[str] = []
    missing: Counter[str] = Counter()
    cut_from: list[str] = []
    for split, paths in files.items():
        before = len(sequences)
        for path in paths:
            if task.classes:
                number = task.classes.index(_class_name(path))
                genome = genomes.for_class(_class_name(path))
                cut_from += [] if genome is None else [genome.name]
                cut = cut_regions(read_regions(path), genome)
                sequences += cut.sequences
                labels.append(np.full(len(cut.sequences), number, dtype=np.int64))
                missing += cut.missing
            else:
                is_shared = layout_of(path) == ".parquet" and path.parent.name != Path(task.folder).name
                rows = read_rows(path, task.num_classes, only_task=task.folder, is_shared=is_shared)
                sequences += rows.sequences
                labels.append(rows.labels)
        splits += [split] * (len(sequences) - before)
    joined = np.concatenate(labels)
    absent = [_name(task, number) for number in range(task.num_classes) if number not in joined]
    if absent:
        reasons = "; ".join(f"{count:,} regions: {reason}" for reason, count in missing.most_common(5))
        raise ValueError(
            f"{task.name}: no sequence of class {', '.join(absent)}{f' ({reasons})' if reasons else ''}; "
            f"expected all {task.num_classes} classes"
        )
    return TaskData(task, sequences, joined, np.array(splits), tuple(dict.fromkeys(cut_from)), missing)


def _split_files(task: Task, data: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for split in task.splits:
        paths = _class_files(task, split, data) if task.classes else _sequence_files(task, split, data)
        if paths:
            found[split] = paths
    return found


def _class_files(task: Task, split: str, data: Path) -> list[Path]:
    folder = _one_folder(task, [each / split for each in _folders(task, data) if (each / split).is_dir()])
    if folder is None:
        return []
    paths = {_class_name(path): path for path in sorted(folder.iterdir()) if layout_of(path) == ".csv"}
    if set(paths) != set(task.classes):
        raise ValueError(
            f"{folder}: expected a table for each class ({', '.join(task.classes)}), got {', '.join(paths) or 'none'}"
        )
    return [paths[name] for name in task.classes]


def _sequence_files(task: Task, split: str, data: Path) -> list[Path]:
    names = DEV_NAMES if split == "dev" else (split,)
    holders = [(folder, _of_split(folder, names, task.suite)) for folder in _folders(task, data)]
    if task.suite == "nt":  # the suite as one table of all tasks
        shared = [each for each in (data, data / "data") if each.name not in _NT_FOLDERS]
        holders += [(each, _of_split(each, names, task.suite, ".parquet")) for each in shared]
    folder = _one_folder(task, [folder for folder, paths in holders if paths])
    return [] if folder is None else dict(holders)[folder]


def _of_split(folder: Path, names: Iterable[str], suite: str, suffix: str | None = None) -> list[Path]:
    suffixes = (suffix,) if suffix else _SUFFIXES[suite]
    if not folder.is_dir():
        return []
    paths = sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and layout_of(path) in suffixes and path.name.replace("-", ".").split(".")[0] in names
    )
    if len(paths) > 1 and not all(_PART.search(path.name) for path in paths):
        raise ValueError(f"{folder}: expected one file per split, got {paths[0].name} and {paths[1].name}")
    return paths


def _one_folder(task: Task, folders: list[Path]) -> Path | None:
    if len(folders) > 1:
        raise ValueError(f"{task.name}: found twice, in {' and '.join(map(str, folders[:2]))}; give a narrower --data")
    return folders[0] if folders else None


def _folders(task: Task, data: Path) -> list[Path]:
    """Folders below `data` whose path ends as that of the task; yeast marks of GUE lie in EMP, others do not."""
    wanted = Path(task.folder).parts
    ends = [folder for folder in _all_folders(data) if folder.parts[-len(wanted) :] == wanted]
    return [folder for folder in ends if task.suite != "nt" or folder.parent.name != "EMP"]


@cache
def _all_folders(data: Path) -> tuple[Path, ...]:
    if not data.is_dir():
        raise ValueError(f"--data {data}: expected a folder")
    return (data, *sorted(path for path in data.rglob("*") if path.is_dir()))


def _class_name(path: Path) -> str:
    return path.name.split(".")[0]


def _name(task: Task, number: int) -> str:
    return task.classes[number] if task.classes else str(number)


def _expected(task: Task) -> str:
    if task.classes:
        return f"{task.folder}/{{{','.join(task.splits)}}}/{{{','.join(task.classes)}}}.csv[.gz]"
    suffixes = ",".join(suffix.lstrip(".") for suffix in _SUFFIXES[task.suite])
    return f"{task.folder}/{{{','.join(task.splits)}}}.{{{suffixes}}}"
