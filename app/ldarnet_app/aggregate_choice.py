"""What the aggregate page shows, as a value that its address carries; nothing in an address is taken on trust."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

import pandas as pd

from ldarnet_analysis.result_tables import Results
from ldarnet_analysis.style import RUNGS, SIGNALS, SITES
from ldarnet_app.aggregate_subset import Subset
from ldarnet_app.sources.results import classes_of, stored_rungs

KEYS = ("class", "signal", "rungs", "rows", "strand", "score", "chrom")
"""The parts of the address that are about this page."""

_STRANDS = {"plus": "+", "minus": "-"}
_USUAL_RUNGS = ("matched", "same-kmer")
_MAX_SHOWN_CHARS = 40
_PLAIN = (
    " :|;/()[]#=+"  # a comma stands between names: one inside a name is quoted, with the percent sign that quotes it
)


@dataclass(frozen=True)
class Choice:
    """A class, a signal, the control rungs drawn beside it, the rows of the heatmap, and a part of the sites."""

    site_class: str
    signal: str = "raw"
    rungs: tuple[str, ...] = ()
    rows: str = SITES
    subset: Subset = field(default_factory=Subset)

    def to_query(self) -> dict[str, str]:
        """The parts of the address that bring this back; a list of genes is not carried."""
        query = {"class": self.site_class, "signal": self.signal, "rungs": ",".join(self.rungs)}
        if self.rows != SITES:
            query["rows"] = self.rows
        if self.subset.strand is not None:
            query["strand"] = next(name for name, sign in _STRANDS.items() if sign == self.subset.strand)
        if self.subset.score is not None:
            query["score"] = ":".join("" if bound is None else f"{bound:g}" for bound in self.subset.score)
        if self.subset.chroms is not None:
            query["chrom"] = ",".join(quote(name, safe=_PLAIN) for name in sorted(self.subset.chroms))
        return query


def choice_from_query(query: Mapping[str, str], results: Results) -> Choice:
    """The choice of an address; ValueError, with what was expected, for what these results do not have.

    An address that names nothing gives the first class with its usual rungs.
    """
    classes = classes_of(results)
    site_class = _one_of("class", query.get("class", classes[0]), classes)
    signal = _one_of("signal", query.get("signal", "raw"), list(SIGNALS))
    there, stored = profiled_rungs(results, site_class, signal), stored_rungs(results, site_class, signal)
    rungs = usual_rungs(there)
    if "rungs" in query:
        rungs = tuple(_one_of("rungs", rung, there) for rung in query["rungs"].split(",") if rung)
    sites = results.of_class("sites", site_class)
    return Choice(
        site_class,
        signal,
        rungs,
        _one_of("rows", query.get("rows", SITES), stored or [SITES]),
        Subset(_strand(query), _score(query, sites), _chroms(query, sites)),
    )


def profiled_rungs(results: Results, site_class: str, signal: str) -> list[str]:
    """The control rungs that have a profile, in the order of the ladder."""
    profiles = results.of_class("profiles", site_class)
    found = set(profiles.loc[profiles["signal"] == signal, "rung"])
    return [rung for rung in RUNGS if rung in found]


def usual_rungs(there: Sequence[str]) -> tuple[str, ...]:
    """The rungs drawn unless others are asked for: the hardest position controls, else the hardest there is."""
    return tuple(rung for rung in _USUAL_RUNGS if rung in there) or tuple(there[-1:])


def _one_of(key: str, value: str, known: Sequence[str]) -> str:
    if value not in known:
        raise ValueError(f"{key}: expected one of {', '.join(known) or 'none'}, got {_shown(value)}")
    return value


def _strand(query: Mapping[str, str]) -> str | None:
    return _STRANDS[_one_of("strand", query["strand"], list(_STRANDS))] if "strand" in query else None


def _score(query: Mapping[str, str], sites: pd.DataFrame) -> tuple[float | None, float | None] | None:
    if "score" not in query:
        return None
    low, colon, high = query["score"].partition(":")
    try:
        bounds = (float(low) if low else None, float(high) if high else None)
    except ValueError:
        bounds = (math.nan, math.nan)
    if not colon or any(bound is not None and not math.isfinite(bound) for bound in bounds):
        raise ValueError(f"score: expected lowest:highest, got {_shown(query['score'])}")
    if sites["score"].isna().all():
        raise ValueError(f"score: no site of the class has one, got {_shown(query['score'])}")
    return None if bounds == (None, None) else bounds


def _chroms(query: Mapping[str, str], sites: pd.DataFrame) -> frozenset[str] | None:
    names = [unquote(name) for name in query.get("chrom", "").split(",") if name]
    known = set(sites["chrom"])
    strangers = [name for name in names if name not in known]
    if strangers:
        raise ValueError(f"chrom: expected contigs with sites of the class, got {_shown(strangers[0])}")
    return frozenset(names) or None


def _shown(value: str) -> str:
    return repr(value if len(value) <= _MAX_SHOWN_CHARS else value[: _MAX_SHOWN_CHARS - 1] + "…")
