"""The evaluation report as one HTML file that needs nothing else, neither network nor other files."""

import json
from collections.abc import Iterator, Mapping

import pandas as pd

from ldarnet_analysis.evaluation_files import Evaluation
from ldarnet_analysis.evaluation_published import METRICS, beside_published, percent, sources
from ldarnet_analysis.html_text import Cell, bullets, facts_table, folded, image, paragraph, section, table
from ldarnet_analysis.report_page import report_page

HOW_TO_READ = (
    "All metrics are x100 and computed once over all test sequences of a fold, never averaged over batches.",
    "Value: the mean over folds and seeds. Fold sd: over folds, of the mean over seeds: the chance of training, and "
    "where folds are tested on different sequences that of testing. Seed sd: over seeds within a fold.",
    "95 % interval: test sequences are drawn again, 2,000 times, the same draws for every model, and for every fold on "
    "the same sequences. It holds the chance of testing only. Near-duplicates that are tested make it too narrow.",
    "Without leaks: the value on test sequences that resemble none of train or dev, or of another fold.",
    "Settings and epochs are chosen on validation; the test sequences take no part in it.",
    "MCC of 0 and accuracy of the largest class are what guessing gives.",
    "Published numbers were made with more training data, larger models or other splits, as the notes of a task say: "
    "they are beside ours for scale, not for a race.",
)
NEAR = (
    "Near-duplicates share at least half of the different 20-mers, of either strand, of the one that has fewer. Equal "
    "sequences and reverse complements are never in two folds; in two published splits they may be. Other class: pairs "
    "that have different labels."
)


def evaluation_html(
    found: Evaluation, results: pd.DataFrame, differences: pd.DataFrame, leaks: pd.DataFrame, picture: bytes
) -> str:
    """The page; the same input gives the same bytes."""
    headings, rows = beside_published(results)
    sections = [
        section("Results", [_results(results), *_failures(found)], "results"),
        section("Figure", [image(picture, "svg", "results", CAPTION, "two-columns")], "figure"),
    ]
    if len(differences):
        sections.append(section("Differences between models", [_differences(differences)], "differences"))
    beside = [table(headings, rows, "Mean ± standard deviation over folds, x100")]
    beside += [paragraph(f"Published numbers: {'; '.join(sources(results)) or 'none of these tasks'}.")]
    sections += [
        section("Beside published numbers", beside, "published"),
        section("Tasks as they were read", list(_tasks(found)), "tasks"),
        section("Sequences in two splits", [_leaks(leaks), paragraph(NEAR), *_pretraining(found)], "leakage"),
        section("How to read this", [bullets(HOW_TO_READ)], "read"),
        section("How it was made", list(_made(found)), "made"),
    ]
    subtitle = "Models on public benchmark tasks: folds, seeds, intervals, and what could have leaked."
    return report_page("Benchmark tasks", "".join(sections), subtitle=subtitle)


CAPTION = (
    "Every model on every task, x100: points are means over folds and seeds, bars 95 % intervals over test sequences. "
    "Grey marks: published models on the same task, or on the same sequences split otherwise."
)

LEAK_COUNTS = ("n_sequences", "same", "reverse_complement", "near_duplicate", "other_class")


def _results(results: pd.DataFrame) -> str:
    headings = ["task", "model", "metric", "value", "95 % interval", "fold sd", "seed sd"]
    headings += ["without leaks", "folds", "seeds"]
    headings += ["test sequences", "largest class", "s per fold", "scheme"]
    rows = [
        (
            row["task"],
            row["model"],
            METRICS[row["metric"]],
            _cell(row["value"]),
            Cell(f"{percent(row['lo'])} to {percent(row['hi'])}", row["lo"]),
            _cell(row["fold_sd"]),
            _cell(row["seed_sd"]),
            _cell(row["value_without_leaks"]),
            Cell(str(row["n_folds"]), row["n_folds"]),
            Cell(str(row["n_seeds"]), row["n_seeds"]),
            Cell(f"{row['n_test']:,}", row["n_test"]),
            _cell(row["largest_class"]),
            Cell(f"{row['seconds_per_fold']:.1f}", row["seconds_per_fold"]),
            row["scheme"],
        )
        for row in results.to_dict("records")
    ]
    return table(headings, rows, "Every model on every task, x100")


