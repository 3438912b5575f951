"""Control positions for the rungs of the null ladder that need no new sequence: pairs of a site and its controls."""

import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ldarnet.genome import Genome
from ldarnet_analysis.balance import balance_table
from ldarnet_analysis.candidates import Pool, decoy_candidates, place_candidates
from ldarnet_analysis.control_rules import DECOY_RUNGS, RULES, ControlRules, Landmarks, decoy_span, only_class
from ldarnet_analysis.covariates import COMPOSITION, covariates
from ldarnet_analysis.matching import match_pairs
from ldarnet_analysis.pools import allow_cuts
from ldarnet_analysis.positions import Positions, positions_of
from ldarnet_analysis.sites import check_sites

PAIR_COLUMNS = ["pair_id", "site_id", "rung", "chrom", "cut", "strand"]


@dataclass(frozen=True)
class Controls:
    """`pairs` (PAIR_COLUMNS), `balance` (BALANCE_COLUMNS), `unmatched` (site_id, reason), and sentences to show."""

    pairs: pd.DataFrame
    balance: pd.DataFrame
    unmatched: pd.DataFrame
    notes: tuple[str, ...]


def draw_controls(
    rung: str,
    sites: pd.DataFrame,
    genome: Genome,
    *,
    landmarks: Landmarks | None = None,
    flank_bp: int = 200,
    rules: ControlRules | None = None,
    pool: Pool = "uniform",
    kind: str | None = None,
    seed: int,
) -> Controls:
    """Controls of one rung (`RULES`) for sites of one class, paired, each place used once.

    Windows reach `flank_bp` to each side, inside their contig and free of N. `pool` is where candidates come from:
    the allowed genome, `bedtools shuffle`, or a table (chrom, cut, strand); if that has a column `score`, decoys of
    `same-kmer` share their site's score in place of its letters. Sites without a control are listed with the
    reason; calipers are never widened. `kind` is what the sites are ("donor", ...), by default their class. Raises
    ValueError for tables and rules that cannot work.
    """
    if rung not in RULES:
        raise ValueError(f"expected a rung out of {', '.join(RULES)}, got {rung!r}")
    landmarks, rules, sites = landmarks or Landmarks(), rules or RULES[rung], check_sites(sites)
    site_class = only_class(sites)
    rng = np.random.default_rng([seed, zlib.crc32(f"{rung} {site_class}".encode())])

    everywhere = positions_of(sites, genome.contigs)
    has_window = allow_cuts(genome, flank_bp).contains(everywhere)
    own = everywhere.take(has_window)
    allowed = allow_cuts(
        genome,
        flank_bp,
        avoid=_with_annotated(everywhere, landmarks, genome),
        exclusion_bp=rules.exclusion_bp,
        exclude_regions=landmarks.exclude_regions,
    )
    by_score = rung == "same-kmer" and isinstance(pool, pd.DataFrame) and "score" in pool.columns
    num_per_site = rules.candidates_per_site * rules.per_site
    if rung in DECOY_RUNGS and not by_score:
        span = rules.span or decoy_span(rung, sites, kind)
        found = decoy_candidates(genome, allowed, own, span, pool, num_per_site=num_per_site, rng=rng)
    else:
        found = place_candidates(genome, allowed, len(own.cut), pool, num_per_site=num_per_site, rng=rng)

    calipers, notes = _possible_calipers(rules.calipers, landmarks, by_score=by_score)
    site_values, pool_values = (
        _covariates(genome, positions, score, flank_bp, calipers, landmarks)
        for positions, score in ((own, sites["score"].to_numpy()[has_window]), (found.positions, found.score))
    )
    matching = match_pairs(
        site_values,
        pool_values,
        calipers,
        # Both strands of a cut are one place: a track that is the mean of both has one value for them.
        identity=allowed.axis.numbers(found.positions.contig, found.positions.cut),
        rng=rng,
        groups=(found.site_groups, found.groups),
        preferred=(own.contig, found.positions.contig) if rules.same_contig else None,
        per_site=rules.per_site,
    )
    balance = balance_table(
        site_class,
        rung,
        site_values,
        pool_values,
        site_values.iloc[matching.site],
        pool_values.iloc[matching.candidate],
    )
    rows = np.flatnonzero(has_window)
    reasons = {
        int(row): f"window: its {2 * flank_bp} bases leave the contig or hold N" for row in np.flatnonzero(~has_window)
    }
    reasons |= {int(rows[i]): reason for i, reason in matching.reasons.items()}
    pairs = _pair_table(
        rung, sites.iloc[rows[matching.site]], found.positions.take(matching.candidate).table(genome.contigs)
    )
    unmatched = pd.DataFrame(
        [(sites["site_id"].iloc[row], reasons[row]) for row in sorted(reasons)], columns=["site_id", "reason"]
    )
    return Controls(pairs, balance, unmatched, (*notes, *_shortfall(len(sites), pairs, unmatched, rules.per_site)))


