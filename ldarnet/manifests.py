"""The manifests: where genomes, annotations, benchmarks and checkpoints come from, and under which terms.

One TOML file per kind, one table per entry. `checked = true` says that the file was downloaded from its
address and that size and checksum are those of that download; without it neither may be given, so that no
number here is a guess. What is not checked is verified with the checksum file of its publisher, where there is one.
"""

import re
import tomllib
from dataclasses import MISSING, dataclass, fields
from difflib import get_close_matches
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from ldarnet.manifest_values import mistake


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
    checked_on: str | None = None
    """The day of the download, 2026-03-01."""
    sha256: str | None = None
    num_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Download(Entry):
    """A file at an address; `checksums` is the address of the publisher's checksum file that lists it."""

    url: str
    checksums: str | None = None
    checksum_format: str | None = None
    save_as: str | None = None
    """File name, where the address does not end in one."""
    unpack: bool = False
    """Whether it is an archive (tar, zip) that is kept unpacked."""


@dataclass(frozen=True, kw_only=True)
class Genome(Download):
    """A genome sequence: the names of its assembly, and its contigs (in any order) where they are known."""

    assembly: str
    accession: str
    contigs: tuple[Contig, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Located(Download):
    """Transcripts, intervals or values on an assembly; `family` is short for the one of the genome at hand."""

    assembly: str
    coordinates: str
    family: str


@dataclass(frozen=True, kw_only=True)
class HubFiles(Entry):
    """Files of a Hugging Face repository: those whose path matches one of the patterns."""

    hub_id: str
    hub_kind: str
    files: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Checkpoint(Entry):
    """Published weights: a file of a Hugging Face repository, and the licence of the code that made it."""

    hub_id: str
    file: str
    code_licence: str


KINDS: dict[str, tuple[type[Entry], ...]] = {
    "genomes": (Genome,),
    "annotations": (Located,),
    "promoters": (Located,),
    "signals": (Located,),
    "motifs": (Download,),
    "benchmarks": (Download, HubFiles),
    "pretraining": (HubFiles,),
    "checkpoints": (Checkpoint,),
}


def load_manifest(kind: str) -> dict[str, Entry]:
    """The shipped entries of a kind ("genomes" -> `Genome`, "checkpoints" -> `Checkpoint`), by name.

    Raises ValueError for an unknown kind.
    """
    _classes_of(kind)
    return read_manifest(_folder() / f"{kind}.toml", kind)


@cache
def load_manifests() -> dict[str, tuple[str, Entry]]:
    """All shipped entries with their kinds, by name. Raises ValueError for a name in two manifests."""
    found: dict[str, tuple[str, Entry]] = {}
    for kind in KINDS:
        for name, entry in load_manifest(kind).items():
            if name in found:
                raise ValueError(f"{kind}.toml, entry {name!r}: the name is taken in {found[name][0]}.toml")
            found[name] = (kind, entry)
    return found


def find_entry(name: str) -> Entry:
    """The shipped entry of that name. Raises ValueError that lists similar names."""
    entries = load_manifests()
    if name in entries:
        return entries[name][1]
    by_lower = {each.lower(): each for each in entries}
    near = [by_lower[each] for each in get_close_matches(name.lower(), by_lower, n=3, cutoff=0.5)]
    hint = f"; similar names: {', '.join(near)}" if near else ""
    raise ValueError(f"no entry {name!r} in the manifests{hint}. `ldarnet data list` shows all of them")


def read_manifest(file: Path | Traversable, kind: str) -> dict[str, Entry]:
    """The entries of one manifest file, by name.

    Raises ValueError naming file, entry and key of the first mistake; OSError if it cannot be read.
    """
    classes = _classes_of(kind)
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:  # broken TOML and broken UTF-8
        raise ValueError(f"{file.name}: expected TOML in UTF-8: {error}") from error
    if not tables:
        raise ValueError(f"{file.name}: expected at least one [entry], found none")
    return {name: _entry(classes, name, table, file.name) for name, table in tables.items()}


def _classes_of(kind: str) -> tuple[type[Entry], ...]:
    if kind not in KINDS:
        raise ValueError(f"expected a manifest of {', '.join(KINDS)}, got {kind!r}")
    return KINDS[kind]


def _folder() -> Traversable:
    """Inside the package when installed from a wheel, beside it in a checkout."""
    installed = resources.files("ldarnet") / "data_manifests"
    return installed if installed.is_dir() else Path(__file__).resolve().parents[1] / "data_manifests"


def _entry(classes: tuple[type[Entry], ...], name: str, table: object, file: str) -> Entry:
    where = f"{file}, entry {name!r}"
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name, re.ASCII):  # it is the name of a folder too
        raise ValueError(f"{where}: expected a name of letters, digits, '.', '-' and '_'")
    if not isinstance(table, dict):
        raise ValueError(f"{where}: expected a table, got {table!r}")
    cls = classes[-1] if "hub_id" in table else classes[0]
    _check_keys(cls, table, where, but="name")
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    if "contigs" in table:
        values["contigs"] = _contigs(table["contigs"], where)
    entry = cls(name=name, **values)
    if {entry.sha256 is not None, entry.num_bytes is not None, entry.checked_on is not None} != {entry.checked}:
        expected = "all of" if entry.checked else "none of"
        raise ValueError(
            f"{where}, key 'checked': {str(entry.checked).lower()} expects {expected} sha256, num_bytes and checked_on"
        )
    if isinstance(entry, Download) and (entry.checksums is None) != (entry.checksum_format is None):
        raise ValueError(f"{where}: 'checksums' and 'checksum_format' go together")
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
        if expected := mistake(key, value):
            raise ValueError(f"{where}, key {key!r}: expected {expected}, got {value!r}")