def _differences(differences: pd.DataFrame) -> str:
    rows = [
        (
            row["task"],
            f"{row['model']} − {row['other']}",
            METRICS[row["metric"]],
            _cell(row["difference"]),
            Cell(f"{percent(row['lo'])} to {percent(row['hi'])}", row["lo"]),
            _cell(row["fold_sd"]),
            Cell(f"{row['n_better']} of {row['n_folds']}", row["n_better"]),
        )
        for row in differences.to_dict("records")
    ]
    headings = [
        "task",
        "models",
        "metric",
        "difference",
        "95 % interval",
        "fold sd",
        "folds in which the first is better",
    ]
    return table(headings, rows, "Differences on the same folds, x100; intervals from paired draws of test sequences")


def _failures(found: Evaluation) -> Iterator[str]:
    if found.failures:
        yield paragraph("Not run:")
        yield bullets(f"{each['task']}, {each['model']}: {each['reason']}" for each in found.failures)


def _tasks(found: Evaluation) -> Iterator[str]:
    rows = []
    for name in found.records:
        facts = found.tasks.get(name, {})
        sizes, published = _sizes(facts.get("sizes", {})), _sizes(facts.get("published_sizes", {}))
        classes = ", ".join(f"{number:,}" for number in facts.get("class_sizes", ()))
        rows.append((name, facts.get("about", ""), sizes, published, classes, facts.get("how", "")))
    yield table(["task", "about", "here", "published", "classes", "how it is divided"], rows, "Sequences of each split")
    notes = [f"{name}: {note}." for name in found.records for note in found.tasks.get(name, {}).get("notes", ())]
    cropped = {(name, each["num_cropped"]) for name, records in found.records.items() for each in records}
    longer = f"sequences are longer than {found.settings.get('max_bp')} bases and are cropped to their middle"
    notes += [f"{name}: {number:,} {longer}." for name, number in sorted(cropped) if number]
    if notes:
        yield folded(f"Notes ({len(notes)})", bullets(notes))


def _sizes(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{split} {sizes[split]:,}" for split in ("train", "dev", "test") if split in sizes)


def _leaks(leaks: pd.DataFrame) -> str:
    rows = [
        (row["task"], row["between"], *(Cell(f"{row[name]:,}", row[name]) for name in LEAK_COUNTS))
        for row in leaks.to_dict("records")
    ]
    headings = [
        "task",
        "between",
        "sequences of the first",
        "same",
        "reverse complement",
        "near-duplicate",
        "other class",
    ]
    return table(headings, rows, "Sequences that resemble one of another split or fold")


def _pretraining(found: Evaluation) -> Iterator[str]:
    seen = {
        name: found.tasks[name]["pretraining"] for name in found.records if "pretraining" in found.tasks.get(name, {})
    }
    if not seen:
        yield paragraph("What models were trained on before was not given, so nothing is said about it.")
        return
    rows = [
        (
            name,
            Cell(f"{each['num_sequences']:,}", each["num_sequences"]),
            Cell(f"{each['num_seen']:,}", each["num_seen"]),
            Cell(f"{each['num_seen_whole']:,}", each["num_seen_whole"]),
            ", ".join(each["files"]),
        )
        for name, each in seen.items()
    ]
    headings = ["task", "test sequences", "half of the 20-mers seen", "all of them seen", "trained on"]
    yield table(headings, rows, "Test sequences that lie in what models were trained on before, without their labels")


def _made(found: Evaluation) -> Iterator[str]:
    models = {record["model"]: record for records in found.records.values() for record in records}
    lines = [(name.replace("_", " "), _plain(value)) for name, value in found.settings.items()]
    lines += [
        (
            f"model {name}",
            f"{record.get('model_source', '')}, {record.get('num_parameters', 0):,} parameters, sha256 "
            f"{record.get('model_sha256', '')}",
        )
        for name, record in sorted(models.items())
    ]
    yield facts_table(lines)


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _cell(value: float) -> Cell:
    return Cell(percent(float(value)), float(value))
