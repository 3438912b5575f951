"""What the manifests hold, as rows for the eye and as JSON for programs."""

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from ldarnet.data.cache import entry_folder, read_receipt, readable
from ldarnet.manifests import Checkpoint, Download, Entry, HubFiles, load_manifests

COLUMNS = ("name", "kind", "assembly", "here", "description")
_WORDS = {True: "yes", False: "no"}


def rows(root: Path, kind: str | None = None, assembly: str | None = None) -> list[dict[str, str]]:
    """One row per entry: `COLUMNS`, `here` being the size in the cache or empty."""
    found = []
    for name, (of_kind, entry) in load_manifests().items():
        of_assembly = str(getattr(entry, "assembly", ""))
        if kind not in (None, of_kind) or (assembly and assembly.lower() != of_assembly.lower()):
            continue
        receipt = read_receipt(root, name)
        here = readable(sum(file.num_bytes for file in receipt.files)) if receipt else ""
        values = (name, of_kind, of_assembly, here, entry.description)
        found.append(dict(zip(COLUMNS, values, strict=True)))
    return found


def as_table(found: Iterable[dict[str, str]]) -> str:
    """Rows under a heading, in columns that line up; the last one is as long as it is."""
    lines = [dict(zip(COLUMNS, COLUMNS, strict=True)), *found]
    widths = [max(len(line[column]) for line in lines) for column in COLUMNS[:-1]]
    return "\n".join(
        "  ".join(
            [*(line[column].ljust(width) for column, width in zip(COLUMNS, widths, strict=False)), line[COLUMNS[-1]]]
        )
        for line in lines
    )


def facts(entry: Entry, root: Path) -> dict[str, Any]:
    """All that is known of an entry, and where it lies; keys without a value are left out."""
    kind, _ = load_manifests()[entry.name]
    known: dict[str, Any] = {"name": entry.name, "kind": kind, "address": _address(entry)}
    for field in fields(entry):
        value = getattr(entry, field.name)
        if field.name not in ("name", "url", "contigs") and value is not None:
            known[field.name] = list(value) if isinstance(value, tuple) else value
    if contigs := getattr(entry, "contigs", ()):
        known["contigs"] = f"{len(contigs)}, {sum(each.length_bp for each in contigs):,} bases, with the md5 of each"
    known["verified_with"] = _verified_with(entry)
    if receipt := read_receipt(root, entry.name):
        known["path"] = str(entry_folder(root, entry.name) / receipt.main)
        known["fetched"] = receipt.fetched
        known["held_against"] = list(receipt.verified)
    return known


def as_lines(known: dict[str, Any]) -> str:
    """Facts as `key  value`, one line each."""
    width = max(map(len, known))
    shown = {key: _shown(value) for key, value in known.items()}
    return "\n".join(f"{key:<{width}}  {value}" for key, value in shown.items())


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return _WORDS[value]
    return "; ".join(map(str, value)) if isinstance(value, list) else str(value)


def _address(entry: Entry) -> str:
    if isinstance(entry, Download):
        return entry.url
    assert isinstance(entry, HubFiles | Checkpoint)
    folder = "datasets/" if isinstance(entry, HubFiles) and entry.hub_kind == "datasets" else ""
    return f"https://huggingface.co/{folder}{entry.hub_id}"


def _verified_with(entry: Entry) -> str:
    if entry.sha256:
        return "size and sha256 of the manifest"
    if not isinstance(entry, Download):
        return "the hub's own list of files: size, and sha256 or git's sha1"
    if entry.checksums:
        return f"the publisher's list of checksums ({entry.checksum_format})"
    return "nothing but the checksum inside gzip data: the publisher has no list that is known here"
