"""Draws from corpora that do not fit in memory: sequences read as a stream, shuffled in blocks of windows.

Every rank reads the whole stream and keeps the windows whose turn it is. Windows are shuffled block by block rather
than through a sliding buffer, so that a run goes on after reading no more than the shard and the block it had reached.
"""

import hashlib
import importlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from reprlib import repr as short_repr
from typing import Any, NamedTuple, Protocol, Self

import numpy as np

from ldarnet import vocab
from ldarnet.genome.records import read_records
from ldarnet.genome.streams import open_file, read_head, stream_blocks
from ldarnet.genome.twobit import is_twobit
from ldarnet.train.corpus import MAX_UNKNOWN_SHARE
from ldarnet.train.draws import Purpose, Turns, Windows, random_stream

BLOCK_WINDOWS = 8192
FINGERPRINT_ROWS = 16


class StreamedSequence(NamedTuple):
    """A sequence as `ids` (uint8), and where it stands in the order of its epoch."""

    shard: int
    record: int
    ids: np.ndarray


class Sequences(Protocol):
    """Sequences that can be read again and again, in an order that may differ from epoch to epoch."""

    def read(self, epoch: int, shard: int, record: int) -> Iterator[StreamedSequence]:
        """The sequences of an epoch, that shard and record being the first."""

    def fingerprint(self) -> str:
        """Changes with the sequences, as far as can be told without reading them."""


class Place(NamedTuple):
    """Behind a window of a stream; `window` is the next one in its sequence. And what gave no window so far."""

    epoch: int = 0
    shard: int = 0
    record: int = 0
    window: int = 0
    num_short: int = 0
    """Sequences shorter than a window, over all epochs read."""
    left_over_bp: int = 0
    """Bases at the ends of longer sequences, where no whole window fits."""
    num_unknown: int = 0
    """Windows with too many N."""


