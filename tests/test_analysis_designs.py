"""Designed sequences: what each rung keeps, what it changes, on both strands, and on disk."""

from collections import Counter
from itertools import permutations
from math import prod

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ldarnet import vocab
from ldarnet.genome import open_genome
from ldarnet_analysis.ablation import ablate, literal_test
from ldarnet_analysis.controls import PAIR_COLUMNS
from ldarnet_analysis.design_files import read_design, write_design
from ldarnet_analysis.designs import DESIGN_COLUMNS, DESIGNED_RUNGS, design, join_designs, local_span, record_pairs
from ldarnet_analysis.shuffles import num_arrangements
from ldarnet_analysis.sites import make_sites
from tests.genome_arrays import genome_of, random_ids, reversed_genome, reversed_table, sense, some_sites

WINDOW_BP = 61
GENOME = genome_of({"a": random_ids(3000, 1, gc=0.45), "b": random_ids(2000, 2, gc=0.6)})


def sites_of(site_class="donor", num=12, seed=0):
    return some_sites(GENOME, num, seed, site_class, margin_bp=WINDOW_BP)


def pairs_for(sites, seed=7):
    """Any other places as the sites' controls, two each."""
    places = some_sites(GENOME, 2 * len(sites), seed, margin_bp=WINDOW_BP)
    site_id = np.repeat(sites["site_id"].to_numpy(), 2)
    return places.assign(site_id=site_id, pair_id=[f"gc:{i}" for i in range(len(places))], rung="gc")[PAIR_COLUMNS]


def klets(ids, k):
    return Counter(tuple(ids[i : i + k].tolist()) for i in range(len(ids) - k + 1))


def of_rung(made, rung):
    """{site_id: sequences} of one rung."""
    sequences, found = dict(made.records), {}
    for row in made.table[made.table["rung"] == rung].itertuples():
        found.setdefault(row.site_id, []).append(sequences[row.record])
    return found


