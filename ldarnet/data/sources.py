"""What has to be fetched for an entry: addresses, file names, and the checksums they are held against."""

import json
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from urllib.parse import quote, unquote, urlsplit

from ldarnet.data.addresses import PassingError, RangeRefused, mirrored, read_text
from ldarnet.data.checksums import Checksum, checksum_in_list
from ldarnet.data.errors import DataError
from ldarnet.manifests import Checkpoint, Download, Entry, HubFiles

HUB = "https://huggingface.co"


@dataclass(frozen=True)
class Source:
    """One file to fetch: `path` is its name (with folders) in the cache; None = nobody says."""

    url: str
    path: str
    num_bytes: int | None = None
    checksum: Checksum | None = None


def sources_of(entry: Entry, *, mirror: str | None = None, unverified: bool = False) -> tuple[Source, ...]:
    """The files of an entry, after a look at the publisher's checksums or at the hub's list of files.

    Raises DataError; with `unverified`, checksums that cannot be had are done without.
    """
    if isinstance(entry, Download):
        return (_download(entry, mirror, unverified),)
    if isinstance(entry, HubFiles):
        return _hub_files(entry.name, entry.hub_id, entry.hub_kind, entry.files, mirror)
    assert isinstance(entry, Checkpoint), "every entry has an address"
    return _hub_files(entry.name, entry.hub_id, "models", (entry.file,), mirror)


def file_name(entry: Download) -> str:
    """The name of the file of an entry."""
    return entry.save_as or unquote(PurePosixPath(urlsplit(entry.url).path).name)


def _download(entry: Download, mirror: str | None, unverified: bool) -> Source:
    url, name = mirrored(entry.url, mirror), _inside(file_name(entry), entry.url)
    if entry.sha256 is not None:
        return Source(url, name, entry.num_bytes, Checksum("sha256", entry.sha256, "the manifest of ldarnet"))
    if entry.checksums is None or entry.checksum_format is None:
        return Source(url, name)
    address = mirrored(entry.checksums, mirror)
    try:
        published = PurePosixPath(urlsplit(entry.url).path).name
        return Source(url, name, None, checksum_in_list(_text(address), published, entry.checksum_format, address))
    except DataError as error:
        if unverified:
            return Source(url, name)
        error.add_note(f"{entry.name}: its checksum cannot be had; --unverified goes on without it")
        raise


def _hub_files(name: str, hub_id: str, kind: str, patterns: tuple[str, ...], mirror: str | None) -> tuple[Source, ...]:
    """The hub lists every file with its SHA-256, or, where it is small, with the SHA-1 git gives it."""
    listing = mirrored(f"{HUB}/api/{kind}/{hub_id}/tree/main?recursive=true", mirror)
    folder = f"{HUB}/{'' if kind == 'models' else f'{kind}/'}{hub_id}/resolve/main"
    try:
        rows = [row for row in json.loads(_text(listing)) if row["type"] == "file"]
        found = [row for row in rows if any(fnmatchcase(row["path"], pattern) for pattern in patterns)]
        sources = []
        for row in found:
            algorithm, value = ("sha256", row["lfs"]["oid"]) if row.get("lfs") else ("git-sha1", row["oid"])
            url = mirrored(f"{folder}/{quote(row['path'])}", mirror)
            sources.append(Source(url, _inside(row["path"], listing), row["size"], Checksum(algorithm, value, listing)))
    except DataError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(f"{listing}: expected the hub's list of files, got something else ({error!r})") from None
    if not sources:
        raise DataError(
            f"{listing}: expected files like {', '.join(patterns)} for {name}, found none of {len(rows)} files"
        )
    return tuple(sources)


def _text(url: str) -> str:
    try:
        return read_text(url)
    except (PassingError, RangeRefused) as error:
        raise DataError(f"{url}: {error or 'no answer'}: try again later, or a mirror (--mirror)") from None


def _inside(path: str, where: str) -> str:
    """The path, unless it leads out of the folder it is for."""
    if not path or path.startswith("/") or "\\" in path or ".." in PurePosixPath(path).parts:
        raise DataError(f"{where}: {path!r} is no name of a file inside a folder, so it is not fetched")
    return path
