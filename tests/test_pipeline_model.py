import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks._pipeline import Rates, separate_runs, sharded_run, shared_run

rate = st.floats(1e3, 1e9)
rates = st.builds(Rates, rate, rate, rate, rate, rate)
NUM_BASES = 1e9


def seconds_of_one(num_bases, each):
    return num_bases * (1 / each.read + 1 / each.model + 1 / each.journal + 1 / each.write)


@given(rates)
def test_on_one_device_all_ways_take_the_sum_of_the_stages(each):
    expected = pytest.approx(seconds_of_one(NUM_BASES, each))
    assert shared_run(NUM_BASES, 1, each).seconds == expected
    assert sharded_run(NUM_BASES, 1, each).seconds == expected
    assert separate_runs(1, NUM_BASES, 1, each).seconds == expected


@given(rates, st.integers(2, 64))
def test_a_shared_run_is_bounded_by_its_writer_and_its_model(each, num_devices):
    seconds = shared_run(NUM_BASES, num_devices, each).seconds
    compute = NUM_BASES / num_devices * (1 / each.read + 1 / each.model + 1 / each.journal)
    assert seconds >= 0.999 * max(compute, NUM_BASES / each.write)
    assert seconds <= 1.001 * seconds_of_one(NUM_BASES, each)


def test_a_fast_writer_makes_devices_add_up_and_a_slow_one_does_not():
    fast = Rates(1e12, 1e6, 1e12, 1e12, 1e12)
    slow = fast._replace(write=2e6)
    assert shared_run(NUM_BASES, 8, fast).seconds == pytest.approx(NUM_BASES / 8e6, rel=1e-4)
    assert shared_run(NUM_BASES, 8, fast).bottleneck == "model"
    assert shared_run(NUM_BASES, 64, slow).seconds > 0.9 * NUM_BASES / 2e6
    assert shared_run(NUM_BASES, 64, slow).bottleneck == "writer"


def test_genomes_are_dealt_out_and_the_last_round_may_be_half_empty():
    each = Rates(1e12, 1e6, 1e12, 1e12, 1e12)
    assert separate_runs(9, 1e6, 8, each).seconds == pytest.approx(2, rel=1e-3)
    assert sharded_run(8e6, 8, each._replace(merge=1e6)).bottleneck == "merge"
