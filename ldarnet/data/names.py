"""Names of the manifests where a file is expected: `--fasta hg38 --annotation gencode`.

A file of that name wins over the name: what lies on the disk is what a path means.
"""

from pathlib import Path

from ldarnet.data.cache import cache_root, entry_folder, read_receipt
from ldarnet.data.errors import DataError
from ldarnet.manifests import Download, Entry, Genome, Located, load_manifests


def find_genome(text: str, folder: Path = Path()) -> str:
    """The path of a genome given as a file (relative to `folder`) or by its name in the manifests.

    What is neither comes back as a path, for the reader to complain about. Raises DataError for a name whose file is
    not in the cache yet.
    """
    if text == "-" or (folder / text).exists():
        return text if text == "-" else str(folder / text)
    entry = _entry(text)
    return str(folder / text if not isinstance(entry, Genome) else _kept(entry))


def find_annotation(text: Path, fasta: str | None) -> Path:
    """The path of an annotation given as a file, by its name, or by its family (gencode): that of the genome at hand.

    `fasta` is the genome as it was asked for. Raises DataError for the annotation of another assembly, for a family
    where the genome has no name, and for a name whose file is not in the cache yet.
    """
    if text.exists():
        return text
    genome = None if fasta is None or Path(fasta).exists() else _entry(fasta)
    assembly = genome.assembly if isinstance(genome, Genome) else None
    entry = _entry(str(text))
    if isinstance(entry, Located):
        if assembly not in (None, entry.assembly):
            raise DataError(f"{text} is of {entry.assembly}, but {fasta} is {assembly}: expected the same assembly")
        return _kept(entry)
    family = [each for _, each in load_manifests().values() if isinstance(each, Located) and each.family == str(text)]
    if not family:
        return text
    if assembly is None:
        names = ", ".join(each.name for each in family)
        raise DataError(f"{text} could be {names}: name one of them, or give --fasta by its name too")
    of_genome = [each for each in family if each.assembly == assembly]
    if not of_genome:
        there = ", ".join(sorted({each.assembly for each in family}))
        raise DataError(f"there is no {text} of {assembly} ({fasta}), only of {there}")
    return _kept(of_genome[0])


def find_file(text: Path) -> Path:
    """The path of any other file (motifs), given as a file or by its name. Raises DataError as the others do."""
    entry = None if text.exists() else _entry(str(text))
    return text if not isinstance(entry, Download) else _kept(entry)


def _entry(text: str) -> Entry | None:
    _, entry = load_manifests().get(text, (None, None))
    return entry


def _kept(entry: Entry) -> Path:
    root = cache_root()
    receipt = read_receipt(root, entry.name)
    if receipt is None:
        raise DataError(f"{entry.name} is not here yet: run ldarnet data get {entry.name} (the cache is {root})")
    return entry_folder(root, entry.name) / receipt.main
