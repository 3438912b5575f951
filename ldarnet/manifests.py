"""The manifests: where genomes and checkpoints come from, under which terms, and what they hold.

One TOML file per kind, one table per entry. `checked = true` says that the file was downloaded from its
address and that size and checksum are those of that download; without it neither may be given, so that no
number here is a guess.
"""

import re
import tomllib
from dataclasses import MISSING, dataclass, fields
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

MD5 = re.compile(r"[0-9a-f]{32}")
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Contig:
    """One sequence of a genome; `md5` is that of SAM's M5 tag: upper case, no line ends."""

    name: str
    length_bp: int
    md5: str


@dataclass(frozen=True)
class Entry:
    """What every entry states, whatever its kind."""

    name: str
    description: str
    licence: str
    citation: str
    checked: bool
    sha256: str | None = None
    num_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Genome(Entry):
    """A genome sequence: its address, assembly accession, and contigs in file order."""

    url: str
    assembly: str
    contigs: tuple[Contig, ...]


@dataclass(frozen=True, kw_only=True)
class Checkpoint(Entry):
    """Published weights: a file of a Hugging Face repository, and the licence of the code that made it."""

    hub_id: str
    file: str
    code_licence: str


KINDS: dict[str, type[Entry]] = {"genomes": Genome, "checkpoints": Checkpoint}


def load_manifest(kind: str) -> dict[str, Entry]:
    """The shipped entries of a kind ("genomes" -> `Genome`, "checkpoints" -> `Checkpoint`), by name.

    Raises ValueError for an unknown kind.
    """
    _class_of(kind)
    return read_manifest(_folder() / f"{kind}.toml", kind)


def read_manifest(file: Path | Traversable, kind: str) -> dict[str, Entry]:
    """The entries of one manifest file, by name.

    Raises ValueError naming file, entry and key of the first mistake; OSError if it cannot be read.
    """
    cls = _class_of(kind)
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:  # broken TOML and broken UTF-8
        raise ValueError(f"{file.name}: expected TOML in UTF-8: {error}") from error
    if not tables:
        raise ValueError(f"{file.name}: expected at least one [entry], found none")
    return {name: _entry(cls, name, table, file.name) for name, table in tables.items()}


def _class_of(kind: str) -> type[Entry]:
    if kind not in KINDS:
        raise ValueError(f"expected a manifest of {' or '.join(KINDS)}, got {kind!r}")
    return KINDS[kind]


def _folder() -> Traversable:
    """Inside the package when installed from a wheel, beside it in a checkout."""
    installed = resources.files("ldarnet") / "data_manifests"
    return installed if installed.is_dir() else Path(__file__).resolve().parents[1] / "data_manifests"


def _entry(cls: type[Entry], name: str, table: object, file: str) -> Entry:
    where = f"{file}, entry {name!r}"
    if not isinstance(table, dict):
        raise ValueError(f"{where}: expected a table, got {table!r}")
    _check_keys(cls, table, where, but="name")
    if "contigs" in table:
        table = {**table, "contigs": _contigs(table["contigs"], where)}
    entry = cls(name=name, **table)
    if (entry.sha256 is not None, entry.num_bytes is not None) != (entry.checked, entry.checked):
        expected = "both sha256 and num_bytes" if entry.checked else "neither sha256 nor num_bytes"
        raise ValueError(f"{where}, key 'checked': {str(entry.checked).lower()} expects {expected}")
    return entry


def _contigs(rows: list[Any], where: str) -> tuple[Contig, ...]:
    contigs: dict[str, Contig] = {}
    for number, row in enumerate(rows, start=1):
        here = f"{where}, contig {number}"
        if not isinstance(row, dict):
            raise ValueError(f"{here}: expected a table, got {row!r}")
        _check_keys(Contig, row, here)
        contig = Contig(**row)
        if contig.name in contigs:
            raise ValueError(f"{here}, key 'name': {contig.name!r} is taken by an earlier contig")
        contigs[contig.name] = contig
    return tuple(contigs.values())


def _check_keys(cls: type, table: dict[str, Any], where: str, *, but: str = "") -> None:
    """Hold the keys of a table against the fields of its class (all but the one that is no key)."""
    known = {field.name for field in fields(cls)} - {but}
    required = {field.name for field in fields(cls) if field.default is MISSING} - {but}
    if missing := sorted(required - table.keys()):
        raise ValueError(f"{where}: missing {', '.join(map(repr, missing))}")
    if unknown := sorted(table.keys() - known):
        raise ValueError(f"{where}: unknown key {unknown[0]!r}, expected one of {', '.join(sorted(known))}")
    for key, value in table.items():
        expected, is_good = _EXPECTED.get(key, _TEXT)
        if not is_good(value):
            raise ValueError(f"{where}, key {key!r}: expected {expected}, got {value!r}")


def _is_count(value: object) -> bool:
    return type(value) is int and value > 0  # bool is an int, but no count


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


_TEXT = ("some text", _is_text)
_EXPECTED = {
    "checked": ("true or false", lambda value: isinstance(value, bool)),
    "contigs": ("a list of contigs", lambda value: isinstance(value, list) and value),
    "hub_id": ("owner/name", lambda value: _is_text(value) and re.fullmatch(r"[\w.-]+/[\w.-]+", value)),
    "length_bp": ("a whole number above 0", _is_count),
    "md5": ("32 hexadecimal digits in lower case", lambda value: _is_text(value) and MD5.fullmatch(value)),
    "num_bytes": ("a whole number above 0", _is_count),
    "sha256": (
        "64 hexadecimal digits in lower case",
        lambda value: _is_text(value) and SHA256.fullmatch(value),
    ),
    "url": ("an https:// address", lambda value: _is_text(value) and value.startswith("https://")),
}
