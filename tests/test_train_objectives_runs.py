"""Whole runs of causal and of mask-guarding models: they go on to the bit, and log what they add up."""

import importlib.util
import json

import pytest

from ldarnet.checkpoint import load_model
from ldarnet.config import PRESETS
from ldarnet.train import loop
from tests.command_line import letters, run, write_fasta
from tests.conftest import REPO
from tests.training_runs import arguments, assert_same_run, curve, draw_nothing, write_genome

TWO_STAGES = {"d_model": [16, 16, 32], "d_intermediate": [0, 32, 32], "num_heads": [2] * 3, "rotary_dim": [8] * 3}
CAUSAL = {"layout": ["m1", ["T1", ["T1"], "t1"], "m1"], "attention_window": [15, 15, -1], **TWO_STAGES} | {
    "objective": "causal",
    "router": "previous",
}
GUARDED = {"layout": ["m1", ["m1", ["T1"], "m1"], "m1"], "attention_window": [-1] * 3, **TWO_STAGES} | PRESETS[
    "dnachunker-small"
].sibling_options()
TARGETS = {"tokens_per_chunk": [3.0, 2.0], "ratio_weights": [0.05, 0.2]}


@pytest.fixture(autouse=True)
def without_figures(monkeypatch):
    monkeypatch.setattr(loop, "draw_curves", draw_nothing)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("objectives")
    write_genome(folder)
    bases = "".join(letters(seed, 34) + letters(seed, 20).lower() for seed in range(60))
    write_fasta(folder / "masked.fa", chr=bases)
    return folder


def command(folder, model, out, *more, data=("--fasta", "tiny.fa"), **train):
    changes = [f"--set=model.{key}={json.dumps(value)}" for key, value in model.items()]
    return arguments(folder, *changes, *more, out=out, data=data, **TARGETS, **train)


def trained(words):
    ended = run(*words, command="train")
    assert ended.exit_code == 0, ended.stderr
    return ended.stderr


@pytest.mark.parametrize("model", [CAUSAL, GUARDED], ids=["causal", "guarded"])
def test_a_run_stopped_again_and_again_is_the_same(folder, model):
    name = "causal" if model is CAUSAL else "guarded"
    options = {"num_steps": 6, "log_every": 2, "repeat_weight": 0.1, "data": ("--fasta", "masked.fa")}
    said = trained(command(folder, model, f"{name}-whole/run", **options))
    assert "masked: 3,240 bases in 1 stretches, 37.0% repeats, 100.0% of draws" in said
    stopped = command(folder, model, f"{name}-stopped/run", max_seconds=1e-9, **options)
    for _ in range(6):
        trained(stopped)
    assert_same_run(folder / f"{name}-stopped/run", folder / f"{name}-whole/run")
    assert len(curve(folder / f"{name}-whole/run")) == 3


def test_stages_are_weighed_and_validated(folder):
    intervals = ("--intervals", str(folder / "tiny.bed"))
    trained(command(folder, CAUSAL, "weighed/run", *intervals, num_steps=4, log_every=1, valid_every=4))
    *records, _ = log = curve(folder / "weighed/run")
    valid = next(record["valid"] for record in log if "valid" in record)
    for record in records:
        if "valid" not in record:
            ratios = record["ratio_loss"]
            want = record["letter_loss"] + 0.05 * ratios[0] + 0.2 * ratios[1]
            assert record["loss"] == pytest.approx(want, rel=1e-6)
            assert len(record["cut_share"]) == len(record["mean_prob"]) == 2
    # Those that look to the right are no match for a model that may not.
    assert set(valid["tables"]) == {"composition", "markov5"}
    assert len(valid["cut_share"]) == 2


def test_the_benchmark_scores_causal_models(folder, capsys):
    spec = importlib.util.spec_from_file_location("heldout_benchmark", REPO / "benchmarks" / "heldout.py")
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    trained(command(folder, CAUSAL, "scored/run", num_steps=2))
    (folder / "genomes.toml").write_text('[[genome]]\nname = "tiny"\nfasta = "tiny.fa"\nintervals = "tiny.bed"\n')
    model_file = folder / "scored/run/model.safetensors"
    assert load_model(model_file).config.is_causal
    benchmark.main(["--genomes", str(folder), "--model", str(model_file), "--device", "cpu", "--split", "valid"])
    *said, last = capsys.readouterr().out.splitlines()
    assert said[0] == "Nats per base"
    assert any("share of tokens cut: stage 0 0." in line for line in said)
    rows = {row["name"].removeprefix("held-out tiny: "): row for row in json.loads(last)}
    assert rows.keys() >= {"against composition", "against markov5", "model - markov5", "cut share of stage 1"}
    assert not any("flank" in name for name in rows)
