"""`ldarnet finetune`: files in and out, and what is said about those that cannot be used."""

import csv
import gzip
import json

import numpy as np
import pytest
import torch

from ldarnet import vocab
from ldarnet.checkpoint import load_model, save_model
from ldarnet.finetune import metrics, predict
from ldarnet.finetune.files import load_fitted
from ldarnet.finetune.labelled_files import read_labelled
from ldarnet.provenance import CheckpointError
from ldarnet.train.run_folder import RunFolder

from .command_line import run
from .labelled_sequences import tiny_model, toy, write_csv

FILES = ("model.safetensors", "head.safetensors", "predictions.tsv")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labelled")
    save_model(tiny_model(), folder / "tiny.safetensors", {"licence": "ours"})
    for seed, name in enumerate(("train", "dev", "test")):
        write_csv(folder / f"{name}.csv", toy(48, seed=seed, shortest=20, longest=80))
    return folder


def arguments(folder, out, *more, **files):
    names = {"train": "train.csv", "valid": "dev.csv", "test": "test.csv", **files}
    words = [word for option, name in names.items() if name for word in (f"--{option}", folder / name)]
    return [*words, "--model", folder / "tiny.safetensors", "--out", out, "--device", "cpu", *more]


def finetune(*words):
    return run(*words, command="finetune")


