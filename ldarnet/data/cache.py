"""The folder that fetched data are kept in, and what is known of each entry there."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import platformdirs

from ldarnet.data.errors import DataError

RECEIPT = "receipt.json"
_UNITS = ("B", "kB", "MB", "GB", "TB")


@dataclass(frozen=True)
class KeptFile:
    """A file of an entry as it lies in the cache; `path` is relative to the folder of the entry."""

    path: str
    num_bytes: int
    sha256: str


@dataclass(frozen=True)
class Receipt:
    """What was fetched for an entry, when, what it was held against, and which files came of it."""

    name: str
    urls: tuple[str, ...]
    fetched: str
    verified: tuple[str, ...]
    """One sentence per download: the checksum and whose it is, or that there was none."""
    main: str
    """The file (or folder) that stands for the name, relative to the folder of the entry; "." is that folder."""
    files: tuple[KeptFile, ...]


def cache_root(folder: Path | None = None) -> Path:
    """The given folder, `$LDARNET_CACHE`, or the folder that the system has for such things."""
    return folder or Path(os.environ.get("LDARNET_CACHE") or platformdirs.user_cache_dir("ldarnet"))


def entry_folder(root: Path, name: str) -> Path:
    """The folder of one entry."""
    return root / "data" / name


def read_receipt(root: Path, name: str) -> Receipt | None:
    """The receipt of an entry all of whose files are there in full length; else None."""
    folder = entry_folder(root, name)
    try:
        values: dict[str, Any] = json.loads((folder / RECEIPT).read_text(encoding="utf-8"))
        files = tuple(KeptFile(**each) for each in values.pop("files"))
        lists = {key: tuple(values.pop(key)) for key in ("urls", "verified")}
        receipt = Receipt(**(values | lists), files=files)
        is_whole = all((folder / each.path).stat().st_size == each.num_bytes for each in files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # none, or no longer what was written
        return None
    return receipt if is_whole and files else None


def write_receipt(folder: Path, receipt: Receipt) -> None:
    """Keep a receipt in the folder of its entry: from here on it counts as fetched."""
    path = folder / RECEIPT
    part = path.with_name(f"{RECEIPT}.part")
    part.write_text(json.dumps(asdict(receipt), indent=2) + "\n", encoding="utf-8")
    part.replace(path)


def kept_names(root: Path) -> list[str]:
    """Names of all entries that something was fetched for, whole or not."""
    folder = root / "data"
    return sorted(each.name for each in folder.glob("[!.]*") if each.is_dir())


@contextmanager
def locked(root: Path, name: str, say: Callable[[str], None]) -> Iterator[None]:
    """Only one process at a time works on an entry; a killed one leaves no lock behind."""
    from filelock import FileLock, Timeout

    folder = entry_folder(root, name).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"cannot make the cache folder {folder} ({error.strerror}): "
            "choose another one with --cache or LDARNET_CACHE"
        ) from None
    lock = FileLock(folder / f".{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"{name}: another process is fetching it; waiting for that")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def check_space(folder: Path, num_bytes: int, what: str) -> None:
    """Raise DataError where the disk has no room for so many bytes more."""
    free = shutil.disk_usage(folder).free
    if num_bytes > free:
        raise DataError(
            f"{what}: needs {readable(num_bytes)}, free are {readable(free)} in {folder}: "
            "make room, or choose another disk with --cache or LDARNET_CACHE"
        )


def readable(num_bytes: float) -> str:
    """1,536 as 1.5 kB (of 1,000)."""
    power = 0
    while num_bytes >= 1000 and power < len(_UNITS) - 1:
        num_bytes, power = num_bytes / 1000, power + 1
    return f"{num_bytes:.{min(power, 1)}f} {_UNITS[power]}"
