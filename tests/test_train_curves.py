"""What a person sees of a run: lines, alarms, TensorBoard, and the figure of its log."""

import json
import math
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ldarnet.train.curves import draw_curves, running_mean
from ldarnet.train.progress import Progress, RouterAlarm, TensorBoard, scalars
from ldarnet.train.settings import TrainSettings


def train_record(step, num_stages=1):
    return {
        "step": step,
        "tokens": 131_072 * step,
        "seconds": 0.5 * step,
        "loss": 1.31,
        "letter_loss": 1.28 + 0.1 / step,
        "ratio_loss": [1.01] * num_stages,
        "cut_share": [0.25] * num_stages,
        "mean_prob": [0.27] * num_stages,
        "learning_rate": 5e-4,
        "grad_norm": 0.83,
        "grad_norm_per_stage": {"encoder": 0.5, "router": 0.02, "inner": 0.4, "decoder": 0.3},
        "tokens_per_second": 412_345.0,
    }


def valid_record(step, num_stages=1):
    return {
        "step": step,
        "valid": {
            "loss": 1.27,
            "accuracy": 0.39,
            "cut_share": [0.25] * num_stages,
            "mean_prob": [0.26] * num_stages,
            "near_half_share": [0.01] * num_stages,
            "chunk_lengths": [3, 9, 4, 0],
            "tables": {"composition": 1.36, "markov5": 1.33, "flank3": 1.28, "flank5": 1.2745},
        },
    }


class Clock:
    """Seconds that pass when told to."""

    def __init__(self):
        self.seconds = 100.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


def test_a_line_says_where_the_run_is_and_when_it_ends(clock):
    lines = []
    progress = Progress(TrainSettings(num_steps=20_000), 1000, lines.append, clock)
    clock.seconds += 100
    assert progress.rate(1200) == pytest.approx(2 * 131_072)
    progress.show(train_record(1200) | {"letter_loss": 1.28004})
    assert lines == [
        "step 1,200/20,000  loss 1.2800  ratio 1.010  F 0.250  G 0.270  lr 5.00e-04  grad 0.83  "
        "412k tokens/s  2:36:40 left"
    ]


def test_the_speed_is_that_of_late_and_no_time_is_no_speed(clock):
    lines = []
    progress = Progress(TrainSettings(tokens_per_step=16_384), 0, lines.append, clock)
    assert progress.rate(0) == 0
    progress.show(train_record(1, num_stages=2))
    assert "  F 0.250/0.250  " in lines[0]
    assert lines[0].endswith("  ? left")
    for step in range(1, 101):
        clock.seconds += 10 if step <= 50 else 0.5
        rate = progress.rate(step)
    assert rate == pytest.approx(2 * 16_384)


def test_a_validation_stands_beside_the_tables():
    lines = []
    progress = Progress(TrainSettings(), 0, lines.append)
    progress.show_valid(500, valid_record(500)["valid"])
    progress.show_valid(500, valid_record(500)["valid"] | {"tables": {}})
    assert lines == [
        "step 500 valid loss 1.2700 (composition 1.3600, markov5 1.3300, flank3 1.2800, flank5 1.2745)  "
        "accuracy 0.390  F 0.250  G 0.260  p near .5 0.010",
        "step 500 valid loss 1.2700  accuracy 0.390  F 0.250  G 0.260  p near .5 0.010",
    ]


@pytest.mark.parametrize(("share", "how"), [(0.01, "hardly at all: 1.00%"), (0.95, "nearly everywhere: 95.00%")])
def test_a_collapsed_router_is_noticed_once_it_lasts(share, how):
    alarm = RouterAlarm([4.0, 4.0], num_checks=3)
    heard = [alarm.check([0.25, share]) for _ in range(6)]
    assert [len(lines) for lines in heard] == [0, 0, 1, 0, 0, 1]
    assert heard[2][0].startswith(f"ALARM: the router of stage 1 cuts {how} of tokens, expected about 25% (3 checks")


@settings(deadline=None)
@given(tokens_per_chunk=st.floats(1.1, 100), share=st.floats(0, 1))
def test_alarms_mean_odds_far_from_the_target_either_way(tokens_per_chunk, share):
    target = 1 / tokens_per_chunk
    odds, target_odds = (x / (1 - x) if x < 1 else math.inf for x in (share, target))
    is_off = odds > 20.0001 * target_odds or odds < target_odds / 20.0001
    is_fine = target_odds / 19.9999 < odds < 19.9999 * target_odds
    heard = bool(RouterAlarm([tokens_per_chunk], num_checks=1).check([share]))
    assert heard or not is_off
    assert not (heard and is_fine)


@pytest.mark.parametrize(("share", "is_heard"), [(0.0, True), (0.015, True), (0.02, False), (0.86, False), (1.0, True)])
def test_the_documented_bounds_of_a_target_of_one_in_four(share, is_heard):
    assert bool(RouterAlarm([4.0], num_checks=1).check([share])) == is_heard


