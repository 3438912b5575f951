"""The report of folds: metrics, draws, spreads, differences, published numbers, and the page."""

import json
import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ldarnet.finetune import metrics
from ldarnet_analysis.evaluation_draws import draw_task, metric_of
from ldarnet_analysis.evaluation_files import read_evaluation
from ldarnet_analysis.evaluation_published import beside_published, markdown, percent, published_results
from ldarnet_analysis.evaluation_report import write_report
from ldarnet_analysis.evaluation_tables import evaluation_tables
from tests.evaluation_files import fold_record, write_records

NUM = 200


def made_up(model, fold, seed, error, *, shift=0, **changes):
    """A model that errs at a share of test sequences NUM * fold + shift, ...; the same ones for the same numbers."""
    index = np.arange(NUM) + NUM * fold + shift
    labels = np.random.default_rng((1, fold)).integers(0, 2, NUM)
    wrong = np.random.default_rng((2, fold, seed)).random(NUM) < error
    return fold_record(model, fold, seed, index, labels, labels ^ wrong, **changes)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=30))
def test_metrics_are_those_of_fine_tuning(pairs):
    labels, predicted = np.array(pairs).T
    table = np.zeros((3, 3))
    np.add.at(table, (labels, predicted), 1)
    expected = metrics(labels, np.eye(3)[predicted], "classification")
    for name in ("mcc", "accuracy", "macro_f1"):
        assert metric_of(np.stack([table, table]), name).tolist() == pytest.approx([expected[name]] * 2)


def test_draws_are_those_of_sequences():
    """Counts of outcomes, drawn at once, vary as metrics of sequences drawn one by one."""
    record = made_up("a", 0, 0, 0.2)
    drawn = draw_task([record], num_draws=4000)["a", 0, 0]
    labels, predicted = np.array(record["labels"]), np.array(record["predicted"])
    rng = np.random.default_rng(5)
    slow = []
    for _ in range(2000):
        rows = rng.integers(NUM, size=NUM)
        table = np.zeros((2, 2))
        np.add.at(table, (labels[rows], predicted[rows]), 1)
        slow.append(float(metric_of(table, "mcc")))
    assert drawn.draws.std() == pytest.approx(np.std(slow), rel=0.08)
    assert drawn.draws.mean() == pytest.approx(np.mean(slow), abs=0.005)


def test_models_are_drawn_together():
    same = draw_task([made_up("a", 0, 0, 0.2), made_up("b", 0, 0, 0.2)])
    assert np.array_equal(same["a", 0, 0].draws, same["b", 0, 0].draws)
    wrong = fold_record("b", 0, 0, [0, 1], [0, 0], [0, 1])
    with pytest.raises(ValueError, match="b have other labels"):
        draw_task([fold_record("a", 0, 0, [0, 1], [0, 1], [0, 1]), wrong])


@pytest.fixture
def folder(tmp_path):
    records = [
        made_up(model, fold, seed, error)
        for model, error in (("default", 0.1), ("<i>fixed", 0.3))
        for fold in range(3)
        for seed in range(2)
    ]
    return write_records(tmp_path, records)


def test_tables_hold_spreads_and_paired_differences(folder):
    results, differences = evaluation_tables(read_evaluation(folder))
    row = results.set_index("model").loc["default"]
    records = read_evaluation(folder).records["gue/H4"]
    each = pd.DataFrame(
        [
            (r["model"], r["fold"], metrics(np.array(r["labels"]), np.eye(2)[r["predicted"]], "classification")["mcc"])
            for r in records
        ],
        columns=["model", "fold", "mcc"],
    )
    mine = each[each["model"] == "default"]
    assert row["value"] == pytest.approx(mine["mcc"].mean())
    assert row["fold_sd"] == pytest.approx(mine.groupby("fold")["mcc"].mean().std(ddof=1))
    assert row["seed_sd"] == pytest.approx(math.sqrt(mine.groupby("fold")["mcc"].var(ddof=1).mean()))
    assert (row["n_folds"], row["n_seeds"], row["n_test"]) == (3, 2, 3 * NUM)
    assert row["lo"] < row["value"] < row["hi"]
    (difference,) = differences.to_dict("records")
    expected = each.groupby(["model", "fold"])["mcc"].mean().unstack(0)
    assert difference["difference"] == pytest.approx((expected["default"] - expected["<i>fixed"]).mean())
    assert difference["n_better"] == 3 and 0 < difference["lo"] < difference["difference"] < difference["hi"]


