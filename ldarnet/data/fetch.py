"""An entry of the manifests into the cache, and a second look at what lies there."""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ldarnet.data.cache import KeptFile, Receipt, entry_folder, locked, read_receipt, write_receipt
from ldarnet.data.checksums import check, checksum_of
from ldarnet.data.sources import Source, sources_of
from ldarnet.data.transfer import Say, download
from ldarnet.manifests import Download, Entry


@dataclass(frozen=True, kw_only=True)
class Fetching:
    """How things are fetched, whatever they are."""

    root: Path
    say: Say
    mirror: str | None = None
    unverified: bool = False
    """Go on where a publisher's checksum cannot be had; one that does not agree is an error all the same."""
    again: bool = False
    show_progress: bool = False
    wait: Callable[[float], object] = time.sleep


def get(entry: Entry, how: Fetching) -> Receipt:
    """The receipt of an entry, which is fetched unless it is there. Raises DataError or OSError.

    Of two processes that ask for the same entry, one fetches and the other waits for it.
    """
    with locked(how.root, entry.name, how.say):
        receipt = read_receipt(how.root, entry.name)
        if receipt and not how.again and receipt.urls == _addresses(entry, receipt):
            how.say(f"{entry.name}: here since {receipt.fetched[:10]}")
            return receipt
        folder = entry_folder(how.root, entry.name)
        if receipt:
            how.say(f"{entry.name}: fetched anew ({'asked for' if how.again else 'its address has changed'})")
        # What is whole stays until what is fetched now is whole too; parts of that stay for the next try.
        fresh = folder.with_name(f".{folder.name}.new") if receipt else folder
        fresh.mkdir(parents=True, exist_ok=True)
        receipt = _fetch(entry, fresh, how)
        if fresh != folder:
            shutil.rmtree(folder)
            fresh.replace(folder)
        return receipt


def verify(root: Path, name: str) -> list[str]:
    """What is wrong with an entry in the cache, one sentence per file; empty = all files are as they were fetched."""
    folder = entry_folder(root, name)
    receipt = read_receipt(root, name)
    if receipt is None:
        return [f"{name}: not whole in {folder}: run ldarnet data get {name}"]
    wrong = []
    for file in receipt.files:
        found = checksum_of(folder / file.path, "sha256")
        if found != file.sha256:
            wrong.append(
                f"{name}: {folder / file.path}: sha256 is {found}, was {file.sha256} when it was fetched: "
                f"run ldarnet data get --again {name}"
            )
    return wrong


def _addresses(entry: Entry, receipt: Receipt) -> tuple[str, ...]:
    """The publisher's addresses; a hub's are not known without asking it."""
    return (entry.url,) if isinstance(entry, Download) else receipt.urls


def _fetch(entry: Entry, folder: Path, how: Fetching) -> Receipt:
    from ldarnet.data.prepare import prepare  # reads genomes: numpy

    sources = sources_of(entry, mirror=how.mirror, unverified=how.unverified)
    verified, files = [], []
    for source in sources:
        fetched = folder / source.path
        verified.append(_fetch_one(source, fetched, how))
        kept = prepare(entry, fetched, how.root / "fai", how.say)
        files += [KeptFile(each.relative_to(folder).as_posix(), each.stat().st_size, "") for each in kept]
    files = [KeptFile(each.path, each.num_bytes, checksum_of(folder / each.path, "sha256")) for each in files]
    urls = (entry.url,) if isinstance(entry, Download) else tuple(source.url for source in sources)
    main = files[0].path if len(files) == 1 else "files" if (folder / "files").is_dir() else "."
    receipt = Receipt(
        entry.name, urls, datetime.now(UTC).isoformat(timespec="seconds"), tuple(verified), main, tuple(files)
    )
    write_receipt(folder, receipt)
    return receipt


def _fetch_one(source: Source, target: Path, how: Fetching) -> str:
    """Bring one file; a sentence on what it was held against."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not _is_there(source, target):
        how.say(f"fetching {source.url}")
        download(
            source.url,
            target,
            num_bytes=source.num_bytes,
            say=how.say,
            show_progress=how.show_progress,
            wait=how.wait,
        )
    if source.checksum:
        return check(target, source.checksum, source.url)
    digest = checksum_of(target, "sha256")
    how.say(
        f"{source.url}: no checksum of the publisher could be had; compare sha256 {digest} with a copy that you trust"
    )
    return f"sha256 {digest}, held against nothing"


def _is_there(source: Source, target: Path) -> bool:
    """Whether an earlier run that was stopped has fetched this file whole already."""
    if not target.is_file() or source.checksum is None:
        return False
    return checksum_of(target, source.checksum.algorithm) == source.checksum.value
