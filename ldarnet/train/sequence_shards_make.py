"""From FASTA files to shards, in constant memory, whole shards or none; a stopped run goes on with the next shard."""

import fcntl
import itertools
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ldarnet import vocab
from ldarnet.genome import open_genome
from ldarnet.genome.records import read_records
from ldarnet.genome.streams import open_file, read_head, stream_blocks
from ldarnet.genome.survey import ContigSurvey, Surveyor
from ldarnet.genome.twobit import is_twobit
from ldarnet.tracks.atomic import write_text
from ldarnet.train.sequence_shards import FORMAT, INDEX_NAME, INDEX_VERSION, SequenceShard, read_json
from ldarnet.train.sequence_shards_writer import ShardSeries, shard_name

BEGUN_NAME = ".shards.begun.json"
_READ_BP = 1 << 22
_NAME_ENDS = re.compile(r"(\.(fa|fasta|fna|2bit|txt))?(\.(gz|bgz|bgzf))?$", re.IGNORECASE)

Say = Callable[[str], None]


class Source(NamedTuple):
    """A file that shards are made of, and the name that training knows it by."""

    name: str
    path: Path


def parse_source(text: str) -> Source:
    """NAME=FILE, or a file, which is named after itself without its endings."""
    name, equals, path = text.partition("=")
    if equals and not Path(text).exists():
        if not re.fullmatch(r"[\w.+-]+", name) or not path:
            raise ValueError(f"expected FILE or NAME=FILE, the name of letters, digits, '.', '_', '-', got {text!r}")
        return Source(name, Path(path))
    file_name = Path(text).name
    return Source(_NAME_ENDS.sub("", file_name) or file_name, Path(text))


def write_shards(sources: Sequence[Source], out: Path, *, shard_bp: int, say: Say) -> dict[str, Any]:
    """Shards of at least `shard_bp` bases (the last may be smaller; contigs stay whole) and their index.

    Goes on behind the last whole shard that a stopped run left; the files are those of a run without stop. Returns
    the index. Raises GenomeError for bad files, ValueError for names that are not unique and for a folder that holds
    other shards, OSError.
    """
    plan = _plan(sources, shard_bp)
    out.mkdir(parents=True, exist_ok=True)
    with _alone_in(out):
        index_path = out / INDEX_NAME
        if index_path.exists():
            index = read_json(index_path)
            if index.get("plan") != plan:
                raise ValueError(f"{out}: expected an empty folder, got the shards of other files or sizes")
            say(f"{out}: the shards are there already")
            return index
        begun = out / BEGUN_NAME
        if begun.exists():
            if read_json(begun).get("plan") != plan:
                raise ValueError(
                    f"{out}: an unfinished run there has other files or another --shard-mb: give the same, or remove "
                    f"{begun}"
                )
        elif any(out.glob("shard-*.ldn")):
            raise ValueError(f"{out}: expected an empty folder, got shards without {INDEX_NAME}")
        else:
            write_text(begun, json.dumps({"plan": plan}, indent=1) + "\n")
        done = _done_shards(out)
        if done:
            say(f"{out}: going on after {len(done)} finished shards")
        shards = [*done, *_new_shards(sources, out, shard_bp, done, say)]
        index = {"format": FORMAT, "version": INDEX_VERSION, "plan": plan} | _summary(shards, sources)
        write_text(index_path, json.dumps(index, indent=1) + "\n")
        begun.unlink()
    return index


