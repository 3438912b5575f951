"""`ldarnet robustness` as a whole, on the demo genome with tiny random models."""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ldarnet.checkpoint import random_model, save_model
from ldarnet.demo import write_demo
from ldarnet.robustness import run as robustness_run
from ldarnet.robustness.run import RobustnessRequest
from ldarnet.tracks import open_track
from ldarnet_analysis.figure_files import figure_bytes
from ldarnet_analysis.robustness_figures import robustness_figures
from ldarnet_analysis.robustness_page import robustness_html
from ldarnet_analysis.robustness_report import check_folder
from ldarnet_analysis.robustness_table import COLUMNS, robustness_table
from ldarnet_analysis.robustness_terms import TERMS
from tests.command_line import ONE_STAGE, TWO_STAGES, letters, names, run, save_tiny, write_fasta
from tests.rigged_models import causal_config

FIGURES = ("reverse", "shift", "mask", "edits-cuts", "edits-probabilities", "arithmetic", "models")
SMALL = ("--window", 64, "--max-shift", 8, "--num-windows", 24, "--quiet")


def robustness(*args):
    return run(*args, command="robustness")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Demo genome, two models of one shape, one of two stages, and the report on the first two."""
    folder = tmp_path_factory.mktemp("robustness")
    fasta = write_demo(folder / "demo").fasta
    first, second = save_tiny(folder, name="first"), save_tiny(folder, TWO_STAGES, name="second")
    arguments = ["--fasta", fasta, "--model", first, "--model", second, *SMALL]
    result = robustness(*arguments, "--out", folder / "out", "--consensus", folder / "both.bw")
    assert result.exit_code == 0, result.stderr
    return folder, arguments, result


def table_of(folder):
    return pd.read_csv(folder / "robustness.tsv", sep="\t", keep_default_na=False, na_values=["nan"])


def test_writes_table_figures_page_and_record(files):
    folder, _, result = files
    out = folder / "out"
    figures = {f"{name}.{kind}" for name in FIGURES for kind in ("pdf", "png", "svg")}
    assert set(names(out)) == figures | {"robustness.tsv", "robustness.html", "run.json"}
    assert "24 windows of 64 bases, seed 0" in result.stderr
    assert "robustness.html" in result.stderr
    assert result.stdout == ""

    record = json.loads((out / "run.json").read_text())
    assert record["models"].keys() == {"first", "second"}
    assert record["settings"]["seed"] == 0
    assert len(record["loci"]) == record["windows"]["drawn"] == 24
    assert record["consensus"]["file"] == "both.bw"
    assert record["command"]

    table = table_of(out)
    assert list(table.columns) == COLUMNS
    assert set(table["model"]) == {"first", "second", "first and second", "all 2 models"}
    assert set(table["test"]) <= TERMS.keys()
    assert set(table["status"]) <= {"ok", "no spread", "too few windows"}
    ok = table[table["status"] == "ok"]
    assert len(ok) > 150
    assert ((ok["lo"] <= ok["value"]) & (ok["value"] <= ok["hi"])).mean() > 0.99
    assert ok.loc[~ok["test"].str.startswith("plain"), "null"].notna().all()
    shares = ok[~ok["test"].str.contains("number|correlation")]
    assert shares["value"].between(0, 1).all()


def test_page_needs_nothing_from_outside(files):
    page = (files[0] / "out" / "robustness.html").read_text()
    assert not re.search('(?:src|href)="(?!#|data:)', page)  # pictures, which are data, have single quotes
    assert "default-src 'none'" in page
    assert page.count("<figure") == len(FIGURES)
    for heading in ("Summary", "How to read this", "All measures", "How it was made"):
        assert f"<h2>{heading}</h2>" in page
    assert "unrelated cuts" in page
    assert str(files[0]) not in page  # folders of the machine


def test_consensus_is_where_the_track_of_every_model_cuts(files, tmp_path):
    folder, arguments, _ = files
    fasta, first, second = (arguments[i] for i in (1, 3, 5))
    tracks = []
    for model in (first, second):
        out = tmp_path / f"{model.stem}.npz"
        assert run("--fasta", fasta, "--model", model, "--window", 64, "--out", out).exit_code == 0
        tracks.append(out)
    expected = {}
    for path in tracks:
        with open_track(path) as track:
            for name, length in track.contigs:
                values = track.values(name, 0, length)
                expected[name] = np.minimum(expected.get(name, 1), values)
    with open_track(folder / "both.bw") as both:
        for name, length in both.contigs:
            np.testing.assert_array_equal(both.values(name, 0, length), expected[name])
    sidecar = json.loads((folder / "both.bw.json").read_text())
    assert sidecar["cuts"] == sum(int((values > 0.5).sum()) for values in expected.values()) > 0
    assert [each["name"] for each in sidecar["models"]] == ["first", "second"]
    track = json.loads((tmp_path / "first.npz.json").read_text())
    for key in ("fasta", "bases", "values", "without_value"):
        assert sidecar[key] == track[key]
    assert sidecar["settings"]["device"] == track["settings"]["device"]
    assert sidecar["bases"] == sidecar["values"] + sum(sidecar["without_value"].values())


def measured(fasta, *models, seed=0, **changes):
    """The table of a run, and its facts, without drawing anything."""
    request = RobustnessRequest(
        fasta=str(fasta), models=tuple(map(str, models)), window_bp=64, max_shift_bp=8, seed=seed, num_threads=1,
        **{"num_windows": 24} | changes,
    )  # fmt: skip
    found, facts = robustness_run.run_robustness(request, say=lambda message: None)
    return robustness_table(found, seed), facts


def test_regions_bound_windows_and_consensus(files, tmp_path):
    _, arguments, _ = files
    track = tmp_path / "c.bed"
    _, facts = measured(*arguments[1:6:2], regions="demo1:1000-5000", consensus=track)
    rows = [line.split("\t") for line in track.read_text().splitlines() if not line.startswith("#")]
    assert {row[0] for row in rows} == {"demo1"}
    assert min(int(row[1]) for row in rows) >= 1000
    assert max(int(row[2]) for row in rows) <= 5000
    spans = [tuple(map(int, locus.removeprefix("demo1:").split("-"))) for locus in facts["loci"]]
    assert all(1000 <= start < end <= 5000 for start, end in spans)


def test_merged_regions_are_told(files, tmp_path):
    bed = tmp_path / "r.bed"
    bed.write_text("demo1\t1000\t3000\ndemo1\t3000\t5000\n")
    result = robustness(*files[1][:4], *SMALL, "--out", tmp_path / "out", "--regions", bed, "--num-windows", 2)
    assert result.exit_code == 0
    assert f"{bed}: 1 overlapping or touching regions were merged" in result.stderr


def test_the_same_seed_gives_the_same_table_figures_and_page(files):
    folder, arguments, _ = files
    (first, facts), (second, same) = (measured(*arguments[1:6:2]) for _ in range(2))
    assert facts == same
    pd.testing.assert_frame_equal(first, second, check_exact=True)
    # the table of the command, as far as it is written
    pd.testing.assert_frame_equal(first, table_of(folder / "out"), check_dtype=False, rtol=1e-5)
    drawn = [figure_bytes(robustness_figures(each)["models"], "svg", {}) for each in (first, second)]
    assert drawn[0] == drawn[1]
    pages = [robustness_html(each, {"models": drawn[0]}, facts) for each in (first, second)]
    assert pages[0] == pages[1]


def test_another_seed_gives_other_windows(files):
    fasta, model = files[1][1], files[1][3]
    first, facts = measured(fasta, model)
    second, other = measured(fasta, model, seed=1)
    assert facts["loci"] != other["loci"]
    assert not first["value"].equals(second["value"])


def test_what_cannot_be_run_has_a_row_with_the_reason(files, monkeypatch):
    """One causal model: nothing to mask, nothing to compare with; and few windows, so no intervals."""
    load = robustness_run.load_model

    def causal(source, device):
        model = load(source, device=device)
        model.config = causal_config()
        return model

    monkeypatch.setattr(robustness_run, "load_model", causal)
    table, facts = measured(files[1][1], files[1][3], num_windows=6)
    reasons = table[table["status"] == "not run"].set_index("test")["reason"]
    assert "causal" in reasons["mask.changed"]
    assert "only one model" in reasons["models.within"]
    assert len(reasons) == 2
    rest = table[table["status"] != "not run"]
    assert set(rest["status"]) == {"too few windows"}
    assert rest["lo"].isna().all() and rest["value"].notna().all()
    page = robustness_html(table, {}, facts)
    assert "a causal model is never shown [MASK]" in page
    assert not robustness_figures(table)


def test_a_model_given_twice_agrees_with_itself(files):
    fasta, model = files[1][1], files[1][3]
    table, _ = measured(fasta, model, model)
    table = table.set_index(["model", "test"])
    assert table.loc[("first and first (2)", "models.within"), "value"].tolist() == [1, 1, 1]


def test_causal_models_change_nothing_left_of_an_edit(tmp_path):
    model = save_tiny(tmp_path, replace(ONE_STAGE, objective="causal", router="previous"))
    table, _ = measured(write_fasta(tmp_path / "g.fa", chr1=letters(0, 4000)), model)
    left = table[table["test"].isin([f"{name}.changed_left" for name in ("snv", "deletion", "insertion")])]
    assert left.loc[left["x"] > 0, "value"].eq(0).all()
    assert table.loc[table["test"] == "padding.equal", "value"].eq(1).all()


def test_a_folder_in_use_is_left_alone(files, tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    result = robustness(*files[1], "--out", tmp_path)
    assert result.exit_code == 1
    assert "not empty" in result.stderr and "--force" in result.stderr
    assert names(tmp_path) == ["mine.txt"]
    check_folder(tmp_path, force=True)
    with pytest.raises(ValueError, match="expected a folder, got a file"):
        check_folder(tmp_path / "mine.txt", force=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--model", "no-such-model"], "no model 'no-such-model'"),
        (["--window", 100_000, "--max-shift", 64], "expected a stretch of 100,064 bases"),
        (["--max-shift", 17], "--max-shift: expected 1 to 16"),
        (["--regions", "demo1:5-20"], "expected a stretch of 72 bases.*the longest there is has 15"),
        (["--regions", "chr9"], "contigs in the FASTA: demo1, demo2"),
        (["--consensus", "x.wig"], "x.wig"),
        (["--consensus", "-"], "expected the name of a file"),
    ],
)
def test_bad_input(files, tmp_path, changes, message):
    _, arguments, _ = files
    result = robustness(*arguments, "--out", tmp_path / "out", *changes)
    assert result.exit_code == 1
    assert re.search(message, result.stderr)
    assert not (tmp_path / "out").exists() or not names(tmp_path / "out")


def test_consensus_needs_two_models(files, tmp_path):
    _, arguments, _ = files
    result = robustness(*arguments[:4], *SMALL, "--out", tmp_path / "out", "--consensus", tmp_path / "c.bw")
    assert result.exit_code == 1
    assert "expected two models or more, got 1" in result.stderr


def test_the_consensus_overwrites_no_input(files, tmp_path):
    _, arguments, _ = files
    bed, as_sidecar = tmp_path / "r.bed", tmp_path / "c.bed.json"
    for path in (bed, as_sidecar):
        path.write_text("demo1\t1000\t5000\n")
    for regions, consensus in ((bed, bed), (as_sidecar, tmp_path / "c.bed")):
        result = robustness(*arguments, "--out", tmp_path / "out", "--regions", regions, "--consensus", consensus)
        assert result.exit_code == 1
        assert f"{regions} is --regions and would be overwritten" in result.stderr
        assert regions.read_text() == "demo1\t1000\t5000\n"
    with pytest.raises(ValueError, match="is --model and would be overwritten"):
        link = tmp_path / "link.bw"
        link.symlink_to(arguments[3])
        measured(*arguments[1:6:2], consensus=link)


def test_n_only_is_an_error(files, tmp_path):
    fasta = write_fasta(tmp_path / "n.fa", chr1="N" * 500)
    result = robustness("--fasta", fasta, "--model", files[1][3], *SMALL, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "all 6 stretches of 72 bases hold N" in result.stderr


def test_a_model_of_bytes_is_refused(tmp_path):
    config = replace(ONE_STAGE, objective="causal", vocabulary="bytes", vocab_size=256)
    path = tmp_path / "bytes.safetensors"
    save_model(random_model(config), path)
    fasta = write_fasta(tmp_path / "g.fa", chr1=letters(0, 500))
    result = robustness("--fasta", fasta, "--model", path, *SMALL, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "bytes" in result.stderr


def test_cuts_of_a_rule_are_those_of_the_rule(files, tmp_path):
    """Whatever probability a router gives them: a grid of four has a quarter of the bases as cuts."""
    soft = save_tiny(tmp_path, replace(ONE_STAGE, cuts="fixed", cut_every=4, cut_prob="router"), name="soft")
    fasta, learned = files[1][1], files[1][3]
    table, _ = measured(fasta, soft)
    assert table.loc[table["test"] == "plain.rate", "value"].tolist() == [pytest.approx(15 / 63)]
    for name in ("c.bed", "c.bw"):
        with pytest.raises(ValueError, match=f"--consensus .*{name}: soft cuts by a rule whatever its router"):
            measured(fasta, learned, soft, consensus=tmp_path / name)
    assert names(tmp_path) == ["soft.safetensors"]