class StreamDraws:
    """`Draws` from a stream of sequences, each cut into consecutive windows.

    Half of the windows are turned to the opposite strand; those with too many N are left out. Raises ValueError for
    sequences that give no window.
    """

    def __init__(
        self,
        sequences: Sequences,
        window_bp: int,
        seed: int,
        rank: int = 0,
        num_ranks: int = 1,
        *,
        block_windows: int = BLOCK_WINDOWS,
        max_unknown_share: float = MAX_UNKNOWN_SHARE,
    ) -> None:
        for name, value in (("windows", window_bp), ("blocks", block_windows)):
            if value < 1:
                raise ValueError(f"expected {name} of 1 or more, got {value}")
        self._sequences = sequences
        self._window_bp = window_bp
        self._seed = seed
        self._block_windows = block_windows
        self._max_unknown_bp = int(max_unknown_share * window_bp)
        self._turns = Turns(rank, num_ranks)
        self._begin(0, Place())

    def take(self, num: int) -> Windows:
        """The next `num` windows of this rank. Raises ValueError for sequences that cannot be read."""
        draws = self._turns.next(num)
        return Windows(np.stack([self._window(draw) for draw in draws]), np.array(draws, dtype=np.int64))

    @property
    def read_up_to(self) -> Place:
        """Where reading stands, which is ahead of the windows taken by at most a block."""
        return self._block_end

    def state(self) -> dict[str, Any]:
        """The next draw, and where to start reading for it: a few numbers, whatever the corpus."""
        return {
            "position": self._turns.position,
            "block": self._block,
            "block_start": list(self._block_start),
            "stream": self._fingerprint(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state. Raises ValueError if it was taken from another stream."""
        if state["stream"] != self._fingerprint():
            raise ValueError(
                f"expected the sequences of the saved run, {state['stream']}, got {self._fingerprint()}: files, window "
                "or block were changed; put them back, or start in another folder"
            )
        self._turns.position = state["position"]
        self._begin(state["block"], Place(*state["block_start"]))

    def _fingerprint(self) -> str:
        parts = [self._sequences.fingerprint(), self._window_bp, self._block_windows, self._max_unknown_bp]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _begin(self, block: int, start: Place) -> None:
        self._block = block
        self._block_start = self._block_end = start
        self._ids: np.ndarray | None = None
        self._stream = self._read(start)

    def _window(self, draw: int) -> np.ndarray:
        block, place = divmod(draw, self._block_windows)
        while self._ids is None or self._block < block:
            self._read_block()
        ids: np.ndarray = self._ids[place]
        is_turned = random_stream(self._seed, Purpose.STRAND, draw).random() < 0.5
        return vocab.reverse_complement(ids) if is_turned else ids

    def _read_block(self) -> None:
        if self._ids is not None:
            self._block += 1
            self._block_start = self._block_end
        ids = np.empty((self._block_windows, self._window_bp), dtype=np.uint8)
        order = random_stream(self._seed, Purpose.WINDOW_ORDER, self._block).permutation(self._block_windows)
        for place, (window, end) in zip(order, self._stream, strict=False):
            ids[place] = window
            self._block_end = end
        self._ids = ids

    def _read(self, start: Place) -> Iterator[tuple[np.ndarray, Place]]:
        """Windows and the places behind them, epoch after epoch without end."""
        at, window_bp = start, self._window_bp
        while True:
            is_whole_epoch, longest_bp, num_yielded = at[1:4] == (0, 0, 0), 0, 0
            for shard, record, ids in self._sequences.read(at.epoch, at.shard, at.record):
                num_windows, rest_bp = divmod(len(ids), window_bp)
                longest_bp = max(longest_bp, len(ids))
                if (shard, record) != (at.shard, at.record) or at.window == 0:
                    at = at._replace(shard=shard, record=record, window=0)
                    if num_windows:
                        at = at._replace(left_over_bp=at.left_over_bp + rest_bp)
                    else:
                        at = at._replace(num_short=at.num_short + 1)
                for window in range(at.window, num_windows):
                    piece = ids[window * window_bp : (window + 1) * window_bp]
                    at = at._replace(window=window + 1)
                    if np.count_nonzero(piece >= vocab.N) > self._max_unknown_bp:
                        at = at._replace(num_unknown=at.num_unknown + 1)
                    else:
                        num_yielded += 1
                        yield piece, at
            if is_whole_epoch and not num_yielded:
                raise ValueError(
                    f"expected sequences with windows of {window_bp:,} bases and at most {self._max_unknown_bp:,} N, "
                    f"got none: the longest of them has {longest_bp:,} bases, {at.num_unknown:,} windows have more N"
                )
            at = at._replace(epoch=at.epoch + 1, shard=0, record=0, window=0)


class ShardDraws(StreamDraws):
    """`Draws` from shard files: FASTA or JSON Lines with the key "sequence", plain or gzip, told by their content.

    The order of the files is shuffled anew in every epoch. Raises ValueError for files that are missing or the same.
    """

    def __init__(
        self,
        paths: Sequence[str | Path],
        window_bp: int,
        seed: int,
        rank: int = 0,
        num_ranks: int = 1,
        *,
        block_windows: int = BLOCK_WINDOWS,
    ) -> None:
        super().__init__(_ShardFiles(paths, seed), window_bp, seed, rank, num_ranks, block_windows=block_windows)


class HFDraws(StreamDraws):
    """`Draws` from a streamed Hugging Face data set, an `IterableDataset` or the name of one.

    `column` holds the letters. The order of the data set's own shards is shuffled anew in every epoch; going on from
    a state skips what the epoch had given already. Names need `pip install datasets`, else ImportError.
    """

    def __init__(
        self,
        dataset: "str | StreamedRows",
        window_bp: int,
        seed: int,
        rank: int = 0,
        num_ranks: int = 1,
        *,
        column: str = "sequence",
        split: str = "train",
        block_windows: int = BLOCK_WINDOWS,
    ) -> None:
        rows = _open_dataset(dataset, split) if isinstance(dataset, str) else dataset
        sequences = _DatasetSequences(rows, seed, column)
        super().__init__(sequences, window_bp, seed, rank, num_ranks, block_windows=block_windows)


class StreamedRows(Protocol):
    """What is used of `datasets.IterableDataset`."""

    @property
    def num_shards(self) -> int: ...  # noqa: D102
    def shuffle(self, *, seed: int, buffer_size: int) -> Self: ...  # noqa: D102
    def skip(self, n: int) -> Self: ...  # noqa: D102
    def __iter__(self) -> Iterator[Mapping[str, Any]]: ...


class _ShardFiles:
    def __init__(self, paths: Sequence[str | Path], seed: int) -> None:
        self._paths = [Path(path) for path in paths]
        self._seed = seed
        if not self._paths:
            raise ValueError("expected at least one shard, got none")
        if len(set(self._paths)) < len(self._paths):
            raise ValueError(f"expected every shard once, got one again in {short_repr([str(p) for p in self._paths])}")
        for path in self._paths:
            open_file(path).close()

    def read(self, epoch: int, shard: int, record: int) -> Iterator[StreamedSequence]:
        order = random_stream(self._seed, Purpose.FILE_ORDER, epoch).permutation(len(self._paths))
        for place in range(shard, len(order)):
            path, first, num = self._paths[order[place]], record if place == shard else 0, 0
            for num, ids in enumerate(_read_file(path), start=1):
                if num > first:
                    yield StreamedSequence(place, num - 1, ids)
            if num <= first:
                raise ValueError(f"{path}: expected more than {first:,} sequences, got {num:,}: was it cut short?")

    def fingerprint(self) -> str:
        return json.dumps([(path.name, path.stat().st_size) for path in self._paths])


class _DatasetSequences:
    def __init__(self, rows: StreamedRows, seed: int, column: str) -> None:
        self._rows = rows
        self._seed = seed
        self._column = column

    def read(self, epoch: int, shard: int, record: int) -> Iterator[StreamedSequence]:
        # A buffer of one row shuffles nothing but the order of the shards, so that skipping finds the same rows.
        order_seed = int(random_stream(self._seed, Purpose.FILE_ORDER, epoch).integers(1 << 32))
        rows = self._rows.shuffle(seed=order_seed, buffer_size=1).skip(record)
        for number, row in enumerate(rows, start=record):
            yield StreamedSequence(shard, number, _encode(row, self._column, f"row {number} of epoch {epoch}"))

    def fingerprint(self) -> str:
        # Of all rows it would take a pass; the first ones tell data sets and their revisions apart well enough.
        digest = hashlib.sha256()
        for number, row in enumerate(itertools.islice(iter(self._rows), FINGERPRINT_ROWS)):
            digest.update(_encode(row, self._column, f"row {number} of epoch 0").tobytes() + b";")
        return f"{self._column} {self._rows.num_shards} {digest.hexdigest()}"


def _open_dataset(name: str, split: str) -> StreamedRows:
    try:
        datasets = importlib.import_module("datasets")
    except ImportError as error:
        raise ImportError(f"data set {name!r} needs the package datasets: pip install datasets") from error
    rows: StreamedRows = datasets.load_dataset(name, split=split, streaming=True)
    return rows


def _read_file(path: Path) -> Iterator[np.ndarray]:
    with closing(open_file(path)) as file:
        head = read_head(file)
        if is_twobit(head):
            raise ValueError(f"{path}: expected FASTA or JSON Lines, got .2bit: name it as a genome, not as a shard")
        blocks = stream_blocks(file, head, str(path))
        first = next(blocks, b"")
        blocks = itertools.chain([first], blocks)
        yield from _read_jsonl(blocks, str(path)) if first.lstrip().startswith(b"{") else _read_fasta(blocks, str(path))


def _read_fasta(blocks: Iterable[bytes], label: str) -> Iterator[np.ndarray]:
    pieces: list[bytes] = []
    for _ in read_records(blocks, label, pieces.append):
        yield np.frombuffer(b"".join(pieces), dtype=np.uint8)
        pieces.clear()


def _read_jsonl(blocks: Iterable[bytes], label: str) -> Iterator[np.ndarray]:
    for number, line in enumerate(_lines(blocks), start=1):
        if line.strip():
            where = f"{label}, line {number}"
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"{where}: expected a JSON object, got {short_repr(line)} ({error})") from None
            yield _encode(row, "sequence", where)


def _lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    begun: list[bytes] = []
    for block in blocks:
        rest, *lines = block.split(b"\n")
        begun.append(rest)
        for line in lines:
            yield b"".join(begun)
            begun = [line]
    yield b"".join(begun)


def _encode(row: object, column: str, where: str) -> np.ndarray:
    letters = row.get(column) if isinstance(row, Mapping) else None
    if not isinstance(letters, str):
        raise ValueError(f"{where}: expected letters under {column!r}, got {short_repr(row)}")
    try:
        return vocab.encode(letters)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
