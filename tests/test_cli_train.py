"""`ldarnet train` where something is wrong: what it says, its exit status, and that nothing good is lost."""

import json
import resource
import sys
from functools import partial

import pytest
import torch

from ldarnet import cli
from ldarnet.train import loop
from ldarnet.train.run_folder import RunFolder
from ldarnet.train.settings import TrainSettings
from ldarnet.train.trainer import Trainer

from .command_line import letters, run, write_fasta
from .training_runs import arguments, curve, draw_nothing, last_saved, saved_steps, write_genome
from .training_runs import run as run_apart

SHORT = {"num_steps": 4, "save_every": 2, "log_every": 1}


@pytest.fixture(autouse=True)
def without_figures(monkeypatch):
    monkeypatch.setattr(loop, "draw_curves", draw_nothing)


@pytest.fixture
def folder(tmp_path):
    write_genome(tmp_path)
    return tmp_path


def trained(command):
    ended = run(*command, command="train")
    assert ended.exit_code == 0, ended.stderr
    return ended.stderr


def refused(command):
    """What is said about bad input."""
    ended = run(*command, command="train")
    assert (ended.exit_code, ended.stdout) == (1, "")
    return ended.stderr


BAD_INTERVALS = {
    "empty": ("", "{bed}: expected rows of chrom, start, end and split, got an empty file"),
    "split without rows": ("chr\t0\t900\ttest\n", "{bed}: expected rows of split 'train'; splits in the file: test"),
    "shorter than the window": (
        "chr\t0\t60\ttrain\nchr\t100\t163\ttrain\n",
        "tiny: expected a stretch of at least 64 bases, the window, got 2 stretches, the longest of 63 bases",
    ),
    "another genome's": (
        "chr1\t0\t900\ttrain\n",
        "{bed}: intervals on contigs that the FASTA does not have: chr1; contigs in the FASTA: chr",
    ),
    "one too short to validate": (
        "chr\t0\t900\ttrain\nchr\t900\t963\tvalid\n",
        "held-out windows: expected at least one of 64 bases with at most 10% N, got none (1 stretches, longest 63",
    ),
}


@pytest.mark.parametrize(("rows", "message"), BAD_INTERVALS.values(), ids=BAD_INTERVALS)
def test_bad_intervals_are_refused(folder, rows, message):
    bed = folder / "bad.bed"
    bed.write_text(rows)
    assert f"error: {message.format(bed=bed)}" in refused(arguments(folder, "--intervals", str(bed)))
    assert saved_steps(folder / "run") == []


def test_sequences_shorter_than_the_window_are_refused(folder):
    write_fasta(folder / "short.fa", a=letters(1, 63), b=letters(2, 40))
    message = "short: expected a stretch of at least 64 bases, the window, got 2 stretches, the longest of 63 bases"
    assert message in refused(arguments(folder, data=("--fasta", "short.fa")))
    said = refused(arguments(folder, data=("--shards", "short.fa")))
    assert "expected sequences with windows of 64 bases" in said
    assert "the longest of them has 63 bases" in said


BAD_WORDS = {
    "unknown key": (["--set", "train.learning_rat=1"], "unknown key 'train.learning_rat'; the nearest known one is"),
    "no value": (["--set", "train.seed"], "--set: expected key=value such as train.learning_rate=1e-3, got"),
    "bad value": (["--set", "train.seed=x"], "command line: train.seed: expected a whole number, got 'x'"),
    "no such file": (["--fasta", "none.fa"], "none.fa"),
    "no such shard": (["--shards", "none.fa"], "none.fa"),
    "no such settings": (["--config", "none.toml"], "cannot read none.toml: No such file or directory"),
}


@pytest.mark.parametrize(("words", "message"), BAD_WORDS.values(), ids=BAD_WORDS)
def test_bad_words_are_refused(folder, words, message):
    assert message in refused([*arguments(folder), *words])


def test_nothing_to_train_on_is_refused(folder):
    message = "nothing to train on: expected --fasta, --shards or a --config with [[genome]] tables"
    assert f"error: {message}" in refused(["--out", str(folder / "run")])
    config = folder / "tiny.toml"
    said = refused([*arguments(folder, data=("--fasta",))])
    assert f"error: {config}: expected something to train on, got neither a [[genome]] nor train.shards" in said


def test_intervals_of_no_genome_are_wrong_flags(folder):
    ended = run(*arguments(folder, "--intervals", "tiny.bed", data=("--fasta",)), command="train")
    assert ended.exit_code == 2
    assert "--intervals goes with --fasta" in ended.stderr