def _with_annotated(sites: Positions, landmarks: Landmarks, genome: Genome) -> Positions:
    """The sites, and all other annotated ones: what no control may be."""
    if landmarks.annotated is None:
        return sites
    annotated = positions_of(landmarks.annotated, genome.contigs)
    return Positions(*map(np.concatenate, zip(sites, annotated, strict=True)))


def _possible_calipers(
    calipers: Mapping[str, float], landmarks: Landmarks, *, by_score: bool
) -> tuple[dict[str, float], list[str]]:
    """The calipers whose covariate can be had here, and a note for each that was left out."""
    possible, notes = dict(calipers), []
    if not by_score:
        possible.pop("score", None)
    for name, source, missing in (
        ("repeat_share", landmarks.repeats, "no repeats were given (lower-case letters or a BED file)"),
        ("log_tss_distance", landmarks.tss, "no TSS were given"),
    ):
        if source is None and possible.pop(name, None) is not None:
            notes.append(f"{name} is not matched: {missing}")
    return possible, notes


def _covariates(
    genome: Genome,
    positions: Positions,
    score: np.ndarray | None,
    flank_bp: int,
    calipers: Mapping[str, float],
    landmarks: Landmarks,
) -> pd.DataFrame:
    names = tuple(calipers) or COMPOSITION  # a rung that matches nothing still shows how far off its composition is
    table = covariates(
        genome,
        positions,
        flank_bp,
        tuple(name for name in names if name != "score"),
        repeats=landmarks.repeats,
        tss=None if landmarks.tss is None else positions_of(landmarks.tss, genome.contigs),
    )
    return table.assign(score=score) if "score" in names else table


def _pair_table(rung: str, sites: pd.DataFrame, controls: pd.DataFrame) -> pd.DataFrame:
    """One row per control; `sites` holds the site of each, in the same order."""
    site_id = sites["site_id"].reset_index(drop=True)
    number = site_id.groupby(site_id).cumcount().astype(str)
    pair_id = rung + ":" + number + ":" + site_id
    return controls.assign(pair_id=pair_id, site_id=site_id, rung=rung)[PAIR_COLUMNS]


def _shortfall(num_sites: int, pairs: pd.DataFrame, unmatched: pd.DataFrame, per_site: int) -> list[str]:
    """Sentences on the sites without any control, and on those with fewer than asked for."""
    notes = []
    if len(unmatched):
        kinds = Counter(unmatched["reason"].str.partition(":")[0])
        counts = ", ".join(f"{kind} {num:,}" for kind, num in kinds.most_common())
        notes.append(f"{len(unmatched):,} of {num_sites:,} sites have no control ({counts})")
    num_short = int((pairs["site_id"].value_counts() < per_site).sum())
    if num_short:
        notes.append(f"{num_short:,} of {num_sites:,} sites have fewer than {per_site} controls")
    return notes