@pytest.mark.parametrize("mode", ["full", "lora", "probe"])
def test_a_run_leaves_model_figures_and_predictions(folder, tmp_path, mode):
    words = arguments(folder, tmp_path / "run", "--mode", mode, "--max-epochs", "2", "--reverse-complement")
    ended = finetune(*words)
    assert ended.exit_code == 0, ended.stderr
    assert not ended.stdout
    assert "their middles are used" in ended.stderr
    record = json.loads((tmp_path / "run/metrics.json").read_text())
    assert record["splits"]["test"]["cropped"] == sum(
        len(row["sequence"]) > 64 for row in csv.DictReader((folder / "test.csv").open())
    )
    with (tmp_path / "run/predictions.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    labels = np.array([int(row["label"]) for row in rows])
    scores = np.array([[float(row["score_0"]), float(row["score_1"])] for row in rows])
    assert labels.tolist() == toy(48, seed=2, shortest=20, longest=80).labels.tolist()
    assert metrics(labels, scores, "classification") == pytest.approx(record["test"], abs=1e-4)
    log = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert len(log) == record["epochs"]
    assert log[record["best_epoch"] - 1]["valid"] == record["valid"]

    loaded = load_fitted(tmp_path / "run")
    examples = toy(48, seed=2, shortest=20, longest=80)
    long = examples.lengths > loaded.max_bp
    np.testing.assert_allclose(
        predict(loaded, examples.take(np.flatnonzero(~long))), scores[~long], rtol=1e-4, atol=1e-5
    )
    body = load_model(tmp_path / "run/model.safetensors")
    assert body.provenance.notes["licence"] == "ours"
    assert f"mode {mode}" in body.provenance.notes["fine-tuned on"]


def test_the_same_command_goes_on_and_a_finished_run_writes_the_same(folder, tmp_path):
    words = arguments(folder, tmp_path / "run", "--mode", "frozen", "--max-epochs", "3", "--few-shot")
    assert finetune(*words).exit_code == 0
    first = [(tmp_path / "run" / name).read_bytes() for name in FILES]
    table = (tmp_path / "run/few_shot.tsv").read_text()
    assert "linear\t16\t10\tmcc" in table
    assert "the smallest class has 24 examples" in table
    again = finetune(*words)
    assert again.exit_code == 0
    assert "epoch 1:" not in again.stderr
    assert [(tmp_path / "run" / name).read_bytes() for name in FILES] == first
    other = finetune(*words, "--learning-rate", "0.5")
    assert other.exit_code == 1
    assert "learning_rate was 0.001, now 0.5" in other.stderr


def test_head_and_body_of_different_runs_do_not_go_together(folder, tmp_path):
    for name in ("a", "b"):
        seed = ["--seed", str(ord(name))]
        assert finetune(*arguments(folder, tmp_path / name, "--max-epochs", "1", *seed, test=None)).exit_code == 0
    (tmp_path / "a/head.safetensors").write_bytes((tmp_path / "b/head.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match="belongs to another model"):
        load_fitted(tmp_path / "a")
    whole = (tmp_path / "b/head.safetensors").read_bytes()
    (tmp_path / "b/head.safetensors").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(CheckpointError, match="damaged"):
        load_fitted(tmp_path / "b")


def test_all_layouts_are_read_alike(tmp_path):
    sequences, labels = ["ACGT", "GGNNu", "ttt"], [0, 1, 1]
    rows = list(zip(sequences, labels, strict=True))
    texts = {
        "a.csv": "sequence,label\n" + "".join(f"{s},{y}\n" for s, y in rows),
        "b.csv": "\ufefflabel,more,sequence\r\n" + "".join(f"{y},x,{s}\r\n" for s, y in rows),
        "c.tsv": "id\tlabel\tsequence\n" + "".join(f"{i}\t{y}\t{s}\n" for i, (s, y) in enumerate(rows, 1)),
        "d.fa": "".join(f">{i} chr1|{y}\n{s[:2]}\n{s[2:]}\n" for i, (s, y) in enumerate(rows, 1)),
        "e.fa": "".join(f">{i} label={y} x|9\n{s}\n\n" for i, (s, y) in enumerate(rows, 1)),
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, newline="")
    (tmp_path / "f.csv.gz").write_bytes(gzip.compress(texts["a.csv"].encode()))
    for name in (*texts, "f.csv.gz"):
        found = read_labelled(tmp_path / name, "classification")
        assert [ids.tolist() for ids in found.sequences] == [vocab.encode(s).tolist() for s in sequences], name
        assert found.labels.tolist() == labels
        assert found.labels.dtype == np.int64
        assert found.names == ["1", "2", "3"]


def test_long_sequences_and_old_line_ends_are_read(tmp_path):
    long = "ACGT" * 50_000  # more than the csv module takes in a field
    (tmp_path / "a.csv").write_text(f"sequence,label\r{long},0\rACGT,1\r", newline="")
    found = read_labelled(tmp_path / "a.csv", "classification")
    assert [len(ids) for ids in found.sequences] == [200_000, 4]


def test_a_folder_of_another_kind_of_run_is_left_alone(folder, tmp_path):
    out = tmp_path / "run"
    assert finetune(*arguments(folder, out, "--max-epochs", "1")).exit_code == 0
    before = (out / "log.jsonl").read_bytes(), (out / "model.safetensors").read_bytes()
    ended = finetune(*arguments(folder, out, "--mode", "probe"))
    assert ended.exit_code == 1 and "holds a run of another kind" in ended.stderr
    assert ((out / "log.jsonl").read_bytes(), (out / "model.safetensors").read_bytes()) == before
    with RunFolder(tmp_path / "pretrained") as pretrained:
        pretrained.save(3, {"x": torch.zeros(1)}, {"settings": '{"preset": "nano"}', "watch": {}})
    ended = finetune(*arguments(folder, tmp_path / "pretrained"))
    assert ended.exit_code == 1 and "holds a run of another kind" in ended.stderr


def test_few_shot_figures_without_a_test_file_say_whose_they_are(folder, tmp_path):
    words = arguments(folder, tmp_path / "run", "--mode", "probe", "--few-shot", test=None)
    assert "figures are those of" in finetune(*words).stderr


def test_several_labels_stand_in_one_column_or_in_several(tmp_path):
    (tmp_path / "one.csv").write_text('sequence,label\nAC,"0,1"\nGT,1;1\nGG,0 0\n')
    (tmp_path / "two.tsv").write_text("label_b\tsequence\tlabel_a\n0\tAC\t1\n1\tGT\t1\n0\tGG\t0\n")
    for name in ("one.csv", "two.tsv"):
        assert read_labelled(tmp_path / name, "multilabel").labels.tolist() == [
            [False, True],
            [True, True],
            [False] * 2,
        ]


def test_values_are_read_as_numbers(tmp_path):
    (tmp_path / "x.csv").write_text("seq,value\nAC,-1.5e2\nGT,3\n")
    found = read_labelled(tmp_path / "x.csv", "regression", sequence_column="seq", label_column="value")
    assert found.labels.tolist() == [-150.0, 3.0]


@pytest.mark.parametrize(
    ("text", "task", "message"),
    [
        ("sequence,label\nACGT,0\nACGT,\n", "classification", "line 3: it has no label"),
        ("sequence,label\nACGT,0\nACGT,promoter\n", "classification", "line 3: expected a label .*got 'promoter'"),
        ("sequence,label\nACGT,0.5\n", "classification", r"line 2: .*got '0\.5'"),
        ("sequence,label\nACGT,-1\n", "classification", "line 2: .*got '-1'"),
        ("sequence,label\nACGT,nan\n", "regression", "line 2: expected a label \\(a number\\), got 'nan'"),
        ('sequence,label\nACGT,"0,1"\nACGT,1\n', "multilabel", "line 3: expected 2 labels, as above, got 1"),
        ("sequence,label_a,label_b\nACGT,0,1\nACGT,,1\n", "multilabel", "line 3: expected a label"),
        ("sequence,label\nACGT,0\nACXJ,1\n", "classification", "line 3: expected nucleotide .*'J' at position 3"),
        ("sequence,label\n,0\n", "classification", "line 2: expected bases, got an empty sequence"),
        ("sequence,label\nACGT\n", "classification", "line 2: expected 2 fields, as in the header, got 1"),
        ("dna,class\nACGT,0\n", "classification", "line 1: expected .* 'sequence' and 'label', got 'dna'"),
        ("label,label,sequence\n0,0,A\n", "classification", "line 1: expected every column once, got label"),
        ("sequence,label\n", "classification", "no sequences in it"),
        ("", "classification", "no sequences in it"),
        (">a|0\nACGT\n>b\nACGT\n", "classification", "line 3, record 'b': it has no label"),
        (">a|0\nACGT\n>b|1\n>c|1\nAC\n", "classification", "line 3, record 'b': expected bases"),
    ],
)  # fmt: skip
def test_records_that_cannot_be_used_are_named(tmp_path, text, task, message):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_labelled(path, task)
    assert str(caught.value).startswith(str(path))


PACKED = gzip.compress(b"sequence,label\n" + b"ACGTTGCA,0\n" * 9, mtime=0)
FLIPPED = PACKED[:14] + bytes(255 - each for each in PACKED[14:24]) + PACKED[24:]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (gzip.compress(b"sequence,label\nA,0\n", mtime=0)[:-6], "complete gzip data"),
        (b"\xff\xfe\x00", "expected text"),
        (FLIPPED, "complete gzip data"),
    ],
)
def test_files_that_are_no_text_are_told(tmp_path, data, message):
    (tmp_path / "bad.csv").write_bytes(data)
    with pytest.raises(ValueError, match=f"bad.csv: .*{message}"):
        read_labelled(tmp_path / "bad.csv", "classification")


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        ("train", ["A,0", "A,2"], "train.csv: expected classes 0..k-1"),
        ("train", ["A,0", "A,0"], "train.csv: expected classes 0..k-1, two or more"),
        ("valid", ["A,0", "A,0"], "valid.csv: no sequence of class 1; expected some of every class of"),
        ("valid", ["A,0", "A,1", "A,2"], "valid.csv: expected classes 0..1, got 0..2"),
        ("test", [], "test.csv: no sequences in it"),
    ],
)
def test_splits_that_do_not_fit_end_the_command(folder, tmp_path, name, rows, message):
    bad = tmp_path / f"{name}.csv"
    bad.write_text("\n".join(["sequence,label", *rows]) + "\n")
    ended = finetune(*arguments(folder, tmp_path / "run", **{name: bad}))
    assert ended.exit_code == 1
    assert message in ended.stderr
    assert not (tmp_path / "run").exists()


