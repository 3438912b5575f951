"""Genomes that lie in shards on disk, as a corpus draws from them: the windows of the same FASTA, in any amount."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ldarnet.genome.names import list_names
from ldarnet.train.sequence_shards import FORMAT, INDEX_NAME, INDEX_VERSION, SequenceShard, ShardError, read_json


class ShardFolder:
    """The shards of a folder, checked and mapped into memory. Raises ShardError where one is missing or damaged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = folder / INDEX_NAME
        index = read_json(path)
        if index.get("format") != FORMAT:
            raise ShardError(f"{path}: expected the index of ldarnet data shard, got another JSON file")
        if index.get("version") != INDEX_VERSION:
            raise ShardError(f"{path}: expected version {INDEX_VERSION}, got {index.get('version')!r}: update ldarnet")
        try:
            self.sources = {each["name"]: (each["first_contig"], each["contigs"]) for each in index["sources"]}
            entries = [(each["file"], each["contigs"], each["bases_sha256"]) for each in index["shards"]]
        except (KeyError, TypeError) as error:
            raise ShardError(f"{path}: expected sources and shards, it lacks {error}") from None
        if not entries:
            raise ShardError(f"{path}: expected at least one shard, got none")
        self.shards = []
        for name, num_contigs, sha256 in entries:
            shard = SequenceShard(folder / name)
            if (shard.header.num_contigs, shard.header.bases_sha256.hex()) != (num_contigs, sha256):
                raise ShardError(f"{shard.path}: expected the shard that {INDEX_NAME} names, got another one")
            self.shards.append(shard)
        self._ends = np.cumsum([shard.header.num_contigs for shard in self.shards])

    def columns(self, first: int, num: int, name: str) -> np.ndarray:
        """A column of CONTIG for contigs first..first + num - 1 of the folder."""
        parts = []
        for shard, end in zip(self.shards, self._ends, strict=True):
            start = int(end) - shard.header.num_contigs
            low, high = max(first - start, 0), min(first + num - start, shard.header.num_contigs)
            if low < high:
                parts.append(shard.contigs[name][low:high])
        return np.concatenate(parts)

    def ids(self, contig: int, start: int, end: int) -> np.ndarray:
        """Bases of a contig by its number in the folder, uint8 [end - start]."""
        shard, row = self.place(contig)
        return shard.ids(row, start, end)

    def place(self, contig: int) -> tuple[SequenceShard, int]:
        """The shard of a contig, and its row there."""
        number = int(np.searchsorted(self._ends, contig, side="right"))
        shard = self.shards[number]
        return shard, contig - int(self._ends[number]) + shard.header.num_contigs


class ShardedGenome(NamedTuple):
    """Contigs of a folder of shards, as one genome of a corpus."""

    name: str
    folder: ShardFolder
    first_contig: int
    num_contigs: int
    weight: float | None = None

    def pool(self, window_bp: int) -> "ShardedPool":
        """Its windows. Raises ValueError where it has none."""
        return ShardedPool(self, window_bp)

    def first_contigs(self, max_bp: int) -> Iterator[np.ndarray]:
        """Ids (uint8) of its contigs from the first on, `max_bp` bases in all; the last one may be cut short."""
        lengths = self.folder.columns(self.first_contig, self.num_contigs, "length_bp")
        for number, length in enumerate(lengths.tolist(), start=self.first_contig):
            if max_bp <= 0:
                return
            yield self.folder.ids(number, 0, min(length, max_bp))
            max_bp -= length


class ShardedPool:
    """The windows of a genome in shards, numbered through its contigs as those of a FASTA are."""

    num_repeats = 0

    def __init__(self, genome: ShardedGenome, window_bp: int) -> None:
        self._genome = genome
        self._window_bp = window_bp
        span = (genome.first_contig, genome.num_contigs)
        lengths = genome.folder.columns(*span, "length_bp")
        used = np.flatnonzero(lengths >= window_bp)
        if not used.size:
            raise ValueError(
                f"{genome.name}: expected a contig of at least {window_bp:,} bases, the window, got "
                f"{len(lengths):,} contigs, the longest of {int(lengths.max()):,} bases"
            )
        self._contigs = used + genome.first_contig
        self._ends = np.cumsum(lengths[used] - window_bp + 1)
        self.num_windows = int(self._ends[-1])
        self.num_stretches = len(used)
        self.num_short = len(lengths) - len(used)
        unknown = genome.folder.columns(*span, "num_unknown")[used]
        self.num_bases = int(lengths[used].sum() - unknown.sum())
        if not self.num_bases:
            raise ValueError(f"{genome.name}: expected letters A, C, G, T, got contigs of nothing but N")

    @property
    def first_stretch(self) -> str:
        """Where it begins, for messages."""
        shard, row = self._genome.folder.place(int(self._contigs[0]))
        return f"{shard.name(row)}:0-{shard.contigs[row]['length_bp']}"

    def window(self, number: int) -> np.ndarray:
        """The window that starts at the number-th possible start."""
        place = int(np.searchsorted(self._ends, number, side="right"))
        start = number - (int(self._ends[place - 1]) if place else 0)
        return self._genome.folder.ids(int(self._contigs[place]), start, start + self._window_bp)

    def add_to(self, digest: "hashlib._Hash", weight: float) -> None:
        """What decides the windows: lengths and checksums of the contigs, not their bases, of which there are many."""
        span = (self._genome.first_contig, self._genome.num_contigs)
        digest.update(f"shards {weight!r}\n".encode())
        for name in ("length_bp", "md5"):
            digest.update(self._genome.folder.columns(*span, name).tobytes())


def find_sharded(text: str) -> tuple[Path, str | None] | None:
    """A folder of shards, and which of its sources is meant (None = all), for `FOLDER` or `FOLDER/NAME`; else None."""
    path = Path(text)
    if path.is_dir():
        return path, None
    if not path.exists() and (path.parent / INDEX_NAME).is_file():
        return path.parent, path.name
    return None


def load_sharded(
    folder: Path, source: str | None, name: str, weight: float | None, opened: dict[Path, ShardFolder]
) -> ShardedGenome:
    """The contigs of a source of a folder, or of all; `opened` keeps folders, which many sources may share.

    Raises ShardError for a folder that is none of shards, ValueError for a source that is not there.
    """
    if not (folder / INDEX_NAME).is_file():
        raise ShardError(f"{folder}: expected a FASTA, or a folder of shards with {INDEX_NAME}, got another folder")
    if folder not in opened:
        opened[folder] = ShardFolder(folder)
    sources = opened[folder].sources
    if source is None:
        total = sum(num for _, num in sources.values())
        return ShardedGenome(name or folder.name, opened[folder], 0, total, weight)
    if source not in sources:
        raise ValueError(f"{folder}: no source {source!r} in its shards; there are {list_names(list(sources))}")
    return ShardedGenome(name or source, opened[folder], *sources[source], weight)
