"""Writing shards: bases packed as they come, tables and header at the end, each file whole or not there."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from ldarnet.genome import ContigSurvey
from ldarnet.tracks.atomic import PartialFile
from ldarnet.train.sequence_shards import CONTIG, HEADER_BYTES, Header, SequenceShard, pack_bases, tables_crc


class ShardWriter:
    """Writes one shard: `add` the bases of a contig, `end_contig`, and so on; `finish`, or `discard`."""

    def __init__(self, path: Path) -> None:
        self._out = PartialFile(path)
        self._out.file.write(bytes(HEADER_BYTES))
        self._digest = hashlib.sha256()
        self._num_packed = 0
        self._contig_start = 0
        self._rest = np.empty(0, dtype=np.uint8)
        self._rows: list[tuple[Any, ...]] = []
        self._runs: list[np.ndarray] = []
        self._num_runs = 0
        self._names = bytearray()
        self.num_bases = 0

    def add(self, ids: bytes) -> None:
        """The next bases of the contig, one id a byte."""
        piece = np.concatenate([self._rest, np.frombuffer(ids, dtype=np.uint8)])
        whole = len(piece) - len(piece) % 4
        self._write(piece[:whole])
        self._rest = piece[whole:].copy()

    def end_contig(self, name: str, source: int, length_bp: int, survey: ContigSurvey) -> None:
        """What is known of the contig whose bases were added."""
        self._write(self._rest)
        self._rest = self._rest[:0]
        encoded = name.encode()
        place = (self._contig_start, length_bp, survey.num_n_bp + survey.num_iupac_bp, self._num_runs)
        named = (len(self._names), len(encoded), source, bytes.fromhex(survey.md5))
        self._rows.append((*place, len(survey.n_runs), *named))
        self._runs.append(survey.n_runs.astype("<i8"))
        self._num_runs += len(survey.n_runs)
        self._names += encoded
        self.num_bases += length_bp
        self._contig_start = self._num_packed

    def finish(self) -> None:
        """Give the shard its name. Raises OSError where the disk is full."""
        contigs = np.array(self._rows, dtype=CONTIG).tobytes()
        runs = np.concatenate(self._runs).tobytes() if self._runs else b""
        header = Header(
            *(self._num_packed, len(self._rows), self._num_runs, len(self._names)),
            *(self._digest.digest(), tables_crc(contigs, runs, bytes(self._names))),
        )
        for start, table in zip(header.sections[1:4], (contigs, runs, bytes(self._names)), strict=True):
            self._out.file.write(bytes(start - self._out.file.tell()))
            self._out.file.write(table)
        self._out.file.seek(0)
        self._out.file.write(header.pack())
        self._out.close()
        self._out.publish()

    def discard(self) -> None:
        """Leave nothing; harmless after `finish`."""
        self._out.discard()

    def _write(self, ids: np.ndarray) -> None:
        if len(ids):
            packed = pack_bases(ids).tobytes()
            self._digest.update(packed)
            self._out.file.write(packed)
            self._num_packed += len(packed)


class ShardSeries:
    """Contigs one after another into shards 1, 2, ...: a shard ends with the contig that fills it."""

    def __init__(self, out: Path, shard_bp: int, num_done: int) -> None:
        self._out = out
        self._shard_bp = shard_bp
        self._number = num_done
        self._writer: ShardWriter | None = None

    def add(self, ids: bytes) -> None:
        """The next bases of a contig."""
        if self._writer is None:
            self._number += 1
            self._writer = ShardWriter(self._out / shard_name(self._number))
        self._writer.add(ids)

    def end_contig(self, name: str, source: int, length_bp: int, survey: ContigSurvey) -> SequenceShard | None:
        """What is known of the contig whose bases were added; returns the shard if that filled it."""
        assert self._writer is not None, "contigs have bases"
        self._writer.end_contig(name, source, length_bp, survey)
        return self.finish() if self._writer.num_bases >= self._shard_bp else None

    def finish(self) -> SequenceShard | None:
        """The shard that was begun, if one was."""
        if self._writer is None:
            return None
        self._writer.finish()
        self._writer = None
        return SequenceShard(self._out / shard_name(self._number))

    def discard(self) -> None:
        """Leave nothing of a shard that was begun."""
        if self._writer is not None:
            self._writer.discard()


def shard_name(number: int) -> str:
    """The file of a shard; numbers begin at 1."""
    return f"shard-{number:05}.ldn"
