"""What an earlier pass over a FASTA file has found, kept in a cache folder and never beside the file."""

import contextlib
import hashlib
import io
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import platformdirs

from ldarnet.genome.layout import Layout
from ldarnet.genome.records import Record
from ldarnet.genome.survey import ContigSurvey

_VERSION = 1
_DIGEST_BYTES = hashlib.sha256().digest_size


class Index(NamedTuple):
    """The records of a FASTA file, all with a layout, and the checkpoints of a bgzip file (else empty)."""

    records: tuple[Record, ...]
    checkpoints: np.ndarray


class Stamp(NamedTuple):
    """What changes when a file does; an index is worth nothing under another stamp."""

    size_bytes: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, file_descriptor: int) -> "Stamp":
        """The stamp of an open file."""
        status = os.fstat(file_descriptor)
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def default_cache_dir() -> Path:
    """`$LDARNET_CACHE/fai`, or the folder that the system has for such things."""
    root = os.environ.get("LDARNET_CACHE") or platformdirs.user_cache_dir("ldarnet")
    return Path(root) / "fai"


def index_path(fasta: Path, cache_dir: Path) -> Path:
    """The file that holds the index of a FASTA file, whose absolute path is its key."""
    key = hashlib.sha256(os.fsencode(fasta.absolute())).hexdigest()[:32]
    return cache_dir / f"{key}.npz"


def save_index(path: Path, stamp: Stamp, index: Index) -> None:
    """Write an index; other processes see the old file or the whole new one. OSError if it cannot be kept."""
    records = index.records
    runs = [record.survey.n_runs for record in records]
    arrays: dict[str, np.ndarray] = {
        "key": np.array([_VERSION, *stamp], dtype=np.int64),
        "names": np.frombuffer("\n".join(record.name for record in records).encode(), dtype=np.uint8),
        "layouts": np.array([_numbers(record) for record in records], dtype=np.int64),
        "md5": np.frombuffer(bytes.fromhex("".join(record.survey.md5 for record in records)), dtype=np.uint8),
        "num_runs": np.array([len(of_one) for of_one in runs], dtype=np.int64),
        "n_runs": np.concatenate(runs),
        "checkpoints": index.checkpoints,
    }
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    data = buffer.getvalue()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.stem, delete=False) as file:
        try:
            file.write(hashlib.sha256(data).digest() + data)
            file.close()
            Path(file.name).replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(file.name).unlink()
            raise


def load_index(path: Path, stamp: Stamp) -> Index | None:
    """The index kept for a file with this stamp; None if there is none, or none that can be trusted."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    if data[:_DIGEST_BYTES] != hashlib.sha256(data[_DIGEST_BYTES:]).digest():
        return None
    with np.load(io.BytesIO(data[_DIGEST_BYTES:]), allow_pickle=False) as arrays:
        if arrays["key"].tolist() != [_VERSION, *stamp]:
            return None
        names = arrays["names"].tobytes().decode().split("\n")
        digests = arrays["md5"].tobytes().hex()
        runs = np.split(arrays["n_runs"], np.cumsum(arrays["num_runs"])[:-1])
        numbers: Sequence[Sequence[int]] = arrays["layouts"].tolist()
        checkpoints = arrays["checkpoints"]
    records = []
    for i, (name, (length_bp, num_n_bp, num_iupac_bp, *layout)) in enumerate(zip(names, numbers, strict=True)):
        survey = ContigSurvey(digests[32 * i : 32 * i + 32], num_n_bp, num_iupac_bp, runs[i])
        records.append(Record(name, length_bp, Layout(*layout), survey))
    return Index(tuple(records), checkpoints)


def _numbers(record: Record) -> tuple[int, ...]:
    assert record.layout is not None, "only records whose bases can be found are indexed"
    return (record.length_bp, record.survey.num_n_bp, record.survey.num_iupac_bp, *record.layout)