@pytest.mark.parametrize("rung", DESIGNED_RUNGS)
@pytest.mark.parametrize("window_bp", [60, 61])
def test_native_records_are_the_sense_windows_of_the_sites(rung, window_bp):
    sites = sites_of()
    made = design(rung, sites, GENOME, window_bp, pairs=pairs_for(sites), seed=1)
    assert list(made.table.columns) == DESIGN_COLUMNS
    assert [name for name, _ in made.records] == made.table["record"].tolist()
    assert made.table["record"].is_unique and made.table["pair_id"].is_unique
    assert (made.table["cut"] == window_bp // 2).all() and (made.table["strand"] == "+").all()
    native = of_rung(made, "native")
    assert set(native) == set(sites["site_id"]) == set(of_rung(made, rung))
    span = (-(window_bp // 2), window_bp - window_bp // 2)
    for row in sites.itertuples():
        (ids,) = native[row.site_id]
        assert vocab.decode(ids) == sense(GENOME, row.chrom, row.cut, row.strand, span)


@given(st.integers(0, 10**6), st.integers(1, 3), st.sampled_from(["donor", "acceptor"]))
@settings(max_examples=25, deadline=None)
def test_each_rung_changes_what_it_says_and_nothing_else(seed, k, site_class):
    sites = sites_of(site_class, num=5, seed=seed % 100)
    first, last = local_span(sites)
    start, end = WINDOW_BP // 2 + first, WINDOW_BP // 2 + last
    core = WINDOW_BP // 2 + np.array([0, 1] if site_class == "donor" else [-2, -1])
    for rung in ("planted", "ablated", "shuffled"):
        made = design(rung, sites, GENOME, WINDOW_BP, k=k, per_site=2, seed=seed)
        native = of_rung(made, "native")
        for site_id, changed in of_rung(made, rung).items():
            (before,) = native[site_id]
            assert len(changed) == 2
            for after in changed:
                if np.array_equal(before, after):
                    # drawn by chance where there are few orders, as of 10 letters with k = 3
                    parts = [before[:start], before[end:]] if rung == "planted" else [before]
                    assert rung != "ablated" and 1 < prod(num_arrangements(part, k) for part in parts) < 10**6
                if rung == "shuffled":
                    assert klets(before, k) == klets(after, k)
                elif rung == "planted":
                    assert np.array_equal(before[start:end], after[start:end])
                    for part in (slice(None, start), slice(end, None)):
                        assert klets(before[part], k) == klets(after[part], k)
                    assert klets(before, k) == klets(after, k), "the letters at the seams stay"
                else:
                    assert np.array_equal(np.delete(before, range(start, end)), np.delete(after, range(start, end)))
                    assert klets(before[start:end], 1) == klets(after[start:end], 1)
                    assert not np.array_equal(before[core], after[core])


def test_a_swapped_window_is_the_controls_with_the_letters_of_the_site():
    sites = sites_of()
    pairs = pairs_for(sites)
    made = design("context-swap", sites, GENOME, WINDOW_BP, pairs=pairs, span=(-3, 6), seed=1)
    swapped = of_rung(made, "context-swap")
    for site in sites.itertuples():
        controls = pairs[pairs["site_id"] == site.site_id]
        assert len(swapped[site.site_id]) == len(controls) == 2
        for control, ids in zip(controls.itertuples(), swapped[site.site_id], strict=True):
            upstream = sense(GENOME, control.chrom, control.cut, control.strand, (-30, -3))
            local = sense(GENOME, site.chrom, site.cut, site.strand, (-3, 6))
            downstream = sense(GENOME, control.chrom, control.cut, control.strand, (6, 31))
            assert vocab.decode(ids) == upstream + local + downstream


@pytest.mark.parametrize("rung", DESIGNED_RUNGS)
@pytest.mark.parametrize("window_bp", [60, 61])
def test_the_reversed_genome_gives_the_same_designs(rung, window_bp):
    sites = sites_of()
    pairs, turned = pairs_for(sites), reversed_genome(GENOME)
    one = design(rung, sites, GENOME, window_bp, pairs=pairs, per_site=2, seed=3)
    other = design(
        rung,
        reversed_table(sites, GENOME),
        turned,
        window_bp,
        pairs=reversed_table(pairs, GENOME),
        per_site=2,
        seed=3,
    )
    key = ["site_id", "rung", "record"]
    pd.testing.assert_frame_equal(
        one.table.sort_values(key, ignore_index=True), other.table.sort_values(key, ignore_index=True)
    )
    for name, ids in one.records:
        assert np.array_equal(ids, dict(other.records)[name])


def test_a_record_depends_on_its_own_site_only():
    sites = sites_of()
    whole = dict(design("shuffled", sites, GENOME, WINDOW_BP, seed=1).records)
    part = dict(design("shuffled", sites.iloc[5:7], GENOME, WINDOW_BP, seed=1).records)
    other = dict(design("shuffled", sites, GENOME, WINDOW_BP, seed=2).records)
    assert part and all(np.array_equal(whole[name], ids) for name, ids in part.items())
    changed = [name for name in whole if name.startswith("shuffled")]
    assert all(not np.array_equal(whole[name], other[name]) for name in changed)


def test_sites_with_the_same_window_get_records_of_their_own():
    unit = random_ids(100, 3)
    sites = make_sites(chrom="a", cut=[150, 250, 350], strand="+", site_class="donor")
    made = design("shuffled", sites, genome_of({"a": np.tile(unit, 5)}), WINDOW_BP, per_site=2, seed=1)
    assert len({ids.tobytes() for name, ids in made.records if name.startswith("native")}) == 1
    assert len({ids.tobytes() for name, ids in made.records if name.startswith("shuffled")}) == 6


@pytest.mark.parametrize(("strand", "first", "last"), [("+", 30, 2969), ("-", 31, 2970)])
def test_windows_may_reach_to_the_very_ends_of_a_contig(strand, first, last):
    cuts = [first - 1, first, last, last + 1]
    sites = make_sites(chrom="a", cut=cuts, strand=strand, site_class="donor")
    made = design("shuffled", sites, GENOME, 61, seed=1)
    assert set(made.table["site_id"]) == {f"donor:a:{cut}:{strand}" for cut in (first, last)}
    assert (made.unmatched["reason"] == "window: it leaves the contig").all()


def test_sites_without_a_record_are_listed_and_counted():
    ids = random_ids(1000, 5)
    ids[500] = vocab.N
    ids[700:800] = vocab.A
    genome = genome_of({"a": ids})
    sites = make_sites(chrom="a", cut=[29, 30, 480, 531, 750, 970], strand="+", site_class="donor")
    made = design("planted", sites, genome, 60, seed=1)
    reasons = made.unmatched.set_index("site_id")["reason"]
    assert reasons.to_dict() == {
        "donor:a:29:+": "window: it leaves the contig",
        "donor:a:480:+": "window: it holds N",
        "donor:a:750:+": "shuffle: no other order has the same 2-lets",
    }
    assert made.notes[0] == "3 of 6 sites have no record (window 2, shuffle 1)"
    assert made.notes[1].startswith("letters changed per record: ")
    assert set(made.table["site_id"]) == {"donor:a:30:+", "donor:a:531:+", "donor:a:970:+"}
    ablated = design("ablated", sites, genome, 60, seed=1)
    assert "ablation: no order of AAAAAAAAA loses the motif" in set(ablated.unmatched["reason"])
    pairs = pairs_for(sites).assign(chrom="a", cut=10)
    swapped = design("context-swap", sites, genome, 60, pairs=pairs, seed=1)
    assert not swapped.records and len(swapped.unmatched) == 6
    assert "context: no control with a window of this size was given" in set(swapped.unmatched["reason"])


@given(st.text("ACGT", min_size=3, max_size=12), st.integers(0, 10**6))
@settings(max_examples=200, deadline=None)
def test_an_ablated_motif_is_on_neither_strand_and_keeps_its_letters(motif, seed):
    ids = random_ids(60, seed)
    ids[20 : 20 + len(motif)] = vocab.encode(motif)
    span = (0, len(motif))
    test = literal_test(ids, 20, span)
    after = ablate(ids, 20, span, test, np.random.default_rng(seed))
    if after is None:
        orders = set(permutations(motif)) if len(motif) < 8 else set()
        for order in orders:
            ids[20 : 20 + len(motif)] = vocab.encode("".join(order))
            assert test(ids, 20), "an order that would have done was not found"
        assert orders or len(set(motif)) <= 2
        return
    assert sorted(vocab.decode(after[20 : 20 + len(motif)])) == sorted(motif)
    stretch = vocab.decode(after[21 - len(motif) : 19 + 2 * len(motif)])
    assert motif not in stretch
    assert vocab.decode(vocab.reverse_complement(vocab.encode(motif))) not in stretch


def test_a_motif_test_of_ones_own_decides():
    sites = sites_of("TATA-box").assign(kmer="ACGTAC")
    assert local_span(sites) == (0, 6)
    seen = set()

    def starts_with_a_purine(ids, cut):
        seen.add(cut)
        return ids[cut] in (vocab.A, vocab.G)

    made = design("ablated", sites, GENOME, WINDOW_BP, still_matches=starts_with_a_purine, seed=1)
    assert seen == {WINDOW_BP // 2}
    changed = of_rung(made, "ablated")
    assert len(changed) > 6
    assert all(ids[WINDOW_BP // 2] in (vocab.C, vocab.T) for (ids,) in changed.values())
    purines_only = [site_id for site_id in sites["site_id"] if site_id not in changed]
    assert purines_only == made.unmatched["site_id"].tolist()


def test_a_class_without_a_motif_keeps_eight_letters():
    assert local_span(sites_of(num=1).assign(**{"class": "start-codon"})) == (-4, 4)


def test_designs_of_several_rungs_share_their_natives():
    sites = sites_of()
    one, two = (design(rung, sites, GENOME, WINDOW_BP, seed=1) for rung in ("planted", "shuffled"))
    joined = join_designs([one, two])
    assert Counter(joined.table["rung"]) == {"native": 12, "planted": 12, "shuffled": 12}
    assert [name for name, _ in joined.records] == joined.table["record"].tolist()
    assert joined.notes == one.notes + two.notes
    with pytest.raises(ValueError, match="one window size and one seed, got two sequences called"):
        join_designs([one, design("planted", sites, GENOME, WINDOW_BP + 2, seed=1)])


def test_the_table_gives_places_on_a_track_of_the_records():
    made = design("planted", sites_of(num=2), GENOME, WINDOW_BP, seed=1)
    places = record_pairs(made.table)
    assert list(places.columns) == PAIR_COLUMNS
    assert places["chrom"].tolist() == [name for name, _ in made.records]
    assert places["cut"].tolist() == [WINDOW_BP // 2] * 4


def test_a_design_comes_back_from_disk(tmp_path):
    made = design("planted", sites_of(), GENOME, 201, seed=1)
    write_design(made, tmp_path / "d.fa", tmp_path / "d.tsv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.fa", "d.tsv"]
    again = read_design(tmp_path / "d.fa", tmp_path / "d.tsv")
    pd.testing.assert_frame_equal(again.table, made.table)
    assert [name for name, _ in again.records] == [name for name, _ in made.records]
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(again.records, made.records, strict=True))
    with open_genome(tmp_path / "d.fa") as genome:
        assert {contig.length_bp for contig in genome.contigs} == {201}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\tcut\t", "\tposition\t", "expected the columns record, pair_id, site_id, rung, cut, strand"),
        ("\t30\t+", "\t61\t+", r"line 2: expected a cut in the 61 bases of native\.\S+, got '61'"),
        ("\t30\t+", "\t1e1\t+", "line 2: expected a cut in the .* got '1e1'"),
        ("\t30\t+", "\t30\t-", r"line 2: expected strand '\+', records being sense, got '-'"),
        ("native.0", "native.9", "to hold the same records, got 2 in one of them only, the first 'native.0."),
    ],
)
def test_a_table_that_does_not_fit_its_records_is_refused(tmp_path, old, new, message):
    write_design(design("planted", sites_of(num=1), GENOME, WINDOW_BP, seed=1), tmp_path / "d.fa", tmp_path / "d.tsv")
    table = tmp_path / "d.tsv"
    table.write_text(table.read_text().replace(old, new, 1))
    with pytest.raises(ValueError, match=message):
        read_design(tmp_path / "d.fa", table)


def test_nothing_is_written_of_a_design_without_records(tmp_path):
    sites = sites_of(num=1).assign(cut=3)
    made = design("shuffled", sites, GENOME, WINDOW_BP, seed=1)
    with pytest.raises(ValueError, match="without records cannot be written: 1 of 1 sites have no record"):
        write_design(made, tmp_path / "d.fa", tmp_path / "d.tsv")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("rung", "change", "arguments", "message"),
    [
        ("gc", {}, {}, "expected a rung out of context-swap, planted, ablated, shuffled, got 'gc'"),
        ("planted", {}, {"span": (-31, 5)}, r"beyond the span \(-31, 5\) on both sides, got 61 bases"),
        ("planted", {}, {"span": (5, 5)}, r"beyond the span \(5, 5\)"),
        ("planted", {}, {"k": 0}, "k of 1 or more, got 1 and 0"),
        ("planted", {}, {"per_site": 0}, "1 or more records per site and k of 1 or more, got 0 and 2"),
        ("planted", {"chrom": "chrZ"}, {}, "no such contigs in the genome: chrZ; its contigs are a, b"),
        ("context-swap", {}, {}, "context-swap needs the pairs of balanced controls"),
    ],
)
def test_what_cannot_be_designed_is_refused(rung, change, arguments, message):
    with pytest.raises(ValueError, match=message):
        design(rung, sites_of(num=3).assign(**change), GENOME, WINDOW_BP, seed=1, **arguments)
