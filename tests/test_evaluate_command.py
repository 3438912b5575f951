"""`ldarnet evaluate` on a tiny model and a toy task: whole runs, killed ones, shares, grids, and bad requests."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from ldarnet.evaluate import fold_run
from ldarnet.evaluate.body import kmer_shares
from ldarnet.evaluate.grid import GRIDS, grid_of
from ldarnet.evaluate.store import Store
from ldarnet.evaluate_command import _of_this_process
from ldarnet.finetune import FineTuneSettings, make_examples
from ldarnet.genome import Shard
from ldarnet.train.trainer import Diverged
from ldarnet.vocab import encode
from tests.command_line import run, save_tiny
from tests.evaluation_files import write_csv, write_toy

NOT_THE_SAME = ("seconds", "shared_seconds")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("model"))


@pytest.fixture
def data(tmp_path):
    return write_toy(tmp_path / "data")


@pytest.fixture
def basics(data, model):
    return "--data", data, "--tasks", "H4", "--folds", 3, "--device", "cpu", "--model", f"tiny={model}"


def evaluate(*args):
    return run(*args, command="evaluate")


def folds(out):
    """What every fold came to, by its path."""
    found = {}
    for path in sorted((out / "folds").rglob("fold*.json")):
        record = json.loads(path.read_text())
        found[str(path.relative_to(out))] = {name: x for name, x in record.items() if name not in NOT_THE_SAME}
    return found


def test_a_probe_learns_a_toy(tmp_path, basics):
    out = tmp_path / "out"
    result = evaluate(*basics, "--out", out, "--mode", "probe", "--seeds", 2)
    assert result.exit_code == 0, result.stderr
    assert "nothing in a probe is random" in result.stderr and "3 folds; open" in result.stderr
    found = folds(out)
    assert len(found) == 3 and all(record["test"]["mcc"] > 0.9 for record in found.values())
    assert all(record["model"] == "tiny" and record["settings"]["mode"] == "probe" for record in found.values())
    assert sorted(i for record in found.values() for i in record["index"]) == list(range(120))
    assert {"evaluation.html", "evaluation.md", "results.tsv", "settings.json"} <= {path.name for path in out.iterdir()}
    assert (out / "tasks" / "gue.H4.folds.json").is_file() and not (out / "work").exists()


def test_more_models_and_seeds_are_added_and_what_is_there_is_kept(tmp_path, basics, model):
    out = tmp_path / "out"
    small = (*basics, "--out", out, "--max-epochs", 1)
    assert evaluate(*small).exit_code == 0
    before = {path: path.stat().st_mtime_ns for path in (out / "folds").rglob("*.json")}
    result = evaluate(*small, "--model", f"again={model}", "--seeds", 2)
    assert result.exit_code == 0, result.stderr
    assert len(folds(out)) == 12
    assert all(path.stat().st_mtime_ns == at for path, at in before.items())
    same = folds(out)
    assert all(
        same[f"folds/gue.H4/tiny/fold{i}.seed0.json"][name] == same[f"folds/gue.H4/again/fold{i}.seed0.json"][name]
        for i in range(3)
        for name in ("index", "labels", "predicted", "folds_sha256")
    )
    assert "tiny" in (out / "differences.tsv").read_text()


def test_a_killed_run_goes_on(tmp_path, basics):
    args = [*basics, "--max-epochs", 2, "--threads", 1]
    assert evaluate(*args, "--out", tmp_path / "whole").exit_code == 0
    out = tmp_path / "out"
    code = "from ldarnet.cli import main; main()"
    command = [sys.executable, "-c", code, "evaluate", *map(str, args), "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    first = out / "folds" / "gue.H4" / "tiny" / "fold0.seed0.json"
    deadline = time.monotonic() + 120
    while not first.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    num_done = len(folds(out))
    assert 1 <= num_done <= 2, "killed between folds"
    at = first.stat().st_mtime_ns
    assert evaluate(*args, "--out", out).exit_code == 0
    assert first.stat().st_mtime_ns == at
    assert folds(out) == folds(tmp_path / "whole")
    assert not (out / "work").exists()


def test_shares_make_the_whole(tmp_path, basics, data):
    write_toy(data, mark="H3")
    args = (*basics, "--tasks", "H3", "--mode", "probe")
    for number in (1, 2):
        assert evaluate(*args, "--out", tmp_path / "parts", "--shard", f"{number}/2").exit_code == 0
        assert len(folds(tmp_path / "parts")) == 3 * number
    assert evaluate(*args, "--out", tmp_path / "whole").exit_code == 0
    assert folds(tmp_path / "parts") == folds(tmp_path / "whole")


def test_a_share_without_work_ends_well(tmp_path, basics):
    result = evaluate(*basics, "--out", tmp_path / "out", "--mode", "probe", "--shard", "2/2")
    assert result.exit_code == 0 and "nothing is left for this one" in result.stderr


def test_under_torchrun_each_process_takes_a_share_and_a_device(monkeypatch):
    assert _of_this_process(None, "auto", True) == (None, "auto")
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "3", "RANK": "1", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    assert _of_this_process(None, "auto", True) == (Shard(2, 3), "cuda:1")
    assert _of_this_process(Shard(2, 2), "cpu", True) == (Shard(5, 6), "cpu")
    assert _of_this_process(None, "auto", False) == (Shard(2, 3), "auto")


@pytest.mark.slow
def test_torchrun_makes_the_whole(tmp_path, basics, data):
    write_toy(data, mark="H3")
    args = (*basics, "--tasks", "H3", "--mode", "probe")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += ["-m", "ldarnet.evaluate", *map(str, args), "--out", str(tmp_path / "parts")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert evaluate(*args, "--out", tmp_path / "whole").exit_code == 0
    assert folds(tmp_path / "parts") == folds(tmp_path / "whole")
    assert (tmp_path / "parts" / "evaluation.html").exists()


def test_counts_of_kmers_join_a_folder_of_a_model(tmp_path, basics, data):
    out = tmp_path / "out"
    assert evaluate(*basics, "--out", out, "--mode", "probe").exit_code == 0
    alone = ("--data", data, "--tasks", "H4", "--folds", 3, "--mode", "probe", "--model", "kmer-2", "--out", out)
    result = evaluate(*alone)
    assert result.exit_code == 0, result.stderr
    assert len(folds(out)) == 6


def test_settings_are_chosen_on_validation_alone(tmp_path, basics, monkeypatch):
    """Test scores that would choose otherwise change nothing; trials are kept, and each fold has its own."""
    seen = []

    def fake(self, fold, settings):
        seen.append((fold, settings.learning_rate))
        valid = {1e-4: 0.2, 3e-4: 0.9, 1e-3: 0.5}[settings.learning_rate]
        test = self._examples.labels[self._plan.parts(fold).test]
        right = test if settings.learning_rate != 3e-4 else 1 - test
        return fold_run.Scored({"mcc": valid}, np.eye(2, dtype=np.float32)[right], 1, 1, 1.0)

    monkeypatch.setattr(fold_run.FoldRun, "_fit", fake)
    out = tmp_path / "out"
    assert evaluate(*basics, "--out", out, "--grid", "small").exit_code == 0
    records = folds(out).values()
    assert all(record["settings"]["learning_rate"] == 3e-4 and record["test"]["mcc"] == -1 for record in records)
    assert [len(record["trials"]) for record in records] == [3, 3, 3] and len(seen) == 12
    assert len(list((out / "trials").rglob("*.json"))) == 9


def test_trials_of_another_model_are_not_taken(tmp_path, basics, data, monkeypatch):
    def stopped(self, fold, settings):
        if settings.learning_rate == 1e-3:
            raise KeyboardInterrupt
        return fold_run.Scored({"mcc": 0.5}, np.zeros((len(self._plan.parts(fold).test), 2), np.float32), 1, 1, 1.0)

    monkeypatch.setattr(fold_run.FoldRun, "_fit", stopped)
    out = tmp_path / "out"
    assert evaluate(*basics, "--out", out, "--grid", "small").exit_code != 0
    assert len(list((out / "trials").rglob("*.json"))) == 2
    other = ("--data", data, "--tasks", "H4", "--folds", 3, "--device", "cpu", "--model", "tiny=default")
    result = evaluate(*other, "--out", out, "--grid", "small")
    assert result.exit_code == 1 and "made with another model of the same name" in result.stderr


def test_a_fold_that_diverges_does_not_stop_the_others(tmp_path, basics, monkeypatch):
    def fake(self, fold, settings):
        if fold == 1:
            raise Diverged("the loss is no longer a number")
        test = self._examples.labels[self._plan.parts(fold).test]
        return fold_run.Scored({"mcc": 1.0}, np.eye(2, dtype=np.float32)[test], 1, 1, 1.0)

    monkeypatch.setattr(fold_run.FoldRun, "_fit", fake)
    out = tmp_path / "out"
    result = evaluate(*basics, "--out", out)
    assert result.exit_code == 0 and "1 tasks and models not run" in result.stderr
    assert sorted(record["fold"] for record in folds(out).values()) == [0, 2]
    assert "fold 2 of 3, seed 0: the loss is no longer a number" in (out / "evaluation.html").read_text()


def test_the_published_grid_has_36_settings():
    tried = grid_of("published", FineTuneSettings())
    assert len({(each.learning_rate, each.batch_size) for each in tried}) == 36
    assert grid_of("none", FineTuneSettings(mode="probe")) == [FineTuneSettings(mode="probe")]
    assert set(GRIDS) == {"none", "small", "published"}
    with pytest.raises(ValueError, match="a probe has neither"):
        grid_of("small", FineTuneSettings(mode="probe"))


def test_long_sequences_are_cropped_and_counted(tmp_path, basics):
    out = tmp_path / "out"
    assert evaluate(*basics, "--out", out, "--mode", "probe", "--max-length", 30).exit_code == 0
    assert {record["num_cropped"] for record in folds(out).values()} == {120}
    assert "120 sequences are longer than 30 bases" in (out / "evaluation.html").read_text()


def test_scores_of_both_strands_are_averaged(tmp_path, basics):
    for name, more in (("one", ()), ("both", ("--both-strands",))):
        assert evaluate(*basics, "--out", tmp_path / name, "--mode", "probe", *more).exit_code == 0
    one, both = folds(tmp_path / "one"), folds(tmp_path / "both")
    assert all(record["settings"]["reverse_complement_at_test"] for record in both.values())
    assert all(both[name]["valid"] == record["valid"] for name, record in one.items())


def test_counts_of_kmers_are_a_model_of_a_probe(tmp_path, basics):
    out = tmp_path / "out"
    assert evaluate(*basics, "--model", "kmer-1", "--out", out, "--mode", "probe").exit_code == 0
    counted = [record for record in folds(out).values() if record["model"] == "kmer-1"]
    assert len(counted) == 3 and all(record["test"]["mcc"] == 1 for record in counted), "A and T against C and G"
    result = evaluate(*basics, "--model", "kmer-1", "--out", tmp_path / "full")
    assert result.exit_code == 1 and "kmer-1: counts of k-mers have no weights to train" in result.stderr


def test_shares_of_kmers():
    examples = make_examples([encode("ACGNACG"), encode("AC"), encode("N")], np.zeros(3, dtype=np.int64), 99).examples
    shares = kmer_shares(examples, 2)
    assert shares.shape == (3, 16) and shares[0].tolist().count(0.5) == 2 and shares[0, 1] == shares[0, 6] == 0.5
    assert shares[1].tolist() == [float(i == 1) for i in range(16)] and not shares[2].any()
    assert not kmer_shares(examples._replace(ids=examples.ids[:, :1]), 3).any()


def test_what_cannot_be_run_is_written_down_and_the_rest_goes_on(tmp_path, basics, data):
    write_csv(data / "EMP" / "H3" / "dev.csv", [("ACGT", 0), ("ACGA", 1)])
    out = tmp_path / "out"
    result = evaluate(*basics, "--out", out, "--tasks", "H3", "--mode", "probe")
    assert result.exit_code == 0 and "1 tasks and models not run" in result.stderr
    assert "class 0 has 1 different sequences, too few for 3 folds" in (out / "evaluation.html").read_text()
    write_toy(data, mark="H3")
    assert evaluate(*basics, "--out", out, "--tasks", "H3", "--mode", "probe").exit_code == 0
    assert "too few" not in (out / "evaluation.html").read_text()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--tasks", "H5"), "no task 'H5'"),
        (("--tasks", "splice"), "expected the files of splice, found none"),
        (("--model", "nowhere.safetensors"), "no such file: nowhere.safetensors"),
        (("--model", "tiny=default"), "the name tiny is taken"),
        (("--model", "a/b c=default"), "expected a name of letters"),
        (("--mode", "probe", "--grid", "small"), "a probe has neither"),
        (("--folds", "2"), "nothing could be run:\ngue/H4: only dev and test are here, which takes --folds 3 or more"),
        (("--genome", "a.fa", "--genome", "a.fa"), "a.fa"),
    ],
)
def test_bad_requests_end_with_a_message(tmp_path, basics, more, message):
    result = evaluate(*basics, "--out", tmp_path / "out", *more)
    assert result.exit_code == 1 and message in result.stderr


def test_wrong_flags(tmp_path, basics):
    assert evaluate("--data", tmp_path).exit_code == 2
    assert evaluate(*basics, "--out", tmp_path / "out", "--shard", "3/2").exit_code == 2
    assert evaluate(*basics, "--out", tmp_path / "out", "--pretraining-regions", "x.bed").exit_code == 2
    assert "gue/H4" in evaluate("--list").stdout


def test_a_folder_holds_results_of_one_kind(tmp_path, basics, data, model):
    out = tmp_path / "out"
    assert evaluate(*basics, "--out", out, "--mode", "probe").exit_code == 0
    result = evaluate(*basics, "--out", out, "--max-epochs", 3)
    assert result.exit_code == 1 and "Choose another folder, or these settings" in result.stderr
    result = evaluate(
        "--data", data, "--folds", 3, "--mode", "probe", "--model", "tiny=default", "--out", out, "--max-length", 256
    )
    assert result.exit_code == 1 and "made with another model of the same name" in result.stderr
    write_toy(data, num=62)
    facts = (out / "tasks" / "gue.H4.json").read_text()
    for name in ("tiny", "newcomer"):
        other = [f"{name}={model}" if each == f"tiny={model}" else each for each in basics]
        result = evaluate(*other, "--out", out, "--mode", "probe")
        assert result.exit_code == 1 and "other sequences or folds" in result.stderr
    assert (out / "tasks" / "gue.H4.json").read_text() == facts, "what the results were made with stays"
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(ValueError, match="expected an empty folder"):
        Store(tmp_path / "full").check_settings({})