def _plan(sources: Sequence[Source], shard_bp: int) -> dict[str, Any]:
    """What decides the bytes of every shard; a file counts as changed with its size or time."""
    if not sources:
        raise ValueError("expected at least one file, got none")
    if shard_bp < 1:
        raise ValueError(f"expected shards of 1 base or more, got {shard_bp}")
    taken: dict[str, Path] = {}
    files = []
    for name, path in sources:
        if name in taken:
            raise ValueError(f"{taken[name]} and {path} are both called {name}: name one as NAME=FILE")
        taken[name] = path
        open_file(path).close()
        stat = path.stat()
        files.append({"name": name, "file": path.name, "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns})
    return {"shard_bp": shard_bp, "sources": files}


@contextmanager
def _alone_in(out: Path) -> Iterator[None]:
    descriptor = os.open(out / ".shards.lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise ValueError(f"{out}: another process makes shards there: wait for it, or choose another --out") from None
    finally:
        os.close(descriptor)


def _done_shards(out: Path) -> list[SequenceShard]:
    paths = (out / shard_name(number) for number in itertools.count(1))
    return [SequenceShard(path) for path in itertools.takewhile(Path.exists, paths)]


def _new_shards(
    sources: Sequence[Source], out: Path, shard_bp: int, done: Sequence[SequenceShard], say: Say
) -> Iterator[SequenceShard]:
    for part in out.glob(".shard-*.part"):
        part.unlink()
    first_source, num_read = 0, 0
    if done:
        of_shards = [shard.contigs["source"] for shard in done]
        first_source = int(of_shards[-1][-1])
        num_read = int(sum(np.count_nonzero(each == first_source) for each in of_shards))
    series = ShardSeries(out, shard_bp, len(done))
    try:
        for source in range(first_source, len(sources)):
            skipped = num_read if source == first_source else 0
            say(sources[source].path.name + (f": from contig {skipped + 1:,}" if skipped else ""))
            for contig in _read_contigs(sources[source].path, skipped, series.add):
                if (shard := series.end_contig(contig.name, source, contig.length_bp, contig.survey)) is not None:
                    yield shard
        if (shard := series.finish()) is not None:
            yield shard
    finally:
        series.discard()


class _ReadContig(NamedTuple):
    name: str
    length_bp: int
    survey: ContigSurvey


def _read_contigs(path: Path, num_skipped: int, sink: Callable[[bytes], object]) -> Iterator[_ReadContig]:
    """The contigs of a file behind the skipped ones, after their bases (ids) went to `sink` piece by piece."""
    with closing(open_file(path)) as file:
        head = read_head(file)
        if is_twobit(head):
            yield from _read_twobit(path, num_skipped, sink)
            return
        num_read = 0

        def pass_on(ids: bytes) -> None:
            if num_read >= num_skipped:
                sink(ids)

        for record in read_records(stream_blocks(file, head, str(path)), str(path), pass_on):
            num_read += 1
            if num_read > num_skipped:
                yield _ReadContig(record.name, record.length_bp, record.survey)


def _read_twobit(path: Path, num_skipped: int, sink: Callable[[bytes], object]) -> Iterator[_ReadContig]:
    with open_genome(path) as genome:
        for name, length_bp in genome.contigs[num_skipped:]:
            surveyor = Surveyor()
            for start in range(0, length_bp, _READ_BP):
                ids = genome.ids(name, start, min(length_bp, start + _READ_BP))
                surveyor.feed(vocab.decode(ids).encode(), ids.tobytes())
                sink(ids.tobytes())
            yield _ReadContig(name, length_bp, surveyor.result())


def _summary(shards: Sequence[SequenceShard], sources: Sequence[Source]) -> dict[str, Any]:
    """Shards, and where in their order the contigs of each source stand."""
    num_of = np.zeros(len(sources), dtype=np.int64)
    bases_of = np.zeros(len(sources), dtype=np.int64)
    entries = []
    for shard in shards:
        np.add.at(num_of, shard.contigs["source"], 1)
        np.add.at(bases_of, shard.contigs["source"], shard.contigs["length_bp"])
        entries.append(
            {
                "file": shard.path.name,
                "contigs": shard.header.num_contigs,
                "bases": shard.num_bases,
                "bases_sha256": shard.header.bases_sha256.hex(),
            }
        )
    firsts = np.cumsum(num_of) - num_of
    held = [
        {"name": name, "first_contig": int(first), "contigs": int(num), "bases": int(bases)}
        for (name, _), first, num, bases in zip(sources, firsts, num_of, bases_of, strict=True)
    ]
    return {"shards": entries, "sources": held}
