"""What a workflow reads, checked before anything runs: the table of genomes, and the settings (no torch)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Self

from ldarnet.manifests import KINDS, load_manifest

TABLE_NAME = "genomes.tsv"
REQUIRED = ("name", "fasta")
OPTIONAL = ("annotation", "model", "shards")
MODEL_SUFFIXES = (".safetensors", ".pt", ".pth")
MAX_SHARDS = 10_000

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class GenomeRow:
    """A genome of the table: absolute paths, or names of the manifests; None = nothing in that column."""

    name: str
    fasta: str
    annotation: str | None = None
    model: str | None = None
    shards: int | None = None
    """Jobs that its track is divided among."""

    @property
    def to_fetch(self) -> tuple[str, ...]:
        """Names of the manifests that `ldarnet data get` brings here."""
        return tuple(each for each in (self.fasta, self.annotation) if each and not Path(each).is_absolute())


@dataclass(frozen=True)
class Settings:
    """How every genome is run; the table may set model and shards for one."""

    model: str = "default"
    strand: str = "both-mean"
    device: str = "auto"
    threads: int = 2
    shards: int = 1
    panel: str = "default"
    designs: bool = True
    """Whether rungs of the null ladder that need new sequences are run, with the model of the track."""
    flank: int = 200
    seed: int = 1
    track_mem_mb: int = 6_000
    align_mem_mb: int = 8_000
    bases_per_second: int = 10_000
    """Least speed of a track, for the time that is asked of a cluster."""

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if type(value) is not each.type:
                raise ValueError(f"{each.name}: expected {_KIND_NAMES[each.type]}, got {value!r}")
            if each.type is int and value < _LEAST.get(each.name, 1):
                raise ValueError(f"{each.name}: expected {_LEAST.get(each.name, 1)} or more, got {value}")
            if each.type is str and not value.strip():
                raise ValueError(f"{each.name}: expected some text, got none")
        if self.strand not in ("+", "-", "both-mean"):
            raise ValueError(f"strand: expected +, - or both-mean, got {self.strand!r}")
        if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", self.device):
            raise ValueError(f"device: expected auto, cpu, cuda, cuda:N or mps, got {self.device!r}")
        if self.shards > MAX_SHARDS:
            raise ValueError(f"shards: expected at most {MAX_SHARDS:,}, got {self.shards:,}")

    @classmethod
    def of(cls, values: object, where: str, folder: Path) -> Self:
        """Settings from what a YAML file holds; files they name are relative to `folder`.

        Raises ValueError with the file (`where`) and the key that is unknown, or what a value should be.
        """
        if not isinstance(values, Mapping):
            raise ValueError(f"{where}: expected lines `key: value`, got {type(values).__name__}")
        known = [each.name for each in fields(cls)]
        for key in values:
            if key not in known:
                near = get_close_matches(str(key), known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"expected some of {', '.join(known)}"
                raise ValueError(f"{where}: unknown setting {str(key)!r}; {hint}")
        found: dict[str, Any] = dict(values)
        try:
            if is_model_file(found.get("model")):
                found["model"] = _existing_file("model", found["model"], folder)
            if isinstance(found.get("panel"), str) and found["panel"].endswith(".toml"):
                found["panel"] = _existing_file("panel", found["panel"], folder)
            return cls(**found)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None


_KIND_NAMES: dict[Any, str] = {str: "text", int: "a whole number", bool: "true or false"}
_LEAST = {"seed": 0, "flank": 10}


def is_model_file(model: object) -> bool:
    """Whether a model is given as a file, not as a preset or a hub id."""
    return isinstance(model, str) and model.endswith(MODEL_SUFFIXES)


def read_genomes(path: Path) -> dict[str, GenomeRow]:
    """The rows of a table by name, paths in it relative to its folder.

    Raises ValueError (file, line) for columns that are missing or unknown, names that are no plain names or taken,
    files that are not there, and a table without genomes.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read the table of genomes {path}: {getattr(error, 'strerror', error)}") from None
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip() and line[0] != "#"]
    if not lines:
        raise ValueError(f"{path}: expected a header line with {' and '.join(REQUIRED)}, got an empty table")
    header = _header(lines[0][1], f"{path}, line {lines[0][0]}")
    genomes: dict[str, GenomeRow] = {}
    line_of: dict[str, int] = {}
    for number, line in lines[1:]:
        where = f"{path}, line {number}"
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) != len(header):
            raise ValueError(
                f"{where}: expected {len(header)} tab-separated columns as in the header, got {len(cells)}"
            )
        try:
            row = make_row(dict(zip(header, cells, strict=True)), path.parent.absolute())
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        # The name is that of files, and many file systems take A and a for the same.
        if (taken := line_of.setdefault(row.name.lower(), number)) != number:
            raise ValueError(f"{where}: expected every name once, got {row.name!r}, which line {taken} has")
        genomes[row.name] = row
    if not genomes:
        raise ValueError(f"{path}: expected at least one genome below the header, got none")
    return genomes


