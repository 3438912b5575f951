"""The candidates out of which the controls of a rung are matched, and the groups within which they may be."""

from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from ldarnet.genome import Genome
from ldarnet_analysis.decoys import NO_CODE, Span, decoys, literal_codes
from ldarnet_analysis.pools import AllowedCuts, shuffled_genome_pool
from ldarnet_analysis.positions import Positions, positions_of

MIN_PER_POOL = 100_000
MIN_PER_LITERAL = 1000

Pool: TypeAlias = Literal["uniform", "bedtools"] | pd.DataFrame


class Candidates(NamedTuple):
    """Positions, with the group of each site and of each candidate (int64) where only equals may be matched.

    `score` is that of each candidate, where the pool has one.
    """

    positions: Positions
    site_groups: np.ndarray
    groups: np.ndarray
    score: np.ndarray | None = None


def place_candidates(
    genome: Genome, allowed: AllowedCuts, num_sites: int, pool: Pool, *, num_per_site: int, rng: np.random.Generator
) -> Candidates:
    """Allowed cuts, `num_per_site` for every site at least, wherever they are; any may be the control of any site."""
    score = None
    if isinstance(pool, pd.DataFrame):
        positions, score = _given(pool, genome, allowed)
    elif pool == "bedtools":
        num = max(MIN_PER_POOL, num_sites * num_per_site)
        positions = shuffled_genome_pool(genome, allowed, num, seed=int(rng.integers(2**31)))
    elif pool == "uniform":
        positions = allowed.draw(max(MIN_PER_POOL, num_sites * num_per_site), rng)
    else:
        raise ValueError(f"expected the pool 'uniform', 'bedtools' or a table of candidates, got {pool!r}")
    groups = np.zeros(len(positions.cut), dtype=np.int64)
    return Candidates(positions, np.zeros(num_sites, dtype=np.int64), groups, score)


def decoy_candidates(
    genome: Genome,
    allowed: AllowedCuts,
    sites: Positions,
    span: Span,
    pool: Pool,
    *,
    num_per_site: int,
    rng: np.random.Generator,
) -> Candidates:
    """Allowed positions that carry the letters of some site in `span`; groups are these letters.

    `num_per_site` for every site with the letters at least, where the genome has so many. Sites whose letters leave the
    contig or hold N have the group -1, which no candidate has.
    """
    site_codes = literal_codes(genome, sites, span)
    if isinstance(pool, pd.DataFrame):
        positions, _ = _given(pool, genome, allowed)
        codes = literal_codes(genome, positions, span)
        known = codes != NO_CODE
        return Candidates(positions.take(known), site_codes, codes[known])
    if pool != "uniform":
        raise ValueError(f"decoys are found by their letters: expected the pool 'uniform' or a table, got {pool!r}")
    wanted, num_sites = np.unique(site_codes[site_codes != NO_CODE], return_counts=True)
    limits = np.maximum(num_sites * num_per_site, MIN_PER_LITERAL)
    positions, codes = decoys(genome, allowed, wanted, span, num_per_code=limits, rng=rng)
    return Candidates(positions, site_codes, codes)


def _given(pool: pd.DataFrame, genome: Genome, allowed: AllowedCuts) -> tuple[Positions, np.ndarray | None]:
    positions = positions_of(pool, genome.contigs)
    rows = allowed.contains(positions)
    score = pool["score"].to_numpy(dtype=np.float64)[rows] if "score" in pool.columns else None
    return positions.take(rows), score
