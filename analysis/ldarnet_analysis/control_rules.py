"""What the position-only rungs of the null ladder match on, keep away from, and share with their sites."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import pandas as pd

from ldarnet_analysis.decoys import Span, centred_span

DINUCLEOTIDES: Mapping[str, Span] = MappingProxyType({"donor": (0, 2), "acceptor": (-2, 0)})
DECOY_RUNGS = ("same-dinucleotide", "same-kmer")
DEFAULT_K = 8


@dataclass(frozen=True)
class ControlRules:
    """How controls of a rung are chosen.

    `calipers`: covariate -> largest difference, in standard deviations of the sites. `exclusion_bp`: controls are
    farther than this from every annotated site, on either strand (0 excludes the sites alone). `candidates_per_site`:
    size of the pool. `same_contig`: controls on the site's own contig are tried first. `span`: the letters a decoy
    shares with its site; None for the class's own (GT or AG; the motif, or 8 bases about the cut).
    """

    calipers: Mapping[str, float] = field(default_factory=dict)
    exclusion_bp: int = 0
    per_site: int = 1
    candidates_per_site: int = 200
    same_contig: bool = False
    span: Span | None = None


_COMPOSITION = {"gc": 0.2, "gc_upstream": 0.2, "gc_downstream": 0.2}
RULES: Mapping[str, ControlRules] = MappingProxyType(
    {
        "random": ControlRules(exclusion_bp=500),
        "gc": ControlRules(_COMPOSITION, exclusion_bp=500),
        "matched": ControlRules(_COMPOSITION | {"cpg": 0.3, "repeat_share": 0.3, "log_tss_distance": 0.3}),
        "same-dinucleotide": ControlRules(_COMPOSITION),
        "same-kmer": ControlRules(_COMPOSITION | {"score": 0.2}),
    }
)


@dataclass(frozen=True)
class Landmarks:
    """What is known about the genome besides the sites; all may be missing.

    `annotated`: sites of any transcript that controls must avoid (chrom, cut, strand). `exclude_regions`: where no
    control may lie (chrom, start, end), such as the functional windows of a motif. `tss` (chrom, cut, strand) and
    `repeats` (chrom, start, end) are what `matched` needs; without one, its covariate is left out with a note.
    """

    annotated: pd.DataFrame | None = None
    exclude_regions: pd.DataFrame | None = None
    tss: pd.DataFrame | None = None
    repeats: pd.DataFrame | None = None


def only_class(sites: pd.DataFrame) -> str:
    """The class of a table of sites; ValueError unless there is exactly one."""
    classes = sites["class"].unique().tolist()
    if len(classes) != 1:
        got = f"classes {', '.join(map(str, classes))}" if classes else "no sites"
        raise ValueError(f"expected sites of one class, got {got}")
    return str(classes[0])


def decoy_span(rung: str, sites: pd.DataFrame, kind: str | None = None) -> Span:
    """The letters that decoys of a rung share with sites of this class; `kind` is what they are, by default its name.

    `same-dinucleotide`: the two intron bases at a donor or acceptor. `same-kmer`: the motif (column `kmer` of the
    sites), or 8 bases about the cut. Raises ValueError where the class has none.
    """
    if rung == "same-dinucleotide":
        kind = kind or only_class(sites)
        if kind not in DINUCLEOTIDES:
            raise ValueError(f"same-dinucleotide is for {' and '.join(DINUCLEOTIDES)} sites, got {kind}")
        return DINUCLEOTIDES[kind]
    if "kmer" not in sites.columns:
        return centred_span(DEFAULT_K)
    widths = sites["kmer"].str.len().unique().tolist()
    if len(widths) != 1:
        raise ValueError(f"expected motifs of one width in column kmer, got widths {sorted(widths)}; give a span")
    return 0, int(widths[0])
