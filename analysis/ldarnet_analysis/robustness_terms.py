"""What the measures of a robustness report are called, what their x is, and what their null is."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

UNRELATED = (
    "unrelated cuts: as many in each window as either reading makes, in places that have nothing to do with each other "
    "(the mean over all circular shifts of one reading against the other)"
)
ONE_SHIFT = "one reading shifted along its window, circularly, by a random number of bases"


class Term(NamedTuple):
    """A measure in words."""

    label: str
    x: str = ""
    null: str = UNRELATED
    digits: int = 4


_EDITS = {"snv": "substitution", "deletion": "deletion", "insertion": "insertion"}
_BASES_AWAY = "bases between cut and change"
MASK_CURVES = ("mask1", "mask5", "mask15", "mask30")


def _terms() -> dict[str, Term]:
    terms = {
        "plain.rate": Term("places cut", null=""),
        "plain.near_half": Term("places with a probability near 0.5", "nearer than", null=""),
        "reverse.equal": Term("reverse complement: equal places"),
        "reverse.shared": Term("reverse complement: shared cuts"),
        "reverse.within": Term("reverse complement: cuts with a partner", "at most so many bases away"),
        "reverse.correlation": Term("reverse complement: correlation", "its reading moved by (bases)", ONE_SHIFT),
        "shift.equal": Term("shifted window: equal places", "shift (bases)"),
        "shift.shared": Term("shifted window: shared cuts", "shift (bases)"),
        "shift.changed_near_start": Term(
            "largest shift: places changed, by distance to the start", "bases to the edge"
        ),
        "shift.changed_near_end": Term("largest shift: places changed, by distance to the end", "bases to the edge"),
        "mask.changed": Term("masked: places changed", "share masked"),
        "bfloat16.equal": Term("bfloat16: equal places"),
        "bfloat16.shared": Term("bfloat16: shared cuts"),
        "bfloat16.moved": Term("bfloat16: |change of probability|", "quantile", ONE_SHIFT, 6),
        "padding.equal": Term("leaky padding: equal places", "letters of padding"),
        "padding.shared": Term("leaky padding: shared cuts", "letters of padding"),
        "padding.moved": Term("leaky padding: |change of probability|", "quantile", ONE_SHIFT, 6),
        "models.within": Term("two models: cuts with a partner", "at most so many bases away"),
        "models.correlation": Term("two models: correlation", null=ONE_SHIFT),
        "models.all": Term("all models: cuts that all make, per cut of the average model"),
    }
    for name in MASK_CURVES:
        terms[f"{name}.changed_near"] = Term(f"{name[4:]} % masked: places changed", "bases to the nearest [MASK]")
    for name, word in _EDITS.items():
        terms[f"{name}.number"] = Term(f"{word}: cuts changed per window", digits=3)
        for side in ("left", "right"):
            terms[f"{name}.changed_{side}"] = Term(f"{word}: places changed, {side}", _BASES_AWAY)
            terms[f"{name}.moved_{side}"] = Term(f"{word}: mean |change of probability|, {side}", _BASES_AWAY, digits=5)
    return terms


TERMS: Mapping[str, Term] = MappingProxyType(_terms())


def term_of(test: str) -> Term:
    """The words of a measure; one that is not known is called by its name."""
    return TERMS.get(test, Term(test))
