"""Sequences cut from genomes by coordinates: the layout of Genomic Benchmarks, a table of regions per class."""

import csv
import gzip
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from ldarnet import vocab
from ldarnet.genome import Genome, open_genome
from ldarnet.genome.streams import GZIP_MAGIC

MAX_N_SHARE = 0.5
"""A region of which more is N is not at hand: partial genomes are often filled up with N."""
COLUMNS = ("region", "start", "end", "strand")
_MITOCHONDRIA = ("chrM", "chrMT", "M", "MT", "MtDNA")


class Region(NamedTuple):
    """A row of a table: bases start..end-1 of a contig, 0-based."""

    chrom: str
    start: int
    end: int
    is_reverse: bool


class Cut(NamedTuple):
    """What could be cut of a table, and why the rest could not."""

    sequences: list[np.ndarray]
    num_rows: int
    missing: Counter[str]
    """Reason -> number of rows: the contig is not there, it ends before the region, or the region is N."""


class Genomes:
    """Open genomes; `for_class` says which one a class is cut from."""

    def __init__(self, common: Genome | None, by_class: Mapping[str, Genome]) -> None:
        self._common, self._by_class = common, by_class

    def for_class(self, name: str) -> Genome | None:
        """The genome given for this class, else the one given for all, else None."""
        return self._by_class.get(name, self._common)


@contextmanager
def open_genomes(given: list[str]) -> Iterator[Genomes]:
    """Genomes given as FILE (for every class) or CLASS=FILE. Raises ValueError for two of the same kind."""
    from ldarnet.data.names import find_genome

    with ExitStack() as stack:
        opened: dict[str, Genome] = {}
        for text in given:
            name, separator, file = text.partition("=")
            key, path = (name, file) if separator and not Path(text).exists() else ("", text)
            if key in opened:
                raise ValueError(f"--genome {text}: expected one genome {f'for {key}' if key else 'for all'}, got two")
            opened[key] = stack.enter_context(open_genome(find_genome(path)))
        yield Genomes(opened.pop("", None), opened)


def read_regions(path: Path) -> list[Region]:
    """Regions of a table with columns region, start, end and strand, in any order (an empty strand is +).

    Raises ValueError with file and line for what is no region; OSError if the file cannot be read.
    """
    regions = []
    with _open_text(path) as file:
        table = csv.DictReader(file)
        names = {name.strip().lower(): name for name in table.fieldnames or ()}
        if missing := [name for name in COLUMNS if name not in names]:
            got = ", ".join(names) or "an empty file"
            raise ValueError(f"{path}: expected columns {', '.join(COLUMNS)}, got {got}: no {missing[0]}")
        chrom, start, end, strand = (names[name] for name in COLUMNS)
        for row in table:
            try:
                sign = (row[strand] or "+").strip() or "+"
                region = Region((row[chrom] or "").strip(), int(row[start]), int(row[end]), sign == "-")
                is_right = bool(region.chrom) and 0 <= region.start < region.end and sign in ("+", "-", ".")
            except (TypeError, ValueError):
                is_right = False
            if not is_right:
                got = ",".join(str(row[name]) for name in (chrom, start, end, strand))
                raise ValueError(
                    f"{path}, line {table.line_num}: expected a contig, 0 <= start < end and strand + or -, got {got}"
                )
            regions.append(region)
    if not regions:
        raise ValueError(f"{path}: expected regions, got none")
    return regions


def cut_regions(regions: list[Region], genome: Genome | None) -> Cut:
    """The sequences of regions, those on the reverse strand turned round, in the order of the table.

    Contigs are found with and without `chr`. What is not there is counted, never left out silently.
    """
    missing: Counter[str] = Counter()
    if genome is None:
        missing["no genome was given for this class"] = len(regions)
        return Cut([], len(regions), missing)
    lengths = dict(genome.contigs)
    # transcripts are named without the version that FASTA files of Ensembl have
    unversioned = {name.rsplit(".", 1)[0]: name for name in lengths if name.startswith("ENS")}
    names = {chrom: _find(chrom, lengths, unversioned) for chrom in {region.chrom for region in regions}}
    found: dict[int, np.ndarray] = {}
    # In genomic order the genome is read once, from its start to its end.
    for number in sorted(range(len(regions)), key=lambda i: (regions[i].chrom, regions[i].start)):
        region = regions[number]
        name = names[region.chrom]
        if name is None:
            missing[f"contig {region.chrom} is not in {genome.name}"] += 1
        elif region.end > lengths[name]:
            missing[f"contig {region.chrom} of {genome.name} ends at {lengths[name]:,}"] += 1
        else:
            ids = genome.ids(name, region.start, region.end)
            if np.mean(ids == vocab.N) > MAX_N_SHARE:
                missing[f"contig {region.chrom} of {genome.name} is N there"] += 1
            else:
                found[number] = vocab.reverse_complement(ids) if region.is_reverse else ids
    return Cut([found[number] for number in sorted(found)], len(regions), missing)


@contextmanager
def _open_text(path: Path) -> Iterator[IO[str]]:
    """A text file, unpacked if it is gzip. Damage is a ValueError that names the file."""
    try:
        with path.open("rb") as head:
            is_gzip = head.read(2) == GZIP_MAGIC[:2]
        opened: Callable[..., IO[str]] = gzip.open if is_gzip else open
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
            yield file
    except UnicodeDecodeError:
        raise ValueError(f"{path}: expected text in UTF-8") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path}: damaged gzip data ({error})") from None
    except csv.Error as error:
        raise ValueError(f"{path}: no table that can be read: {error}") from None


def _find(chrom: str, lengths: Mapping[str, int], unversioned: Mapping[str, str]) -> str | None:
    if chrom in unversioned:
        return unversioned[chrom]
    names = _MITOCHONDRIA if chrom in _MITOCHONDRIA else (chrom, f"chr{chrom}", chrom.removeprefix("chr"))
    return next((name for name in names if name in lengths), None)
