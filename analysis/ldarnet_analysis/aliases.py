"""The same chromosome under other names: chr1, 1, NC_000001.11."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from ldarnet.genome.names import list_names

_ROMAN = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII", "XIII", "XIV", "XV", "XVI"]


def _series(first: int, names: Sequence[str]) -> dict[str, str]:
    return {f"NC_{first + i:06d}": name for i, name in enumerate(names)}


REFSEQ_CHROMOSOMES: Mapping[str, str] = MappingProxyType(
    {
        **_series(1, [*map(str, range(1, 23)), "X", "Y"]),  # human
        "NC_012920": "M",
        **_series(67, [*map(str, range(1, 20)), "X", "Y"]),  # mouse
        "NC_005089": "M",
        **_series(1133, _ROMAN),  # yeast
        "NC_001224": "M",
        **_series(3279, ["I", "II", "III", "IV", "V", "X"]),  # worm
        "NC_001328": "M",
    }
)
"""Chromosome behind a RefSeq accession (without version) of human, mouse, yeast and worm."""

_ACCESSION = re.compile(r"(N[CTW]_\d+)\.(\d+)")
_UCSC_SCAFFOLD = re.compile(r"chr[^_]+_([A-Z]+\d+)v(\d+)(?:_random|_alt|_fix)?")
_MITOCHONDRIA = {"m", "mt", "mito", "mtdna", "mitochondrion", "mitochondrion_genome"}
_PLASTIDS = {"c", "pt", "chloroplast", "plastid"}


class ChromosomeMatch(NamedTuple):
    """`names` leads from the first list to the second; `unmatched` are names of the first without a partner."""

    names: dict[str, str]
    unmatched: tuple[str, ...]


def match_chromosomes(
    names: Iterable[str], others: Iterable[str], *, what: str = "", where: str = ""
) -> ChromosomeMatch:
    """Which name of `others` each of `names` stands for: equal names first, then aliases.

    Known aliases: with or without "chr" in either case, M and MT, RefSeq accessions of human, mouse, yeast and
    worm, and UCSC's names of scaffolds (chrUn_KI270302v1 is KI270302.1). `what` and `where` name the lists in
    messages. Raises ValueError, with both lists, if none matches, if two names could stand for one, and if the
    accessions are those of different assemblies.
    """
    names, others = list(dict.fromkeys(names)), list(dict.fromkeys(others))
    lists = (
        f"names in {what or 'the first'}: {list_names(names)}; names in {where or 'the second'}: {list_names(others)}"
    )
    _refuse_other_assembly(names, others, lists)
    by_alias = defaultdict(list)
    for other in others:
        by_alias[chromosome_of(other)].append(other)
    known = set(others)
    found: dict[str, str] = {}
    for name in names:
        partners = [name] if name in known else by_alias.get(chromosome_of(name), [])
        if len(partners) > 1:
            raise ValueError(f"{name!r} could stand for any of {list_names(partners)}; {lists}")
        if partners:
            found[name] = partners[0]
    _refuse_two_for_one(found, lists)
    if not found:
        raise ValueError(f"no chromosome name matches; {lists}")
    return ChromosomeMatch(found, tuple(name for name in names if name not in found))


def chromosome_of(name: str) -> str:
    """What a name comes to once prefix, case and accession are taken off: 1 of chr1, M of MT, X of NC_000023.11."""
    accession = _ACCESSION.fullmatch(name)
    if accession:
        return REFSEQ_CHROMOSOMES.get(accession[1], name).casefold()
    scaffold = _UCSC_SCAFFOLD.fullmatch(name)
    if scaffold:
        return f"{scaffold[1]}.{scaffold[2]}".casefold()
    short = name.casefold().removeprefix("chr") or name
    return "m" if short in _MITOCHONDRIA else short


def is_nuclear(name: str) -> bool:
    """False for the names that mitochondria and plastids go by."""
    return chromosome_of(name) not in {"m", *_PLASTIDS}


def _refuse_other_assembly(names: list[str], others: list[str], lists: str) -> None:
    versions = {found[1]: found[2] for name in others if (found := _ACCESSION.fullmatch(name))}
    for name in names:
        found = _ACCESSION.fullmatch(name)
        if found and versions.get(found[1], found[2]) != found[2]:
            raise ValueError(f"expected one assembly, got {name} and {found[1]}.{versions[found[1]]}; {lists}")


def _refuse_two_for_one(found: dict[str, str], lists: str) -> None:
    taken: dict[str, str] = {}
    for name, partner in found.items():
        if taken.setdefault(partner, name) != name:
            raise ValueError(f"both {taken[partner]!r} and {name!r} stand for {partner!r}; {lists}")