def test_lists_of_files_as_people_type_them(folder, monkeypatch):
    for name in ("a", "b", "c"):
        write_fasta(folder / f"{name}.fa", one=letters(ord(name), 200))
    command = arguments(folder, data=("--fasta",), num_steps=1)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["ldarnet", "train", "--fasta", "a.fa", "b.fa", *command, "--fasta", "c.fa"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code in (0, None)
    settings = TrainSettings.from_json((folder / "run" / "settings.json").read_text())
    assert [genome.fasta for genome in settings.genomes] == ["a.fa", "b.fa", "c.fa"]


def test_shards_are_validated_on_a_genome(folder):
    (folder / "tiny.bed").write_text("chr\t0\t512\tvalid\n")
    genome = f'genome=[{{fasta="{folder}/tiny.fa", intervals="{folder}/tiny.bed"}}]'
    (folder / "s.jsonl").write_text(json.dumps({"sequence": letters(3, 900)}))
    said = trained(arguments(folder, "--set", genome, data=("--shards", "s.jsonl"), num_steps=2))
    assert "1 shards, read as a stream" in said
    assert "step 2 valid loss" in said


def test_folders_of_shards_are_validated_on_a_genome_and_its_tables(folder):
    """The genome names the validation split only; the tables are fitted on what lies in the shards."""
    made = run("shard", folder / "tiny.fa", "--out", folder / "shards", command="data")
    assert made.exit_code == 0, made.stderr
    (folder / "tiny.bed").write_text("chr\t0\t512\tvalid\n")
    genomes = [{"fasta": "shards"}, {"fasta": "tiny.fa", "intervals": "tiny.bed"}]
    tables = ", ".join(
        "{" + ", ".join(f'{key}="{folder}/{value}"' for key, value in each.items()) + "}" for each in genomes
    )
    said = trained(arguments(folder, "--set", f"genome=[{tables}]", data=("--fasta",), num_steps=2))
    assert "tiny.fa: for validation only" in said
    assert "step 2 valid loss" in said and "flank3" in said


def test_each_genome_has_its_own_intervals(folder, monkeypatch):
    write_genome(folder, 2000, "other")
    command = arguments(folder, data=("--fasta",), num_steps=1)
    monkeypatch.chdir(folder)
    words = ["--fasta", "tiny.fa", "other.fa", "--intervals", "tiny.bed", "other.bed"]
    monkeypatch.setattr(sys, "argv", ["ldarnet", "train", *words, *command])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code in (0, None)
    settings = TrainSettings.from_json((folder / "run" / "settings.json").read_text())
    assert [genome.intervals for genome in settings.genomes] == ["tiny.bed", "other.bed"]
    ended = run(*command, *("--fasta", "tiny.fa", "--fasta", "other.fa", "--intervals", "tiny.bed"), command="train")
    assert ended.exit_code == 2 and "one for each of the 2 genomes" in " ".join(ended.stderr.split())


def test_a_data_set_is_read_as_a_stream(folder):
    pytest.importorskip("datasets")
    (folder / "rows").mkdir()
    rows = [json.dumps({"dna": letters(seed, 300)}) for seed in range(40)]
    (folder / "rows" / "train.jsonl").write_text("\n".join(rows))
    data = {"dataset": str(folder / "rows"), "dataset_column": "dna"}
    said = trained(arguments(folder, data=("--fasta",), **SHORT, **data, max_seconds=1e-9))
    assert "read as a stream" in said and saved_steps(folder / "run") == [1]
    (folder / "rows" / "train.jsonl").write_text("\n".join(reversed(rows)))
    assert "expected the sequences of the saved run" in refused(arguments(folder, data=("--fasta",), **SHORT, **data))
    said = refused(arguments(folder, data=("--shards", "tiny.fa"), **SHORT, **data))
    assert "expected train.shards or train.dataset, got both" in said


def test_a_folder_without_a_checkpoint_is_not_taken_over(folder):
    trained(arguments(folder, **SHORT))
    kept = {name: (folder / "run" / name).read_bytes() for name in ("model.safetensors", "log.jsonl", "settings.json")}
    for path in (folder / "run" / "checkpoints").iterdir():
        path.unlink()
    assert "holds a finished model without a checkpoint" in refused(arguments(folder, **SHORT))
    (folder / "run" / "model.safetensors").unlink()
    said = refused(arguments(folder, **SHORT | {"learning_rate": 0.5}))
    assert "learning_rate: saved 0.001, now 0.5" in said
    assert all((folder / "run" / name).read_bytes() == kept[name] for name in ("log.jsonl", "settings.json"))
    trained(arguments(folder, **SHORT))
    assert (folder / "run" / "model.safetensors").read_bytes() == kept["model.safetensors"]


def test_a_folder_of_another_configuration_names_the_fields(folder):
    trained(arguments(folder, **SHORT))
    model = (folder / "run" / "model.safetensors").read_bytes()
    changed = SHORT | {"learning_rate": 0.5, "num_steps": 3, "log_every": 2}
    said = refused(arguments(folder, "--set=model.d_state=16", **changed))
    assert "the run was saved at step 4 with other settings; use those, or start in another folder" in said
    for line in ("learning_rate: saved 0.001, now 0.5", "num_steps: saved 4, now 3", "model.d_state: saved 8, now 16"):
        assert f"\n  {line}\n" in said
    assert "log_every" not in said
    assert (folder / "run" / "model.safetensors").read_bytes() == model


def test_a_genome_that_changed_is_noticed(folder):
    trained(arguments(folder, **SHORT, max_seconds=1e-9))
    path = folder / "tiny.fa"
    path.write_text(path.read_text().replace("TATAAA", "TATATA", 1))
    said = refused(arguments(folder, **SHORT))
    assert "expected the corpus of the saved run" in said
    assert "its genomes, intervals, weights or window were changed; put them back, or start in another folder" in said
    assert saved_steps(folder / "run") == [1]


def test_a_shard_that_changed_is_noticed(folder):
    (folder / "s.jsonl").write_text(json.dumps({"sequence": letters(3, 900)}))
    command = arguments(folder, data=("--shards", "s.jsonl"), **SHORT, max_seconds=1e-9)
    trained(command)
    (folder / "s.jsonl").write_text(json.dumps({"sequence": letters(3, 901)}))
    assert "expected the sequences of the saved run" in refused(command)


def test_a_loss_that_explodes_stops_the_run(folder):
    trained(arguments(folder, out="good", num_steps=2))
    command = arguments(folder, num_steps=9, save_every=1, log_every=1, learning_rate=1e30, warmup_steps=6)
    said = refused(command)
    step = int(said.partition("error: step ")[2].partition(":")[0])
    first = (step - 1) * 8
    assert f"step {step}: the loss of micro-batch 1 of 2 is no longer a number" in said
    assert f"(windows {first} to {first + 3} of the run's draws)" in said
    assert "a lower train.learning_rate or a longer warm-up usually helps" in said
    assert f"checkpoints: the checkpoint of step {step - 1} is kept" in said
    assert saved_steps(folder / "run")[-1] == step - 1
    assert [record["step"] for record in curve(folder / "run")] == list(range(1, step))
    assert not (folder / "run" / "model.safetensors").exists()


def plant_nan(out, name):
    """Make the last checkpoint one of a model with a weight that is no number."""
    saved = last_saved(out)
    saved.tensors[name].view(-1)[0] = torch.nan
    with RunFolder(out) as folder:
        folder.save(saved.step, saved.tensors, saved.meta)


def test_a_weight_that_is_no_number_is_noticed_at_once(folder):
    command = arguments(folder, **SHORT, max_seconds=1e-9)
    trained(command)
    plant_nan(folder / "run", "model/head.weight")
    said = refused(command)
    assert "error: step 2: the loss of micro-batch 1 of 2 is no longer a number (windows 8 to 11" in said
    assert "the checkpoint of step 1 is kept" in said


def test_weights_that_are_no_numbers_are_never_saved(folder, monkeypatch):
    step = Trainer.step

    def step_and_break(trainer):
        step(trainer)
        if trainer.num_done == 3:
            trainer.model.head.weight.data[0] = torch.inf

    monkeypatch.setattr(Trainer, "step", step_and_break)
    said = refused(arguments(folder, num_steps=5, save_every=1))
    assert "error: step 3: weights are no longer numbers (head.weight and 0 others)" in said
    assert "the checkpoint of step 2 is kept" in said
    assert saved_steps(folder / "run") == [1, 2]


def test_a_gradient_that_is_no_number_names_the_whole_step(folder, monkeypatch):
    def broken(parameters, limit):
        return torch.tensor(torch.nan)

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", broken)
    said = refused(arguments(folder, **SHORT))
    assert "error: step 1: the gradient is no longer a number (windows 0 to 7 of the run's draws)" in said
    assert "checkpoints: none was saved yet" in said


def limit_file_size(num_bytes):
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, num_bytes))


