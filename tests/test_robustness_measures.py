"""What each test of `ldarnet robustness` measures, on models whose cuts follow a known rule."""

from itertools import pairwise

import numpy as np
import pytest

from ldarnet.genome import Contig, Interval, open_genome
from ldarnet.robustness.arithmetic_tests import padding_sizes
from ldarnet.robustness.loci import draw_loci
from ldarnet.robustness.measure import Settings, measure
from ldarnet.robustness.sequence_tests import bases_to_nearest, shift_sizes
from tests.command_line import letters, write_fasta
from tests.rigged_models import (
    Rigged,
    both_strands,
    causal_config,
    coarse,
    every_fourth,
    leaky,
    left_of_a,
    random_genome,
    running_sum,
)

WINDOW_BP, SHIFT_BP, NUM_WINDOWS = 96, 8, 30


def measured(*rules, batch_size=7, config=None, seed=3):
    """(model, test, x) -> (value, null), x None for NaN; models are called 0, 1, ..."""
    models = {str(i): Rigged(rule, *([config] if config else [])) for i, rule in enumerate(rules)}
    span = WINDOW_BP + SHIFT_BP
    genome = random_genome(NUM_WINDOWS * span)
    loci = [Interval("made up", i * span, (i + 1) * span) for i in range(NUM_WINDOWS)]
    settings = Settings(window_bp=WINDOW_BP, max_shift_bp=SHIFT_BP, seed=seed, batch_size=batch_size)
    return {
        (each.model, each.test, None if np.isnan(each.x) else each.x): each
        for each in measure(models, genome, loci, settings)
    }


def value(found, test, x=None, model="0"):
    each = found[model, test, x]
    return each.sums.sum() / each.nums.sum()


def null(found, test, x=None, model="0"):
    each = found[model, test, x]
    return each.null_sums.sum() / each.null_nums.sum()


def curve(found, test, model="0"):
    return {x: value(found, name, x) for owner, name, x in found if (owner, name) == (model, test)}


def test_a_rule_of_both_strands_agrees_with_its_reverse_complement():
    found = measured(both_strands)
    assert value(found, "reverse.equal") == value(found, "reverse.shared") == 1
    assert value(found, "reverse.within", 0) == 1
    assert value(found, "reverse.correlation", 0) == pytest.approx(1)
    assert abs(value(found, "reverse.correlation", 1)) < 0.5
    assert null(found, "reverse.equal") == pytest.approx(0.25**2 + 0.75**2, abs=0.02)


def test_a_rule_of_one_strand_cuts_right_of_t_on_the_other():
    """Left of A, turned round, is right of T: cut c is shared where TA stands around it, one place in sixteen."""
    found = measured(left_of_a)
    assert value(found, "reverse.shared") == pytest.approx((1 / 16) / (7 / 16), abs=0.03)
    assert value(found, "reverse.shared") == pytest.approx(null(found, "reverse.shared"), abs=0.03)


def test_the_rate_is_that_of_the_rule():
    found = measured(left_of_a)
    assert value(found, "plain.rate") == pytest.approx(0.25, abs=0.02)
    assert value(found, "plain.near_half", 0.01) == 0


def test_local_rules_do_not_mind_shifts_and_those_of_the_window_do():
    assert shift_sizes(SHIFT_BP) == [1, 2, 4, 8]
    assert shift_sizes(6) == [1, 2, 4, 6]
    assert shift_sizes(1) == [1]
    local, counted = measured(left_of_a), measured(every_fourth)
    for size in shift_sizes(SHIFT_BP):
        assert value(local, "shift.equal", size) == 1
        assert value(counted, "shift.shared", size) == (1 if size % 4 == 0 else 0)


def test_edge_curves_find_the_edge():
    """A rule that turns the first three cuts of a window: those of the later window are others than of the earlier."""

    def start_is_special(model, ids):
        prob = left_of_a(model, ids)
        prob[:, 1:4] = 1 - prob[:, 1:4]
        return prob

    found = measured(start_is_special)
    near_start = curve(found, "shift.changed_near_start")
    assert [near_start[x] for x in (1, 2, 3, 4, 6, 8)] == [1, 1, 1, 0, 0, 0]
    assert set(curve(found, "shift.changed_near_end").values()) == {0}


def test_masks_change_a_local_rule_beside_them_only():
    found = measured(both_strands)
    for share in (1, 5, 15, 30):
        changed = curve(found, f"mask{share}.changed_near")
        # few masks are few places
        assert changed.pop(0.0) == pytest.approx(0.25, abs=0.12 if share == 1 else 0.06)
        assert set(changed.values()) <= {0}
    shares = [value(found, "mask.changed", x) for x in (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3)]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(0.25 * 0.3, abs=0.02)
    # cuts at masked bases themselves are not counted
    assert found["0", "mask.changed", 0.3].nums[0] == pytest.approx((WINDOW_BP - 29), abs=1)


def test_a_causal_model_is_not_masked():
    found = measured(running_sum, config=causal_config())
    assert "causal" in found["0", "mask.changed", None].reason
    assert not any(test.startswith("mask1") for _, test, _ in found)


def test_a_single_base_changes_a_local_rule_beside_it_only():
    found = measured(both_strands)
    for side in ("left", "right"):
        changed = curve(found, f"snv.changed_{side}")
        # one pair in four is cut: it is no longer (1/4 x 1), or it becomes so (3/4 x 1/3)
        assert changed.pop(0.0) == pytest.approx(0.5, abs=0.25)
        assert set(changed.values()) == {0}
        assert value(found, f"snv.moved_{side}", 0) == pytest.approx(0.6 * value(found, f"snv.changed_{side}", 0))
    for name in ("deletion", "insertion"):
        assert value(found, f"{name}.number") == 0
        assert curve(found, f"{name}.changed_left").keys() >= {1.0, 2.0}
        assert 0.0 not in curve(found, f"{name}.changed_left") | curve(found, f"{name}.changed_right")


