"""The file beside a track that says how it was made, read with care: anybody may have written or edited it."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ldarnet.genome import Contig, open_genome
from ldarnet_analysis.json_object import read_object
from ldarnet_app.file_cache import per_file

NOT_RECORDED = "not recorded"
MAX_BYTES = 100 << 20
MAX_LISTED = 5


def sidecar_of(track: Path) -> Path:
    """probs.bw -> probs.bw.json"""
    return track.with_name(f"{track.name}.json")


def read_sidecar(track: Path) -> dict[str, Any] | None:
    """What the sidecar of a track says, None where there is none.

    Raises ValueError for one that is no JSON object, OSError for one that cannot be read.
    """
    path = sidecar_of(track)
    if not path.is_file():
        return None
    return _read(path)


@per_file(maxsize=16)
def _read(path: Path) -> dict[str, Any]:
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path}: expected a sidecar of at most {MAX_BYTES >> 20} MB, got a larger file")
    return read_object(path, "`ldarnet-boundaries`")


def part(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object within a record; empty where there is none."""
    found = record.get(name)
    return found if isinstance(found, dict) else {}


def command_of(record: Mapping[str, Any]) -> str:
    """The command that wrote a record, as it can be typed."""
    command = record.get("command")
    return shlex.join(map(str, command)) if isinstance(command, list) and command else f"command {NOT_RECORDED}"


def provenance_rows(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was done, in reading order; what the record does not say is `NOT_RECORDED`."""
    model, settings = part(record, "model"), part(record, "settings")
    skipped = part(record, "without_value")
    return [
        ("date", _text(record.get("started"))),
        ("model", _text(model.get("name"))),
        ("model source", _text(model.get("source"))),
        ("model sha256", _text(model.get("sha256"))),
        *((f"model {key}", _text(text)) for key, text in part(model, "notes").items()),
        ("FASTA", _text(part(record, "fasta").get("name"))),
        ("regions", "the whole FASTA" if record.get("regions", "") is None else _listed(record.get("regions"))),
        ("strand", _text(settings.get("strand"))),
        ("window (bases)", _text(settings.get("window_bp"))),
        ("halo (bases)", _text(settings.get("halo_bp"))),
        ("stage", _text(settings.get("stage"))),
        ("dtype", _text(settings.get("dtype"))),
        ("device", _text(settings.get("device"))),
        ("decimals stored", _text(settings.get("decimals"))),
        ("bases asked for", _text(record.get("bases"))),
        ("bases with a value", _text(record.get("values"))),
        *((f"without a value: {reason}", _text(count)) for reason, count in skipped.items()),
        ("bases per second", _text(record.get("bases_per_second"))),
        ("versions", ", ".join(f"{key} {text}" for key, text in part(record, "versions").items()) or NOT_RECORDED),
        ("notes", _listed(record.get("notes")) or "none"),
    ]


def _text(value: object) -> str:
    if value is None:
        return NOT_RECORDED
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _listed(value: object) -> str:
    return "; ".join(map(str, value)) if isinstance(value, list) else _text(value)


def contig_table(record: Mapping[str, Any]) -> pd.DataFrame:
    """Columns name, length, md5, N, IUPAC, in the order of the record; None = not recorded."""
    contigs = part(record, "fasta").get("contigs")
    rows = [each for each in contigs if isinstance(each, dict)] if isinstance(contigs, list) else []
    rows = [each for each in rows if isinstance(each.get("name"), str)]
    names = ["name", "length", "md5", "N", "IUPAC"]
    return pd.DataFrame([[each.get(name) for name in names] for each in rows], columns=names)


def disagreements(recorded: pd.DataFrame, track: Sequence[Contig], fasta: Sequence[Contig]) -> list[str]:
    """Sentences on names and lengths in which sidecar (`contig_table`), track and FASTA differ; [] = they agree."""
    found = []
    of_fasta = dict(fasta)
    if len(recorded):
        of_record = dict(zip(recorded["name"], recorded["length"], strict=True))
        found += _differences("the sidecar", of_record, "the FASTA", of_fasta)
        if missing := [name for name in of_fasta if name not in of_record]:
            found.append(f"contigs of the FASTA that the sidecar does not have: {shortened(missing)}")
    return found + _differences("the track", dict(track), "the FASTA", of_fasta)


def changed_contigs(recorded: pd.DataFrame, md5_of: Mapping[str, str]) -> list[str]:
    """Names of contigs whose bases are not those that the track was made from, by MD5, of those both have one of."""
    return [
        name
        for name, md5 in zip(recorded["name"], recorded["md5"], strict=True)
        if md5 and name in md5_of and md5 != md5_of[name]
    ]


@per_file(maxsize=2)
def fasta_checksums(fasta: Path) -> Mapping[str, str]:
    """MD5 (M5 of SAM) by contig; a .2bit is read through for them."""
    with open_genome(fasta) as genome:
        return {contig.name: genome.survey(contig.name).md5 for contig in genome.contigs}


def _differences(one: str, of_one: Mapping[str, object], other: str, of_other: Mapping[str, object]) -> list[str]:
    found = []
    if missing := [name for name in of_one if name not in of_other]:
        found.append(f"contigs of {one} that {other} does not have: {shortened(missing)}")
    if unequal := [name for name in of_one if name in of_other and of_one[name] != of_other[name]]:
        lengths = [f"{name} ({_text(of_one[name])} and {_text(of_other[name])} bases)" for name in unequal]
        found.append(f"contigs whose length differs between {one} and {other}: {shortened(lengths)}")
    return found


def shortened(names: Sequence[object]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - MAX_LISTED:,} more" if len(names) > MAX_LISTED else ""
    return ", ".join(map(str, names[:MAX_LISTED])) + more