def test_a_disk_that_is_full_ends_the_run_and_loses_nothing(folder):
    trained(arguments(folder, **SHORT, max_seconds=1e-9))
    kept = (folder / "run" / "checkpoints" / "step-00000001.safetensors").read_bytes()
    command = arguments(folder, **SHORT)
    ended = run_apart(command, folder / "words.txt", prepare=partial(limit_file_size, len(kept) // 2))
    assert ended.exit_code == 1
    assert "cannot write the checkpoint" in ended.text
    assert "step-00000002.safetensors (File too large); those before it are kept" in ended.text
    assert [path.read_bytes() for path in (folder / "run" / "checkpoints").iterdir()] == [kept]
    assert "going on after step 1 of 4" in trained(command)


def test_two_runs_do_not_share_a_folder(folder):
    command = arguments(folder, **SHORT)
    with RunFolder(folder / "run"):
        said = refused(command)
    assert f"another process is training in {folder}/run; wait for it or choose another folder" in said
    trained(command)


def test_a_package_that_is_missing_is_named(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert "train.tensorboard needs the tensorboard package" in refused(arguments(folder, tensorboard=True))


def test_without_matplotlib_there_is_a_model_all_the_same(folder, monkeypatch):
    monkeypatch.setattr(loop, "draw_curves", _no_matplotlib)
    said = trained(arguments(folder, num_steps=1))
    assert "no curves were drawn: drawing curves needs matplotlib" in said
    assert (folder / "run" / "model.safetensors").exists()


def _no_matplotlib(*arguments):
    raise ImportError("drawing curves needs matplotlib")
