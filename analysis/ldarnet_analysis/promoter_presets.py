"""Core promoter motifs: their matrices, and the entries that a panel starts from.

Matrices: collection POLII of JASPAR 2020 (Fornes et al. 2020, Nucleic Acids Res 48:D87-D92, CC BY 4.0), after Bucher
1990, J Mol Biol 212:563-578. Windows are offsets from the TSS cut (see `promoters`); an entry is edited with
`dataclasses.replace`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ldarnet_analysis.motif_files import read_motifs
from ldarnet_analysis.motifs import CountMatrix
from ldarnet_analysis.promoters import MotifEntry


def _matrix(motif_id: str, name: str, a: str, c: str, g: str, t: str) -> CountMatrix:
    rows = ([float(count) for count in row.split()] for row in (a, c, g, t))
    return CountMatrix(motif_id, name, tuple(zip(*rows, strict=True)))


TATA_BOX = _matrix(
    "POL012.1",
    "TATA-Box",
    " 61  16 352   3 354 268 360 222 155  56  83  82  82  68  77",
    "145  46   0  10   0   0   3   2  44 135 147 127 118 107 101",
    "152  18   2   2   5   0  10  44 157 150 128 128 128 139 140",
    " 31 309  35 374  30 121   6 121  33  48  31  52  61  75  71",
)
CCAAT_BOX = _matrix(
    "POL004.1",
    "CCAAT-box",
    " 56  32  25 102  51   0   0 175 119  17  23 116",
    " 55  52  47   1   6 173 174   0   8   0  90   6",
    " 12  43  24  70  99   1   0   0  21  15  59  52",
    " 52  48  79   2  19   1   1   0  27 143   3   1",
)
GC_BOX = _matrix(
    "POL003.1",
    "GC-box",
    "102  97  50  67   0   2  54  46   1  79  23   0  20  40",
    " 40  31   6   1   0   0 170   1   3   0  17 166  86  24",
    " 50 112 154 206 274 272   0 224 222 171 192  35  52 109",
    " 82  34  64   0   0   0  50   3  48  24  42  73 116 101",
)
INR = _matrix(
    "POL002.1",
    "INR",
    " 49   0 288  26  77  67  45  50",
    " 48 303   0  81  95 118  85  96",
    " 69   0   0 116   0  46  73  56",
    "137   0  15  80 131  72 100 101",
)

MATRIX_PRESETS = (
    # Six outer columns of POL012.1 say next to nothing and would reach out of the window: STATAAAWR stays.
    MotifEntry("TATA-box", TATA_BOX, "sense", (-40, -18), p_value=5e-4, min_bits=0.2),
    MotifEntry("CCAAT-box", CCAAT_BOX, "both", (-105, -50), p_value=5e-4),
    MotifEntry("GC-box", GC_BOX, "both", (-110, -40), p_value=5e-4),
    # Only four places fit into its window, and the motif is weak.
    MotifEntry("Inr", INR, "sense", (-5, 6), p_value=2e-3),
)
"""About 0.7, 4.3, 5.5 and 0.8 % of windows of random bases (half G and C) hold a hit by chance."""

CONSENSUS_PRESETS = (
    MotifEntry("TATA-box", "TATAWA", "sense", (-40, -18)),
    MotifEntry("CCAAT-box", "CCAAT", "both", (-105, -50)),
    MotifEntry("GC-box", "GGGCGG", "both", (-110, -40)),
    MotifEntry("Inr", "YYANWYY", "sense", (-5, 6)),
)


def with_motif_file(
    entries: Sequence[MotifEntry], path: str | Path, id_of: Mapping[str, str], p_value: float = 5e-4
) -> tuple[MotifEntry, ...]:
    """The entries, their motifs replaced by those of a JASPAR or MEME file; `id_of` maps entry names to motif ids.

    `p_value` is for entries that had an IUPAC string; the others keep theirs. Raises ValueError for names that are no
    entries, ids that the file does not have, and motifs that the window does not hold.
    """
    matrices = {matrix.motif_id: matrix for matrix in read_motifs(path)}
    if unknown := sorted(id_of.keys() - {entry.name for entry in entries}):
        raise ValueError(f"{unknown}: expected names of entries ({', '.join(entry.name for entry in entries)})")
    if missing := sorted(set(id_of.values()) - matrices.keys()):
        raise ValueError(f"{path}: expected motifs {missing}, the file has {', '.join(matrices)}")
    return tuple(
        replace(entry, motif=matrices[id_of[entry.name]], p_value=entry.p_value or p_value)
        if entry.name in id_of
        else entry
        for entry in entries
    )