def test_edits_leave_alone_what_lies_left_of_them_where_the_model_looks_left():
    found = measured(running_sum, config=causal_config())
    for name in ("snv", "deletion", "insertion"):
        left = curve(found, f"{name}.changed_left")
        # the cut beside a replaced base stands left of it, and has seen it
        assert left.pop(0.0, 1) > 0.2
        assert len(left) == 10
        assert set(left.values()) == {0}
        assert max(curve(found, f"{name}.changed_right").values()) > 0.2
        assert null(found, f"{name}.number") > value(found, f"{name}.number") > 1


def test_mixed_precision_is_measured_where_it_makes_a_difference():
    found = measured(coarse)
    assert value(found, "bfloat16.equal") == 1
    assert curve(found, "bfloat16.moved") == pytest.approx({0.5: 0.05, 0.9: 0.05, 0.99: 0.05, 1.0: 0.05}, abs=1e-6)
    assert null(found, "bfloat16.moved", 1) == pytest.approx(0.85, abs=0.01)


def test_bfloat16_that_is_not_supported_is_said():
    def refuses(model, ids):
        if (prob := coarse(model, ids)).max() > 0.91:
            raise RuntimeError("no such kernel\nand a long tale")
        return prob

    found = measured(refuses)
    assert found["0", "bfloat16.equal", None].reason == "bfloat16 is not supported here: no such kernel"


def test_padding_that_leaks_is_found_where_it_leaks():
    found = measured(leaky)
    for size in padding_sizes(WINDOW_BP):
        places = WINDOW_BP - size - 1
        assert value(found, "padding.equal", size) == pytest.approx(1 - 10 / places)
    assert value(found, "padding.moved", 1) == pytest.approx(0.8)
    assert value(found, "padding.moved", 0.5) == 0
    assert value(measured(left_of_a), "padding.equal", 16) == 1


def test_the_same_model_twice_agrees_and_unlike_rules_agree_by_chance():
    def left_of_c(model, ids):
        return left_of_a(model, (ids + 3) % 4)

    found = measured(left_of_a, left_of_a, left_of_c)
    assert value(found, "models.within", 0, "0 and 1") == 1
    assert value(found, "models.correlation", None, "0 and 1") == pytest.approx(1)
    assert value(found, "models.within", 0, "0 and 2") == 0
    # a partner at distance 1: C right or left of the A, in one place in four each
    assert value(found, "models.within", 1, "0 and 2") == pytest.approx(7 / 16, abs=0.03)
    assert value(found, "models.all", None, "all 3 models") == 0


def test_one_model_has_no_other():
    found = measured(left_of_a)
    assert "only one model" in found["0", "models.within", None].reason


def test_batches_and_repeats_change_nothing():
    first, second, other = measured(running_sum), measured(running_sum, batch_size=50), measured(running_sum, seed=4)
    assert first.keys() == second.keys()
    for key, each in first.items():
        np.testing.assert_array_equal(each.sums, second[key].sums)
        np.testing.assert_array_equal(each.null_sums, second[key].null_sums)
    assert any((each.sums != other[key].sums).any() for key, each in first.items() if key in other)


def test_distance_to_the_nearest_mask_counts_the_bases_between():
    marked = np.zeros((2, 8), dtype=bool)
    marked[0, 3] = marked[1, [0, 7]] = True
    assert bases_to_nearest(marked).tolist() == [[2, 1, 0, 0, 1, 2, 3], [0, 1, 2, 3, 2, 1, 0]]


def test_loci_are_disjoint_known_and_inside_the_regions(tmp_path):
    fasta = write_fasta(tmp_path / "g.fa", one=letters(1, 300) + "N" * 100 + letters(2, 600), two=letters(3, 500))
    with open_genome(fasta) as genome:
        regions = [Interval("one", 50, 1000), Interval("two", 0, 240)]
        loci = draw_loci(genome, regions, 80, 100, seed=0)
        assert loci == draw_loci(genome, regions, 80, 100, seed=0)
        assert loci.num_possible == 11 + 3
        assert len(loci.intervals) + loci.num_unknown == 14
        assert loci.num_unknown == 2
        for chrom, start, end in loci.intervals:
            assert end - start == 80
            assert any(r.chrom == chrom and r.start <= start and end <= r.end for r in regions)
            assert (genome.ids(chrom, start, end) < 4).all()
        ends = [(chrom, start, end) for chrom, start, end in loci.intervals]
        assert ends == sorted(ends)
        assert all(a[0] != b[0] or a[2] <= b[1] for a, b in pairwise(ends))
        few = draw_loci(genome, regions, 80, 5, seed=1).intervals
        assert len(few) == 5
        assert few != draw_loci(genome, regions, 80, 5, seed=2).intervals
        with pytest.raises(ValueError, match=r"expected a stretch of 2,000 bases.*950"):
            draw_loci(genome, regions, 2000, 5, seed=1)
        with pytest.raises(ValueError, match="all 2 stretches of 40 bases hold N"):
            draw_loci(genome, [Interval("one", 310, 390)], 40, 5, seed=1)
        assert genome.contigs == (Contig("one", 1000), Contig("two", 500))