def test_a_difference_takes_only_folds_that_both_have(tmp_path):
    records = [made_up("a", fold, 0, 0.1) for fold in range(3)] + [made_up("b", 1, 0, 0.1)]
    results, differences = evaluation_tables(read_evaluation(write_records(tmp_path, records)))
    assert differences["n_folds"].tolist() == [1] and differences["difference"].tolist() == [0]
    assert math.isnan(differences["fold_sd"][0]) and math.isnan(results["seed_sd"][0])


def test_a_value_without_leaks_leaves_them_out(tmp_path):
    index, labels = np.arange(40), np.arange(40) % 2
    record = fold_record("a", 0, 0, index, labels, np.where(index < 20, labels, 1 - labels), metric="accuracy")
    path = write_records(tmp_path, [record]) / "tasks" / "gue.H4.json"
    facts = json.loads(path.read_text())
    for tested, num, expected in (
        ([], 0, 0.5),
        (list(range(20)), 20, 0.0),
        ([*range(20, 40), 77], 20, 1.0),
        (list(range(40)), 40, math.nan),
    ):
        facts["leakage"]["tested"] = tested
        path.write_text(json.dumps(facts))
        row = evaluation_tables(read_evaluation(tmp_path))[0].iloc[0]
        assert row["value_without_leaks"] == pytest.approx(expected, nan_ok=True)
        assert row["n_leaks"] == num and row["value"] == 0.5


def test_pairing_makes_intervals_narrow(folder):
    results, differences = evaluation_tables(read_evaluation(folder))
    apart = np.hypot(*(results["hi"] - results["lo"]))
    assert differences["hi"][0] - differences["lo"][0] < apart


def test_published_numbers_are_whole():
    published = published_results()
    counts = published.groupby("model")["task"].nunique()
    assert counts["LDARNet"] == 27 and counts["LDARNet, updated"] == 18 and counts["Enformer"] == 18
    assert counts["LDARNet 2M, learned cuts"] == 4
    assert published["mean"].between(10, 100).all() and (published["source"] != "").all()
    assert not published.duplicated(["task", "model"]).any()
    row = published.set_index(["task", "model"]).loc[("nt/H3K4me1", "LDARNet")]
    assert (row["mean"], row["sd"], row["folds"]) == (58.3, 1.2, 10)


def test_published_numbers_stand_beside_ours(folder):
    headings, rows = beside_published(evaluation_tables(read_evaluation(folder))[0])
    assert headings[:5] == ["task", "published", "metric", "default", "<i>fixed"]
    cells = dict(zip(headings, rows[0], strict=True))
    assert cells["published"] == "nt/H4" and cells["LDARNet (110M)"] == "81.3 ± 1.1"
    assert cells["LDARNet, updated (110M)"] == "81.2"
    assert markdown(["a|b"], [["c"]]) == "| a\\|b |\n| --- |\n| c |\n"
    assert (percent(-0.1234, 0.01), percent(float("nan")), percent(0.5, float("nan"))) == ("−12.3 ± 1.0", "", "50.0")


def test_the_page_is_whole_and_safe(folder):
    (folder / "folds" / "gue.H4" / "default" / "failed.json").write_text(
        json.dumps({"task": "gb/x", "model": "default", "reason": "no <genome>"})
    )
    page = write_report(folder).read_text()
    assert "&lt;i&gt;fixed" in page and "<i>fixed" not in page and "<b>a toy" not in page
    assert "no &lt;genome&gt;" in page and "dev: 5 sequences, published are 6" in page
    assert "default − &lt;i&gt;fixed" in page and "81.3 ± 1.1" in page
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page), "nothing is fetched"
    assert write_report(folder).read_text() == page
    assert {"results.tsv", "differences.tsv", "leakage.tsv", "evaluation.md"} <= {
        path.name for path in folder.iterdir()
    }
    assert "| gue/H4 | nt/H4 | MCC |" in (folder / "evaluation.md").read_text()


def test_damaged_results_are_named(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="expected results of folds"):
        read_evaluation(tmp_path / "empty")
    path = folder / "folds" / "gue.H4" / "default" / "fold0.seed0.json"
    record = json.loads(path.read_text())
    for text, message in (
        ("{", "fold0.seed0.json: expected JSON"),
        ("[]", "expected a JSON object"),
        (json.dumps(record | {"labels": [0]}), "as many labels and predictions as test sequences"),
        ("{}", "an object without fold, index"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_evaluation(folder)