def test_one_good_check_ends_a_row_and_a_saved_alarm_goes_on_counting():
    alarm = RouterAlarm([4.0], num_checks=3)
    for share in (0, 0, 0.3, 0, 0):
        assert alarm.check([share]) == []
    resumed = RouterAlarm([4.0], num_checks=3)
    resumed.restore(json.loads(json.dumps(alarm.state())))
    assert len(resumed.check([0])) == 1


def test_scalars_have_paths_for_names_and_leave_histograms_out():
    assert dict(scalars(valid_record(5, num_stages=2))) == {
        "valid/loss": 1.27,
        "valid/accuracy": 0.39,
        "valid/cut_share/0": 0.25,
        "valid/cut_share/1": 0.25,
        "valid/mean_prob/0": 0.26,
        "valid/mean_prob/1": 0.26,
        "valid/near_half_share/0": 0.01,
        "valid/near_half_share/1": 0.01,
        "valid/tables/composition": 1.36,
        "valid/tables/markov5": 1.33,
        "valid/tables/flank3": 1.28,
        "valid/tables/flank5": 1.2745,
    }


def test_tensorboard_reads_what_was_written(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = TensorBoard(tmp_path, first_step=0)
    for step in (10, 20):
        board.add(train_record(step))
    board.close()
    found = EventAccumulator(str(tmp_path)).Reload()
    assert [(event.step, event.value) for event in found.Scalars("grad_norm_per_stage/router")] == [
        (10, pytest.approx(0.02)),
        (20, pytest.approx(0.02)),
    ]


def test_without_tensorboard_the_message_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ImportError, match=r"pip install 'ldarnet\[train\]'"):
        TensorBoard(tmp_path, first_step=0)


@settings(deadline=None)
@given(st.lists(st.floats(-1e6, 1e6) | st.just(math.nan), min_size=1, max_size=30), st.integers(0, 40))
def test_the_running_mean_is_the_mean_of_the_neighbours(values, reach):
    found = running_mean(np.array(values), reach)
    assert len(found) == len(values)
    for i, mean in enumerate(found):
        near = [value for value in values[max(0, i - reach) : i + reach + 1] if not math.isnan(value)]
        assert mean == pytest.approx(np.mean(near), abs=1e-6) if near else math.isnan(mean)


@pytest.fixture
def draw(tmp_path):
    pytest.importorskip("matplotlib")

    def draw(records, **options):
        """How often each text stands in the figure (an SVG names its texts in comments)."""
        log, out = tmp_path / "log.jsonl", tmp_path / "curves.svg"
        log.write_text("".join(json.dumps(record) + "\n" for record in records))
        draw_curves(log, out, **options)
        lines = out.read_text().splitlines()
        assert not list(tmp_path.glob(".*"))
        return Counter(line.strip()[5:-4] for line in lines if line.strip().startswith("<!-- "))

    return draw


def test_the_figure_holds_every_panel_and_names_what_it_shows(draw, tmp_path):
    records = [f(step) for step in range(1, 200) for f in (train_record, valid_record)]
    texts = draw(records, tokens_per_chunk=(4.0,))
    assert texts["nothing logged yet"] == 0
    named = (
        "composition",
        "markov5",
        "flank3",
        "flank5",
        "target 0.25",
        "encoder",
        "router",
        "inner",
        "decoder",
        "all",
    )
    for text in (*named, f"{tmp_path.name}: step 199", "bases (the last bar: 4 and more)"):
        assert texts[text] == 1, text


def test_a_young_run_of_two_stages_shows_what_there_is(draw):
    texts = draw([train_record(10, num_stages=2), train_record(20, num_stages=2)])
    assert texts["nothing logged yet"] == 4
    assert texts["stage 1"] == 1


def test_nulls_and_missing_keys_leave_gaps_only(draw):
    strange = train_record(2) | {"letter_loss": None, "cut_share": [None], "grad_norm_per_stage": {"router": None}}
    assert draw([train_record(1), strange, {"step": 3}])["nothing logged yet"] == 4
    assert draw([{"step": 3}])["nothing logged yet"] == 9


def test_a_picture_of_any_kind_is_written(tmp_path):
    pytest.importorskip("matplotlib")
    log = tmp_path / "log.jsonl"
    log.write_text(json.dumps(train_record(1)))
    for name, magic in (("curves.png", b"\x89PNG"), ("curves.pdf", b"%PDF")):
        draw_curves(log, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(magic)


def test_a_log_without_records_is_refused(tmp_path):
    pytest.importorskip("matplotlib")
    (tmp_path / "log.jsonl").write_text('{"half')
    with pytest.raises(ValueError, match=r"log\.jsonl: expected the records of a run, got none"):
        draw_curves(tmp_path / "log.jsonl", tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()


def test_without_matplotlib_the_message_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'ldarnet\[train\]'"):
        draw_curves(tmp_path / "log.jsonl", tmp_path / "curves.png")
