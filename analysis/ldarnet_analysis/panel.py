"""The panel of an analysis: which site classes are asked about, and what is measured at each, fixed before looking."""

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from ldarnet_analysis.motif_files import read_motifs
from ldarnet_analysis.motifs import CountMatrix
from ldarnet_analysis.promoter_presets import MATRIX_PRESETS
from ldarnet_analysis.promoters import MotifEntry
from ldarnet_analysis.result_tables import file_name

Kind = Literal["donor", "acceptor", "TSS", "start-codon", "motif", "given"]

JUNCTION_WINDOW = (-3, 3)
_KEYS = {"name", "kind", "test_window", "cut_at", "iupac", "matrix", "strands", "window", "p_value", "min_bits"}


@dataclass(frozen=True)
class PanelEntry:
    """A site class and its primary value: the mean of the track over the offsets first..last of `test_window`.

    The hard-cut rate is that of cuts within 1 bp of offset `cut_at`. `motif` is set for kind "motif" alone; "given"
    are sites that the user brings along.
    """

    name: str
    kind: Kind
    test_window: tuple[int, int]
    cut_at: int = 0
    motif: MotifEntry | None = None

    def __post_init__(self) -> None:
        first, last = self.test_window
        if not -10_000 < first <= last < 10_000:
            raise ValueError(f"{self.name}: expected a test window first <= last, in offsets, got {first}..{last}")
        if self.kind not in get_args(Kind) or (self.kind == "motif") != (self.motif is not None):
            raise ValueError(f"{self.name}: expected a kind of {', '.join(get_args(Kind))}, got {self.kind!r}")

    def provenance(self) -> dict[str, Any]:
        """What run.json says of the entry, as JSON can hold it."""
        return asdict(self) | {"motif": self.motif.provenance() if self.motif else None}


def motif_panel_entry(motif: MotifEntry) -> PanelEntry:
    """A motif with all cuts that touch its hit as test window: from its 5' edge to its 3' edge."""
    return PanelEntry(motif.name, "motif", (0, motif.scored.width), motif=motif)


def default_panel() -> tuple[PanelEntry, ...]:
    """Splice junctions and the four core promoter motifs."""
    splice = (PanelEntry("donor", "donor", JUNCTION_WINDOW), PanelEntry("acceptor", "acceptor", JUNCTION_WINDOW))
    return (*splice, *map(motif_panel_entry, MATRIX_PRESETS))


def transcript_panel() -> tuple[PanelEntry, ...]:
    """For annotations without UTRs, such as yeast's: start codons and splice junctions."""
    kinds: tuple[Kind, ...] = ("start-codon", "donor", "acceptor")
    return tuple(PanelEntry(kind, kind, JUNCTION_WINDOW) for kind in kinds)


def aligned_panel() -> tuple[PanelEntry, ...]:
    """What sequences are that are aligned at an anchor: nobody says what it is. And the motifs, as if it were a TSS."""
    return (PanelEntry("given", "given", JUNCTION_WINDOW), *map(motif_panel_entry, MATRIX_PRESETS))


PANELS = {"default": default_panel, "transcripts": transcript_panel}


def read_panel(source: str, motif_file: Path | None = None) -> tuple[PanelEntry, ...]:
    """The panel of that name, or of a TOML file with [[entry]] tables.

    Keys of an entry: name, kind, test_window, cut_at; for a motif iupac, or matrix (the id of a matrix in
    `motif_file`) with p_value and min_bits, and strands and window (offsets from the TSS cut, half-open). Raises
    ValueError naming the file and the entry.
    """
    if source in PANELS:
        return PANELS[source]()
    path = Path(source)
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8")).get("entry")
    except OSError as error:
        known = ", ".join(PANELS)
        raise ValueError(f"cannot read panel {source} ({error.strerror}); expected a TOML file or {known}") from None
    except ValueError as error:
        raise ValueError(f"{path}: expected TOML in UTF-8: {error}") from None
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise ValueError(f"{path}: expected [[entry]] tables, got none")
    matrices = {each.motif_id: each for each in read_motifs(motif_file)} if motif_file else {}
    entries = tuple(_entry(table, matrices, f"{path}, entry {i}") for i, table in enumerate(tables, start=1))
    _refuse_repeated([entry.name for entry in entries], path)
    return entries


def _entry(table: dict[str, Any], matrices: dict[str, CountMatrix], where: str) -> PanelEntry:
    try:
        if unknown := sorted(table.keys() - _KEYS):
            raise ValueError(f"unknown keys {', '.join(unknown)}; known are {', '.join(sorted(_KEYS))}")
        if not isinstance(table.get("name"), str) or not table["name"]:
            raise ValueError(f"expected a name, got {table.get('name')!r}")
        kind = table.get("kind", "motif")
        motif = MotifEntry(**dict(_motif_fields(table, matrices))) if kind == "motif" else None
        default = motif_panel_entry(motif).test_window if motif else JUNCTION_WINDOW
        window = _pair(table, "test_window", default)
        cut_at = table.get("cut_at", 0)
        if type(cut_at) is not int:
            raise ValueError(f"cut_at: expected a whole number, got {cut_at!r}")
        return PanelEntry(table["name"], kind, window, cut_at, motif)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{where}: {error}") from None


def _motif_fields(table: dict[str, Any], matrices: dict[str, CountMatrix]) -> Iterator[tuple[str, Any]]:
    yield "name", table["name"]
    if ("iupac" in table) == ("matrix" in table):
        raise ValueError("expected either iupac or matrix for a motif")
    if "matrix" in table:
        if table["matrix"] not in matrices:
            there = ", ".join(matrices) or "none: give a motif file"
            raise ValueError(f"no matrix {table['matrix']!r}; there are {there}")
        yield "motif", matrices[table["matrix"]]
        yield "p_value", float(table.get("p_value", 5e-4))
        yield "min_bits", float(table.get("min_bits", 0.0))
    else:
        yield "motif", str(table["iupac"])
    yield "strands", table.get("strands", "both")
    yield "window", _pair(table, "window", None)


def _pair(table: dict[str, Any], key: str, default: tuple[int, int] | None) -> tuple[int, int]:
    value = table.get(key, default)
    if not isinstance(value, list | tuple) or len(value) != 2 or not all(type(each) is int for each in value):
        raise ValueError(f"{key}: expected two whole numbers, got {value!r}")
    return value[0], value[1]


def _refuse_repeated(names: Sequence[str], path: Path) -> None:
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{path}: expected every name once, got {', '.join(repeated)} again")
    written: dict[str, str] = {}
    for name in names:
        if (other := written.setdefault(file_name(name), name)) != name:
            raise ValueError(f"{path}: {other!r} and {name!r} would both be written to files called {file_name(name)}")
