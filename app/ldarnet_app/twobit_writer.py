"""Writing .2bit, the form in which other browsers take a genome."""

import struct
from pathlib import Path

import numpy as np

from ldarnet import vocab
from ldarnet.genome import Genome

_MAGIC = 0x1A412743
_LONGEST_NAME_BYTES = 255
_BLOCK_BP = 1 << 22  # a multiple of 4
_CODE = np.zeros(256, dtype=np.uint8)
_CODE[[vocab.T, vocab.C, vocab.A, vocab.G]] = [0, 1, 2, 3]


def write_twobit(genome: Genome, path: Path) -> None:
    """Write all contigs of a genome; runs of N are kept, soft masking and IUPAC codes are not.

    Raises ValueError for a name or a genome too long for the format.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        _write(genome, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _write(genome: Genome, path: Path) -> None:
    runs = [genome.survey(contig.name).n_runs for contig in genome.contigs]
    names = [contig.name.encode() for contig in genome.contigs]
    if too_long := [name.decode() for name in names if len(name) > _LONGEST_NAME_BYTES]:
        raise ValueError(f".2bit holds names of at most {_LONGEST_NAME_BYTES} bytes, got {too_long[0]!r}")
    offset = 16 + sum(len(name) + 5 for name in names)
    with path.open("wb") as file:
        file.write(struct.pack("<4I", _MAGIC, 0, len(names), 0))
        for name, contig, n_runs in zip(names, genome.contigs, runs, strict=True):
            if offset >= 1 << 32:
                raise ValueError(".2bit holds genomes of about 16 Gb at most: export fewer contigs")
            file.write(struct.pack("<B", len(name)) + name + struct.pack("<I", offset))
            offset += 16 + 8 * len(n_runs) + -(-contig.length_bp // 4)
        for contig, n_runs in zip(genome.contigs, runs, strict=True):
            file.write(struct.pack("<2I", contig.length_bp, len(n_runs)))
            file.write(n_runs[:, 0].astype("<u4").tobytes() + np.diff(n_runs).astype("<u4").tobytes())
            file.write(struct.pack("<2I", 0, 0))  # no soft masking; reserved
            for start in range(0, contig.length_bp, _BLOCK_BP):
                file.write(_packed(genome.ids(contig.name, start, min(start + _BLOCK_BP, contig.length_bp))))


def _packed(ids: np.ndarray) -> bytes:
    """Four bases a byte, the first in the highest bits; N as T, as the format has it."""
    codes = np.zeros(-(-ids.size // 4) * 4, dtype=np.uint8)
    codes[: ids.size] = _CODE[ids]
    quads = codes.reshape(-1, 4)
    return (quads[:, 0] << 6 | quads[:, 1] << 4 | quads[:, 2] << 2 | quads[:, 3]).astype(np.uint8).tobytes()
