"""Paired matching: for every site its nearest unused candidates, none of them beyond the caliper."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

NUM_NEIGHBOURS = 32
_NOBODY = -1


@dataclass(frozen=True)
class Matching:
    """Pairs of rows (`site` and `candidate`, int64 [num_pairs], by site) and, for sites without, why not."""

    site: np.ndarray
    candidate: np.ndarray
    reasons: dict[int, str]


def match_pairs(
    sites: pd.DataFrame,
    candidates: pd.DataFrame,
    calipers: Mapping[str, float],
    *,
    identity: np.ndarray,
    rng: np.random.Generator,
    groups: tuple[np.ndarray, np.ndarray] | None = None,
    preferred: tuple[np.ndarray, np.ndarray] | None = None,
    per_site: int = 1,
) -> Matching:
    """Match rows of two tables of covariates (the columns that `calipers` names) greedily, nearest first.

    A caliper is the largest difference allowed in one covariate, in standard deviations of the sites (infinite:
    counts for the distance but does not limit). Distances are Euclidean in units of calipers (of standard deviations
    for infinite ones). Sites choose in random order, one candidate each per round of `per_site`. Candidates of one
    `identity` (int [num_candidates]) are the same place and used once. With `groups`, one label per site and per
    candidate, matches are within a group only; with `preferred` labels, sites that find a candidate of their own label
    take no other. Without calipers the choice is uniform. Calipers are never widened.
    """
    names = list(calipers)
    limits = np.array([calipers[name] for name in names], dtype=np.float64)
    if np.isnan(limits).any() or (limits <= 0).any():
        raise ValueError(f"expected calipers above 0, got {dict(calipers)}")
    if per_site < 1:
        raise ValueError(f"expected 1 or more controls per site, got {per_site}")
    own, pool = sites[names].to_numpy(dtype=np.float64), candidates[names].to_numpy(dtype=np.float64)
    if np.isnan(own).any() or np.isnan(pool).any():
        raise ValueError("expected a value of every covariate for every site and candidate, got NaN")
    deviation = own.std(axis=0, ddof=1) if len(own) > 1 else np.zeros(len(names))
    # Where all sites agree there is no unit but that of the candidates.
    unit = np.where(deviation > 0, deviation, pool.std(axis=0) if len(pool) else 1.0)
    unit[unit == 0] = 1.0
    scale = unit * np.where(np.isfinite(limits), limits, 1.0)
    matcher = _Matcher(own / scale, pool / scale, np.isfinite(limits), identity, rng)
    site_groups, pool_groups = groups or (np.zeros(len(own), dtype=np.int64), np.zeros(len(pool), dtype=np.int64))
    pairs: list[tuple[int, int]] = []
    reasons: dict[int, str] = {}
    for label in np.unique(site_groups):
        rows, members = np.flatnonzero(site_groups == label), np.flatnonzero(pool_groups == label)
        if preferred is not None:
            own_label, label_of = preferred[0][rows], preferred[1][members]
            for each in np.unique(own_label):
                pairs += matcher.match(rows[own_label == each], members[label_of == each], per_site)
            rows = np.setdiff1d(rows, [site for site, _ in pairs])
        matched = matcher.match(rows, members, per_site)
        pairs += matched
        for row in sorted(set(rows.tolist()) - {site for site, _ in matched}):
            reasons[row] = matcher.reason(row, members, names, limits)
    table = np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)
    return Matching(table[:, 0], table[:, 1], reasons)


class _Matcher:
    """Sites and candidates in units of calipers, and which places are used."""

    def __init__(
        self,
        own: np.ndarray,
        pool: np.ndarray,
        is_limited: np.ndarray,
        identity: np.ndarray,
        rng: np.random.Generator,
    ) -> None:
        self._own, self._pool, self._is_limited, self._rng = own, pool, is_limited, rng
        _, self._place = np.unique(identity, return_inverse=True)
        self._is_used = np.zeros(int(self._place.max(initial=-1)) + 1, dtype=bool)

    def match(self, rows: np.ndarray, members: np.ndarray, per_site: int) -> list[tuple[int, int]]:
        """Pairs of a site row and a candidate row within one group."""
        if not len(members):
            return []
        chooser = _Nearest(self._own[rows], self._pool[members], self._is_limited) if self._own.shape[1] else None
        lots = self._rng.permutation(members).tolist() if chooser is None else []
        pairs = []
        waiting = np.arange(len(rows))
        for _ in range(per_site):
            served = []
            for i in self._rng.permutation(waiting).tolist():
                candidate = self._choose(chooser, i, members, lots)
                if candidate != _NOBODY:
                    self._is_used[self._place[candidate]] = True
                    pairs.append((int(rows[i]), candidate))
                    served.append(i)
            waiting = np.array(served, dtype=np.int64)  # who found none will find none in a later round
        return pairs

    def _choose(self, chooser: "_Nearest | None", i: int, members: np.ndarray, lots: list[int]) -> int:
        if chooser is None:
            while lots:
                candidate = lots.pop()
                if not self._is_used[self._place[candidate]]:
                    return candidate
            return _NOBODY
        num_neighbours = NUM_NEIGHBOURS
        while True:
            near, is_all = chooser.within(i, num_neighbours)
            free = near[~self._is_used[self._place[members[near]]]]
            if len(free):
                return int(members[free[0]])
            if is_all:
                return _NOBODY
            num_neighbours *= 4

    def reason(self, row: int, members: np.ndarray, names: list[str], limits: np.ndarray) -> str:
        """Why a site of a group has no control."""
        if not len(members):
            return "no candidate: none is allowed, or none carries its letters"
        gaps = np.where(self._is_limited, np.abs(self._pool[members] - self._own[row]), 0.0)
        worst = gaps.max(axis=1, initial=0.0)
        num_within = int((worst <= 1).sum())
        if num_within:
            return f"taken: other sites have all {num_within:,} candidates within the caliper"
        nearest = int(worst.argmin())
        column = int(gaps[nearest].argmax())
        return (
            f"caliper: the nearest of {len(members):,} candidates differs by "
            f"{gaps[nearest, column] * limits[column]:.2f} SD in {names[column]} (caliper {limits[column]:g} SD)"
        )


class _Nearest:
    """The candidates within the caliper of a site, nearest first."""

    def __init__(self, own: np.ndarray, pool: np.ndarray, is_limited: np.ndarray) -> None:
        self._own, self._pool, self._is_limited = own, pool, is_limited
        self._tree = cKDTree(pool)
        # The box of the calipers lies within this radius; an unlimited covariate has no radius.
        self._radius = np.sqrt(len(is_limited)) if is_limited.all() else np.inf
        self._first = self._query(own, NUM_NEIGHBOURS)

    def within(self, i: int, num_neighbours: int) -> tuple[np.ndarray, bool]:
        """Candidates within the caliper among the `num_neighbours` nearest, and whether there can be no more."""
        if num_neighbours == NUM_NEIGHBOURS:
            near = self._first[i]
        else:
            near = self._query(self._own[i : i + 1], num_neighbours)[0]
        found = near[near < len(self._pool)]
        gaps = np.abs(self._pool[found] - self._own[i])[:, self._is_limited]
        return found[(gaps <= 1).all(axis=1)], len(found) < num_neighbours

    def _query(self, points: np.ndarray, num_neighbours: int) -> np.ndarray:
        """Candidates by distance [num_points, num_neighbours]; past the last one within the radius, a row too many."""
        ranks = np.arange(1, num_neighbours + 1)
        found: np.ndarray = self._tree.query(points, k=ranks, distance_upper_bound=self._radius * (1 + 1e-9))[1]
        return found
