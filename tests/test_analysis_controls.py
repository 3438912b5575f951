"""Control positions: how they are matched with their sites, and what each rung promises."""

import gzip

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ldarnet.genome import open_genome
from ldarnet_analysis.balance import BALANCE_COLUMNS, imbalance, refuse_if_unbalanced, standardised_mean_difference
from ldarnet_analysis.control_rules import RULES, ControlRules, Landmarks
from ldarnet_analysis.controls import PAIR_COLUMNS, draw_controls
from ldarnet_analysis.covariates import covariates
from ldarnet_analysis.matching import match_pairs
from ldarnet_analysis.pools import allow_cuts
from ldarnet_analysis.positions import positions_of, sense_bases
from ldarnet_analysis.sites import make_sites
from tests.genome_arrays import (
    EVERYWHERE,
    as_set,
    genome_of,
    random_ids,
    sense,
)

# Matching


@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(0, 60), st.integers(1, 3), st.booleans())
@settings(max_examples=200, deadline=None)
def test_matching_keeps_its_promises(seed, num_sites, num_candidates, per_site, limited):
    rng = np.random.default_rng(seed)
    sites, pool = (pd.DataFrame(rng.normal(size=(num, 2)), columns=["x", "y"]) for num in (num_sites, num_candidates))
    calipers = {"x": 0.8, "y": 0.5 if limited else np.inf}
    identity = rng.integers(0, max(1, num_candidates // 2 + 1), num_candidates)
    groups = rng.integers(0, 2, num_sites), rng.integers(0, 2, num_candidates)
    arguments = {"identity": identity, "groups": groups, "per_site": per_site}
    found = match_pairs(sites, pool, calipers, rng=np.random.default_rng(1), **arguments)
    again = match_pairs(sites, pool, calipers, rng=np.random.default_rng(1), **arguments)
    assert np.array_equal(found.candidate, again.candidate)

    deviation = sites.std(ddof=1).to_numpy() if num_sites > 1 else np.zeros(2)
    unit = np.where(deviation > 0, deviation, pool.std(ddof=0).to_numpy() if num_candidates else 1)
    unit[unit == 0] = 1
    limits = np.array(list(calipers.values()))
    gaps = np.abs(sites.to_numpy()[:, None] - pool.to_numpy()[None]) / unit
    may = (gaps <= limits * (1 + 1e-12)).all(axis=2) & (groups[0][:, None] == groups[1][None])
    assert may[found.site, found.candidate].all(), "a pair is beyond the caliper or across groups"
    used = identity[found.candidate]
    assert len(np.unique(used)) == len(used), "a place was used twice"
    counts = np.bincount(found.site, minlength=num_sites)
    assert (counts <= per_site).all()
    free = ~np.isin(identity, used)
    assert not may[counts < per_site][:, free].any(), "a site went without although a candidate was free"
    assert set(found.reasons) == set(np.flatnonzero(counts == 0).tolist())
    for site, reason in found.reasons.items():
        kind = reason.partition(":")[0]
        in_group = (groups[1] == groups[0][site]).any()
        assert kind == ("taken" if may[site].any() else "caliper" if in_group else "no candidate")


def test_the_nearest_candidate_is_taken_and_its_own_contig_first():
    sites = pd.DataFrame({"x": [0.0, 10.0]})
    pool = pd.DataFrame({"x": [1.0, 0.1, 9.0, 10.2]})
    arguments = {"identity": np.arange(4), "rng": np.random.default_rng(0)}
    assert match_pairs(sites, pool, {"x": 1.0}, **arguments).candidate.tolist() == [1, 3]
    preferred = np.array([0, 1]), np.array([0, 2, 1, 2])
    assert match_pairs(sites, pool, {"x": 1.0}, preferred=preferred, **arguments).candidate.tolist() == [0, 2]
    preferred = np.array([0, 1]), np.array([0, 2, 2, 2])
    assert match_pairs(sites, pool, {"x": 1.0}, preferred=preferred, **arguments).candidate.tolist() == [0, 3]


def test_sites_choose_in_random_order():
    sites, pool = pd.DataFrame({"x": [0.0, 2.0]}), pd.DataFrame({"x": [1.0]})
    arguments = {"identity": np.zeros(1)}
    winners = [
        match_pairs(sites, pool, {"x": 1.0}, rng=np.random.default_rng(seed), **arguments).site.tolist()
        for seed in range(40)
    ]
    assert {tuple(each) for each in winners} == {(0,), (1,)}


def test_more_sites_than_neighbours_asked_for_at_first_share_one_cluster():
    sites, pool = pd.DataFrame({"x": np.zeros(300)}), pd.DataFrame({"x": np.linspace(0, 0.5, 299)})
    found = match_pairs(sites, pool, {"x": 9.0}, identity=np.arange(299), rng=np.random.default_rng(0))
    assert sorted(found.candidate.tolist()) == list(range(299))
    assert len(found.reasons) == 1
    assert "taken: other sites have all 299 candidates" in next(iter(found.reasons.values()))


@pytest.mark.parametrize("caliper", [0.0, -1.0, float("nan")])
def test_calipers_that_are_no_limit_are_refused(caliper):
    table = pd.DataFrame({"x": [1.0]})
    with pytest.raises(ValueError, match="expected calipers above 0"):
        match_pairs(table, table, {"x": caliper}, identity=np.zeros(1), rng=np.random.default_rng(0))


# Balance


def test_the_standardised_difference_by_hand():
    # means 2 and 5, variances 1 and 4
    assert standardised_mean_difference(np.array([1.0, 2, 3]), np.array([3.0, 5, 7])) == pytest.approx(-3 / 2.5**0.5)
    assert standardised_mean_difference(np.ones(3), np.ones(2)) == 0
    assert standardised_mean_difference(np.ones(3), np.zeros(2)) == np.inf
    assert np.isnan(standardised_mean_difference(np.ones(3), np.empty(0)))


def test_imbalance_is_refused_unless_forced():
    rows = [
        ("donor", "gc", "gc", 1.0, -0.12),
        ("donor", "gc", "gc_upstream", 1.0, 0.1),
        ("donor", "random", "gc", 1, 1),
    ]
    table = pd.DataFrame(rows, columns=BALANCE_COLUMNS)
    with pytest.raises(ValueError, match=r"at most 0.1, got donor gc: \|SMD\| of gc is 0.120$"):
        refuse_if_unbalanced(table)
    assert refuse_if_unbalanced(table, force=True) == imbalance(table) != ""
    assert refuse_if_unbalanced(table, limit=0.12) == ""
    assert "nan" in imbalance(table.assign(smd_after=np.nan))


# All together


@pytest.fixture(scope="module")
def toy():
    """300 kb of uneven composition with 60 sites in its GC-rich parts."""
    parts = [random_ids(10_000, seed, gc=0.3 + 0.04 * (seed % 10)) for seed in range(30)]
    genome = genome_of({"a": np.concatenate(parts[:20]), "b": np.concatenate(parts[20:])})
    rng = np.random.default_rng(0)
    cut = np.sort(rng.choice(np.arange(60_000, 200_000 - 300), 60, replace=False))
    sites = make_sites(chrom="a", cut=cut, strand=rng.choice(["+", "-"], 60), site_class="donor")
    return genome, sites


@pytest.mark.parametrize("rung", list(RULES))
def test_every_rung_gives_pairs_that_keep_its_rules(toy, rung):
    genome, sites = toy
    rng = np.random.default_rng(5)
    repeats = pd.DataFrame({"chrom": "a", "start": np.arange(0, 200_000, 1000)})
    repeats["end"] = repeats["start"] + rng.integers(1, 900, len(repeats))
    tss = make_sites(chrom=["a", "b"], cut=[100_000, 50_000], strand="+", site_class="TSS")
    annotated = make_sites(chrom="b", cut=np.arange(1000, 100_000, 50), strand="-", site_class="acceptor")
    landmarks = Landmarks(annotated=annotated, tss=tss, repeats=repeats)
    rules = RULES[rung] if rung != "same-kmer" else ControlRules(RULES[rung].calipers, span=(-2, 3))
    found = draw_controls(rung, sites, genome, landmarks=landmarks, flank_bp=100, rules=rules, seed=1)
    assert list(found.pairs.columns) == PAIR_COLUMNS
    assert found.pairs["pair_id"].is_unique and (found.pairs["rung"] == rung).all()
    assert set(found.pairs["site_id"]) ^ set(found.unmatched["site_id"]) == set(sites["site_id"])
    assert len(found.pairs) >= 0.8 * len(sites)
    assert not found.pairs.duplicated(["chrom", "cut"]).any()
    merged = found.pairs.merge(sites, on="site_id", suffixes=("", "_of_site"))
    taken = pd.concat([sites, annotated])
    for row in merged.itertuples():
        nearest = (taken.loc[taken["chrom"] == row.chrom, "cut"] - row.cut).abs().min()
        assert nearest > rules.exclusion_bp
        if rung.startswith("same-"):
            span = (0, 2) if rung == "same-dinucleotide" else (-2, 3)
            own = sense(genome, row.chrom_of_site, row.cut_of_site, row.strand_of_site, span)
            assert sense(genome, row.chrom, row.cut, row.strand, span) == own
    assert (found.balance["class"] == "donor").all() and (found.balance["rung"] == rung).all()
    if rung == "random":
        assert (found.balance["smd_after"].abs() > 0.3).any(), "the sites lie where GC is high; random controls do not"
        assert imbalance(found.balance) == ""
    else:
        assert set(found.balance["covariate"]) == set(rules.calipers) - {"score"}
        # Recomputed from the pairs alone, so that the table cannot flatter.
        tables = [
            covariates(
                genome,
                positions_of(table, genome.contigs),
                100,
                tuple(found.balance["covariate"]),
                repeats=repeats,
                tss=positions_of(tss, genome.contigs),
            )
            for table in (
                merged[["chrom_of_site", "cut_of_site", "strand_of_site"]].set_axis(EVERYWHERE, axis=1),
                merged,
            )
        ]
        smd = [standardised_mean_difference(*(table[name].to_numpy() for table in tables)) for name in tables[0]]
        assert np.allclose(found.balance["smd_after"], smd)
        gaps = (tables[0] - tables[1]).abs().max()
        assert (gaps <= tables[0].std() * 1.2 * pd.Series(dict(rules.calipers)).reindex(gaps.index)).all()


def test_several_controls_per_site_and_other_seeds(toy):
    genome, sites = toy
    rules = ControlRules(RULES["gc"].calipers, per_site=3)
    one, again, other = (draw_controls("gc", sites, genome, rules=rules, seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one.pairs, again.pairs)
    assert as_set(one.pairs) != as_set(other.pairs)
    assert one.pairs["site_id"].value_counts().max() == 3
    assert one.pairs["pair_id"].iloc[:3].str[:5].tolist() == ["gc:0:", "gc:1:", "gc:2:"]


def test_impossible_sites_are_listed_with_their_reason_and_counted(toy):
    genome, sites = toy
    edge = make_sites(chrom="a", cut=[3, 199_999], strand="+", site_class="donor")
    rules = ControlRules({"gc": 1e-9, "gc_upstream": 1e-9, "cpg": 1e-9})
    found = draw_controls("gc", pd.concat([sites, edge]), genome, rules=rules, seed=1)
    reasons = found.unmatched.set_index("site_id")["reason"]
    assert (reasons[edge["site_id"]] == "window: its 400 bases leave the contig or hold N").all()
    assert reasons.str.match(r"caliper: the nearest of 100,000 candidates differs by \d+\.\d\d SD in \w+").sum() > 30
    assert f"{len(reasons)} of 62 sites have no control (caliper {len(reasons) - 2}, window 2)" in found.notes
    nothing = draw_controls("same-kmer", sites, genome, rules=ControlRules(span=(-15, 15)), seed=1)
    assert nothing.pairs.empty and len(nothing.unmatched) == 60
    assert imbalance(nothing.balance), "controls that do not exist are not balanced"
    assert nothing.notes == ("60 of 60 sites have no control (no candidate 60)",)


def test_decoys_may_be_given_with_scores_and_kept_out_of_functional_windows(toy):
    genome, sites = toy
    motifs = make_sites(
        chrom=sites["chrom"], cut=sites["cut"], strand=sites["strand"], site_class="TATA-box",
        score=np.linspace(5, 9, 60),
    )  # fmt: skip
    rng = np.random.default_rng(2)
    hits = allow_cuts(genome, 200).draw(20_000, rng).table(genome.contigs)
    hits["score"] = rng.uniform(4, 10, len(hits))
    window = pd.DataFrame({"chrom": ["a"], "start": [0], "end": [100_000]})
    landmarks = Landmarks(exclude_regions=window)
    found = draw_controls("same-kmer", motifs, genome, landmarks=landmarks, pool=hits, seed=1)
    merged = found.pairs.merge(motifs, on="site_id", suffixes=("", "_of_site")).merge(hits, on=list(EVERYWHERE))
    assert len(merged) == len(found.pairs) > 50
    assert ((merged["score_x"] - merged["score_y"]).abs() <= 0.2 * motifs["score"].std()).all()
    assert not ((merged["chrom"] == "a") & (merged["cut"] <= 100_000)).any()
    assert "score" in set(found.balance["covariate"])


def test_covariates_without_their_source_are_left_out_with_a_note(toy):
    genome, sites = toy
    found = draw_controls("matched", sites, genome, seed=1)
    assert set(found.balance["covariate"]) == {"gc", "gc_upstream", "gc_downstream", "cpg"}
    assert [note.partition(" ")[0] for note in found.notes[:2]] == ["repeat_share", "log_tss_distance"]


@pytest.mark.parametrize(
    ("rung", "change", "message"),
    [
        ("best", {}, "expected a rung out of random, gc, matched, same-dinucleotide, same-kmer, got 'best'"),
        ("gc", {"class": ["donor", "TSS"] * 30}, "expected sites of one class, got classes donor, TSS"),
        ("gc", {"chrom": "chr1"}, "no such contigs in the genome: chr1; its contigs are a, b"),
        ("gc", {"cut": 200_001 + np.arange(60)}, "expected a cut in 0..200000 of a, got 200001"),
        ("same-dinucleotide", {"class": "TSS"}, "same-dinucleotide is for donor and acceptor sites, got TSS"),
        ("same-kmer", {"kmer": ["ACG", "ACGT"] * 30}, r"motifs of one width in column kmer, got widths \[3, 4\]"),
    ],
)
def test_what_cannot_be_drawn_is_refused(toy, rung, change, message):
    genome, sites = toy
    with pytest.raises(ValueError, match=message):
        draw_controls(rung, sites.assign(**change), genome, seed=1)


def test_no_sites_and_foreign_pools_are_refused(toy):
    genome, sites = toy
    with pytest.raises(ValueError, match="expected sites of one class, got no sites"):
        draw_controls("gc", sites.iloc[:0], genome, seed=1)
    with pytest.raises(ValueError, match="expected the pool 'uniform', 'bedtools' or a table"):
        draw_controls("gc", sites, genome, pool="everywhere", seed=1)
    with pytest.raises(ValueError, match="decoys are found by their letters"):
        draw_controls("same-kmer", sites, genome, pool="bedtools", seed=1)


# The pool that bedtools places


def test_a_bedtools_pool_serves_as_the_uniform_one(toy):
    pytest.importorskip("pybedtools")
    genome, sites = toy
    found = draw_controls("gc", sites, genome, pool="bedtools", seed=3)
    pd.testing.assert_frame_equal(found.pairs, draw_controls("gc", sites, genome, pool="bedtools", seed=3).pairs)
    assert len(found.pairs) == 60 and imbalance(found.balance) == ""


def test_a_missing_bedtools_is_named(toy, monkeypatch):
    monkeypatch.setenv("PATH", "")
    genome, sites = toy
    with pytest.raises(ValueError, match="needs the program bedtools, which was not found: install it"):
        draw_controls("gc", sites, genome, pool="bedtools", seed=3)


def test_real_introns_have_balanced_controls(shared_data):
    """Donors and acceptors of the introns in the human test window of chromosome 19."""
    folder = shared_data / "data" / "human"
    rows, tss = [], []
    with gzip.open(folder / "hg38_protein_coding_transcripts.bed12.gz", "rt") as lines:
        for line in lines:
            if not line.startswith("chr19\t"):
                continue
            chrom, start, end, name, _, strand, _, _, _, sizes, starts, *_ = line.rstrip("\n").split("\t")
            if int(end) > 2_378_552 or strand not in "+-":
                continue
            first = int(start) + np.array(starts.rstrip(",").split(","), dtype=int)
            last = first + np.array(sizes.rstrip(",").split(","), dtype=int)
            kinds = ("donor", "acceptor") if strand == "+" else ("acceptor", "donor")
            rows += [(chrom, cut, strand, kinds[0], name) for cut in last[:-1]]
            rows += [(chrom, cut, strand, kinds[1], name) for cut in first[1:]]
            tss.append((chrom, int(start) if strand == "+" else int(end), strand))
    table = pd.DataFrame(rows, columns=["chrom", "cut", "strand", "class", "gene"])
    table = table.drop_duplicates(["chrom", "cut", "strand", "class"])
    annotated = make_sites(
        chrom=table["chrom"], cut=table["cut"], strand=table["strand"], site_class=table["class"], locus=table["gene"]
    )
    landmarks = Landmarks(annotated=annotated, tss=pd.DataFrame(tss, columns=EVERYWHERE))
    with open_genome(folder / "hg38.chr19_1-2378552.fa.gz") as genome:
        for site_class, rung in (("donor", "gc"), ("donor", "matched"), ("acceptor", "same-dinucleotide")):
            sites = annotated[annotated["class"] == site_class]
            assert len(sites) > 1000
            found = draw_controls(rung, sites, genome, landmarks=landmarks, seed=1)
            assert imbalance(found.balance) == ""
            assert len(found.unmatched) < 0.25 * len(sites), (rung, found.notes)
        pairs = found.pairs.merge(sites, on="site_id", suffixes=("", "_of_site"))
        for row in pairs.head(50).itertuples():
            ends = (
                sense_bases(genome, "chr19", cut, strand, 2, 0)
                for cut, strand in ((row.cut, row.strand), (row.cut_of_site, row.strand_of_site))
            )
            assert np.array_equal(*ends)