def test_a_class_absent_from_the_test_set_is_told(folder, tmp_path):
    (tmp_path / "test.csv").write_text("sequence,label\nACGT,1\nACCT,1\n")
    ended = finetune(*arguments(folder, tmp_path / "run", "--mode", "probe", test=tmp_path / "test.csv"))
    assert ended.exit_code == 0, ended.stderr
    assert "no sequence of class 0" in ended.stderr
    assert json.loads((tmp_path / "run/metrics.json").read_text())["test"]["auroc"] is None


def test_a_run_out_of_time_has_no_figures_yet(folder, tmp_path):
    endless = ("--max-epochs", "1000000", "--patience", "1000000")
    ended = finetune(*arguments(folder, tmp_path / "run", *endless, "--max-seconds", "1"))
    assert ended.exit_code == 0
    assert "the same command goes on" in ended.stderr
    assert not (tmp_path / "run/metrics.json").exists()


def test_wrong_flags_and_missing_files_are_told(folder, tmp_path):
    ended = finetune(*arguments(folder, tmp_path / "run", "--few-shot", "--task", "regression"))
    assert ended.exit_code == 2
    ended = finetune(*arguments(folder, tmp_path / "run", train="none.csv"))
    assert ended.exit_code == 1
    assert "none.csv" in ended.stderr