def make_row(cells: Mapping[str, str], folder: Path) -> GenomeRow:
    """A checked row from the text of its columns; ValueError says which of them is wrong."""
    name = cells["name"]
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"expected a name of at most 100 letters, digits, '.', '_' and '-' that begins with a letter or digit, "
            f"got {name!r}"
        )
    annotation, model, shards = (cells.get(column) or None for column in OPTIONAL)
    if shards is not None and not (re.fullmatch(r"[1-9]\d{0,4}", shards, re.ASCII) and int(shards) <= MAX_SHARDS):
        raise ValueError(f"shards: expected a whole number from 1 to {MAX_SHARDS}, got {shards!r}")
    return GenomeRow(
        name=name,
        fasta=_file_or_entry("fasta", cells["fasta"], "genomes", folder),
        annotation=annotation and _file_or_entry("annotation", annotation, "annotations", folder),
        model=_existing_file("model", model, folder) if is_model_file(model) and model else model,
        shards=int(shards) if shards else None,
    )


def write_genomes(path: Path, rows: Iterable[GenomeRow]) -> None:
    """Write a table that `read_genomes` gives back."""
    lines = ["\t".join((*REQUIRED, *OPTIONAL))]
    for row in rows:
        cells = [row.name, row.fasta, row.annotation or "", row.model or "", str(row.shards or "")]
        if any(letter in cell for cell in cells for letter in "\t\n\r"):
            raise ValueError(f"{row.name}: expected paths without tabs and line ends, got {cells[1:]}")
        lines.append("\t".join(cells))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _header(line: str, where: str) -> list[str]:
    header = [column.strip() for column in line.split("\t")]
    expected = f"expected the tab-separated columns {', '.join(REQUIRED)} and, if wanted, {', '.join(OPTIONAL)}"
    if missing := [column for column in REQUIRED if column not in header]:
        raise ValueError(f"{where}: {expected}; missing {', '.join(missing)}, got {', '.join(map(repr, header))}")
    if unknown := [column for column in header if column not in REQUIRED + OPTIONAL]:
        raise ValueError(f"{where}: {expected}; got {', '.join(map(repr, unknown))} too")
    if len(set(header)) < len(header):
        raise ValueError(f"{where}: expected every column once, got {', '.join(map(repr, header))}")
    return header


def _file_or_entry(column: str, text: str, kind: str, folder: Path) -> str:
    if not text:
        raise ValueError(f"{column}: expected a file, got none")
    path = folder / text
    if path.is_file():
        return str(path)
    entries = list(load_manifest(kind)) if kind in KINDS else []
    if text in entries:
        return text
    names = f", and no such name in the manifests ({', '.join(entries)})" if entries else ""
    found = "a folder" if path.is_dir() else "no such file"
    raise ValueError(f"{column}: expected a file{' or a name of the manifests' if entries else ''}, got {text!r}: "
                     f"{found} (paths are relative to {folder}){names}")  # fmt: skip


def _existing_file(what: str, text: str, folder: Path) -> str:
    path = folder / text
    if not path.is_file():
        raise ValueError(f"{what}: expected a file, got {text!r}: no such file (paths are relative to {folder})")
    if "{" in str(path) or "}" in str(path):
        raise ValueError(
            f"{what}: expected a path without braces, which mean something in a workflow, got {str(path)!r}"
        )
    return str(path)
