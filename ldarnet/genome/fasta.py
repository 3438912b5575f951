"""Opening a genome whatever its format: FASTA plain, bgzip, gzip or piped in, and .2bit."""

import os
import stat
import sys
from pathlib import Path
from typing import BinaryIO

from ldarnet.genome.genome import Genome
from ldarnet.genome.index import default_cache_dir
from ldarnet.genome.indexed import IndexedFasta, UnevenLines
from ldarnet.genome.spool import SpooledFasta
from ldarnet.genome.streams import (
    GZIP_MAGIC,
    BgzfText,
    PlainText,
    SeekableText,
    is_bgzf,
    open_file,
    read_head,
    stream_blocks,
)
from ldarnet.genome.twobit import TwoBit, is_twobit

STDIN = "-"


def open_genome(path: str | Path, *, cache_dir: Path | None = None) -> Genome:
    """Open a genome, `-` being FASTA on standard input, and check every letter of it.

    The format is told by the content, not by the name. Plain and bgzip FASTA and .2bit are read in place;
    an index of large FASTA files is kept in `cache_dir` (default: the user's cache folder, or
    `$LDARNET_CACHE/fai`). Plain gzip, pipes and lines of uneven length need a temporary copy, as a note says.
    Raises GenomeError, a ValueError that names file, line and record, for anything that is no genome.
    """
    if str(path) == STDIN:
        stdin = sys.stdin.buffer
        return Genome("stdin", SpooledFasta(stream_blocks(stdin, read_head(stdin), "stdin"), "stdin"))
    path = Path(path)
    file = open_file(path)
    try:
        return _open(path, file, cache_dir or default_cache_dir())
    except BaseException:
        file.close()
        raise


def _open(path: Path, file: BinaryIO, cache_dir: Path) -> Genome:
    head = read_head(file)
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        with file:
            return Genome(path.name, SpooledFasta(stream_blocks(file, head, str(path)), str(path)))
    if is_twobit(head):
        return Genome(path.name, TwoBit(file, str(path)))
    if head.startswith(GZIP_MAGIC) and not is_bgzf(head):
        with file:
            bases = SpooledFasta(stream_blocks(file, head, str(path)), str(path))
        note = (
            f"{path.name} is plain gzip: read through once into a temporary copy; "
            "compress it with bgzip for random access"
        )
        return Genome(path.name, bases, [note])
    indexed = IndexedFasta.open(path, file, is_bgzf=is_bgzf(head), cache_dir=cache_dir)
    if not isinstance(indexed, UnevenLines):
        return Genome(path.name, indexed, _stale_index_note(path, file))
    with file:
        text: SeekableText = BgzfText(file, str(path)) if is_bgzf(head) else PlainText(file, str(path))
        bases = SpooledFasta(text.blocks(), str(path))
    note = (
        f"{path.name} has lines of uneven length in record {indexed.record!r}: read through once into a temporary copy"
    )
    return Genome(path.name, bases, [note])


def _stale_index_note(path: Path, file: BinaryIO) -> list[str]:
    """An index beside the FASTA is never read, so an old one does no harm here; other tools would trust it."""
    beside = path.with_name(f"{path.name}.fai")
    try:
        is_older = beside.stat().st_mtime_ns < os.fstat(file.fileno()).st_mtime_ns
    except OSError:
        return []
    return [f"{beside.name} is older than {path.name}: not used here, but other tools may read wrong bases"] * is_older
