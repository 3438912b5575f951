"""Values on the sequence page are the command's, and the effect map is what running every variant would give."""

import subprocess
import sys
import threading

import numpy as np
import pytest

from ldarnet_app import live_model
from ldarnet_app.live_model import STRANDS, LiveModel
from ldarnet_app.mutations import BASES, MAX_RANGE_BP, REACH_BP, effect_map

from .command_line import letters, read_values, run, save_tiny, write_fasta


def quiet(done, total):
    """No report."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def live(weights):
    return LiveModel(str(weights))


SEQUENCE = letters(3, 700)[:300] + "N" * 120 + letters(4, 2000)


@pytest.mark.parametrize("strand", STRANDS)
def test_values_are_those_of_the_command(live, weights, tmp_path, strand):
    fasta = write_fasta(tmp_path / "x.fa", sequence=SEQUENCE)
    out = tmp_path / "x.bw"
    assert run("--fasta", fasta, "--out", out, "--model", weights, "--decimals", 0, "--strand", strand).exit_code == 0
    values = live.values(SEQUENCE, strand, quiet)
    # The same windows in the same batches; threads may change the last bits.
    np.testing.assert_allclose(values, read_values(out, "sequence"), rtol=0, atol=2e-6)
    assert np.isnan(values[[0, 350]]).all()
    assert (values > 0.5).any()


def test_short_sequence_and_its_name(live):
    assert live.name == "tiny"
    assert live.values("AC", "+", quiet).shape == (2,)
    assert len(live.values("N" * 300 + "AC", "+", quiet)) == 302


def test_results_are_kept_and_bounded(live, monkeypatch):
    sequence = letters(5, 50)
    first = live.values(sequence, "+", quiet)
    assert live.has((sequence, "+"))
    assert not live.has((sequence, "-"))
    assert live.values(sequence, "+", quiet) is first
    monkeypatch.setattr(live_model, "RESULTS_KEPT", 2)
    for i in range(3):
        live.kept(i, lambda: None)
    assert not live.has((sequence, "+"))
    assert live.has(2)


def test_report_counts_windows_and_may_stop_the_work(live):
    seen = []
    live.window_values(["ACGT" * 40] * 60, "+", lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, 60)
    assert seen[-1] == (60, 60)
    assert len(seen) > 2

    class StopError(Exception):
        pass

    def stop(done, total):
        raise StopError

    with pytest.raises(StopError):
        live.values(letters(6, 100), "+", stop)
    assert not live.has((letters(6, 100), "+"))
    assert len(live.values(letters(6, 100), "+", quiet)) == 100  # nothing is held after a stop


def test_one_inference_at_a_time(live, monkeypatch):
    import ldarnet

    real, inside, most = ldarnet.boundary_track, [], []

    def watched(*args, **kwargs):
        inside.append(1)
        most.append(len(inside))
        try:
            return real(*args, **kwargs)
        finally:
            inside.pop()

    monkeypatch.setattr(ldarnet, "boundary_track", watched, raising=False)
    sequences = [letters(seed, 900) for seed in range(20, 24)]
    threads = [threading.Thread(target=live.values, args=(s, "+", quiet)) for s in sequences]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) >= len(sequences)
    assert max(most) == 1


def test_effects_are_those_of_running_every_variant(live):
    sequence = SEQUENCE[420:1320]
    values = live.values(sequence, "+", quiet)

    def predict(windows, report):
        return live.window_values(windows, "+", report)

    start, end = 187, 195  # the core of one window ends within reach
    effects = effect_map(
        sequence,
        start,
        end,
        values=values,
        window_bp=live.window_bp,
        halo_bp=live.halo_bp,
        predict=predict,
        report=quiet,
    )
    for i, j in ((0, 0), (3, 1), (5, 2), (7, 3), (4, 0)):
        position = start + i
        changed = sequence[:position] + BASES[j] + sequence[position + 1 :]
        difference = live.values(changed, "+", quiet) - values
        around = difference[position - REACH_BP : position + 2 + REACH_BP]
        assert effects.total[i, j] == pytest.approx(np.abs(around).sum(), abs=1e-4)
        assert effects.own[i, j] == pytest.approx(difference[position], abs=1e-5)
    assert effects.total.max() > 0.01
    is_reference = np.array(list(effects.reference))[:, None] == np.array(list(BASES))
    assert (effects.total[is_reference] == 0).all()
    assert len(effects.table()) == 3 * (end - start)


def test_effects_at_base_0_at_n_and_at_the_end(live):
    sequence = letters(9, 30) + "NN" + letters(10, 28)
    values = live.values(sequence, "-", quiet)

    def mapped(start, end):
        def predict(windows, report):
            return live.window_values(windows, "-", report)

        return effect_map(sequence, start, end, values=values, window_bp=256, halo_bp=64, predict=predict, report=quiet)

    first = mapped(0, 2)
    assert np.isnan(first.own[0]).all()
    assert np.isfinite(first.own[1]).all()
    assert np.isfinite(first.total).all()
    around_n = mapped(29, 33)
    assert np.isnan(around_n.total[1:3]).all()
    assert np.isfinite(around_n.total[[0, 3]]).all()
    assert len(around_n.table()) == 6
    assert np.isfinite(mapped(58, 60).own).all()
    for span, message in (((30, 32), "all N"), ((50, 61), "<= 60"), ((5, 5), "start < end")):
        with pytest.raises(ValueError, match=message):
            mapped(*span)


def test_effects_have_a_limit():
    with pytest.raises(ValueError, match=f"at most {MAX_RANGE_BP} bases"):
        effect_map("A" * 500, 0, 201, values=None, window_bp=256, halo_bp=64, predict=None, report=quiet)


def test_importing_the_page_does_not_import_torch():
    code = "import sys, ldarnet_app.pages.sequence; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
