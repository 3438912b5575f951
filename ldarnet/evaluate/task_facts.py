"""What is written about a task before models are run: its sizes, how it differs from the published one, its leaks."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ldarnet.data.names import find_genome
from ldarnet.evaluate.folds import SCHEMES, FoldPlan
from ldarnet.evaluate.leakage import KINDS, NEAR_SHARE, K, Leak, find_leaks, leaks_between_folds, share_in
from ldarnet.evaluate.locate import TaskData
from ldarnet.evaluate.store import Store, read_json, write_json, write_with_folder
from ldarnet.genome import Interval, open_genome, parse_regions

PIECE_BP = 1 << 20
"""Windows longer than this are looked at in pieces."""


def write_task_facts(
    data: TaskData, plan: FoldPlan, store: Store, pretraining: tuple[str, str | None] | None
) -> dict[str, Any]:
    """Write facts, fold manifest and leaks of a task, unless those of the same data are there; returns the facts.

    `pretraining`: FASTA and BED (or None: all of it) of what the models were trained on.
    """
    path = store.task_file(data.task)
    earlier = read_json(path) or {}
    fasta, bed = pretraining or (None, None)
    asked = [Path(each) for each in (fasta and find_genome(fasta), bed) if each]
    digests = [_sha256(file, file.stat().st_mtime_ns) for file in asked]
    known = earlier.get("pretraining", {}).get("sha256", [])
    if earlier.get("folds_sha256") == plan.sha256() and known == (digests or known):
        return earlier
    leaks = _leaks(data, plan)
    task = data.task
    facts: dict[str, Any] = {
        "task": task.name,
        "about": task.about,
        "suite": task.suite,
        "metric": task.metric,
        "published_as": task.published_as,
        "num_classes": task.num_classes,
        "sizes": data.sizes(),
        "published_sizes": task.sizes,
        "sizes_source": task.sizes_source,
        "class_sizes": np.bincount(data.labels, minlength=task.num_classes).tolist(),
        "notes": data.notes(),
        "num_missing": sum(data.missing.values()),
        "data_sha256": plan.data_sha256,
        "scheme": plan.scheme,
        "how": SCHEMES[plan.scheme],
        "num_folds": plan.num_folds,
        "folds_sha256": plan.sha256(),
        "leakage": {
            "k": K,
            "near_share": NEAR_SHARE,
            "between": leaks_summary(data, plan, leaks),
            "tested": _tested(leaks),
        },
    }
    if pretraining is not None:
        names = [file.name for file in asked]
        facts["pretraining"] = {"files": names, "sha256": digests, **_seen(data, plan, *pretraining)}
    write_with_folder(store.task_file(task, "folds.json"), plan.to_json())
    write_with_folder(store.task_file(task, "leakage.tsv"), _leaks_table(data, leaks))
    write_json(path, facts)
    return facts


@lru_cache(maxsize=4)  # a genome is large, and every task asks
def _sha256(path: Path, modified_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def leaks_summary(data: TaskData, plan: FoldPlan, leaks: dict[str, list[Leak]]) -> list[dict[str, Any]]:
    """Per pair of splits: how many of the first resemble one of the second, by kind, and with another class."""
    rows = []
    for between, found in leaks.items():
        kinds = Counter(leak.kind for leak in found)
        row: dict[str, Any] = {kind: kinds[kind] for kind in KINDS}
        row |= {"between": between, "num_sequences": _num_first(data, plan, between)}
        row["other_class"] = sum(bool(data.labels[leak.test] != data.labels[leak.other]) for leak in found)
        rows.append(row)
    return rows


def _tested(leaks: dict[str, list[Leak]]) -> list[int]:
    """Numbers of the sequences that are tested on and resemble one that may be trained on."""
    return sorted({leak.test for between, found in leaks.items() if not between.startswith("dev") for leak in found})


def _num_first(data: TaskData, plan: FoldPlan, between: str) -> int:
    if between == "folds":
        return sum(fold >= 0 for fold in plan.fold_of)
    return int((data.splits == between.split(" and ")[0]).sum())


def _leaks(data: TaskData, plan: FoldPlan) -> dict[str, list[Leak]]:
    """Leaks by the pair of splits they are between, numbered as in the task."""
    folds = np.array(plan.fold_of)
    if plan.scheme == "cross-validation":
        return {"folds": leaks_between_folds(data.sequences, folds)}
    pairs = [("test", "train"), ("test", "dev"), ("dev", "train")]
    found = {}
    for first, second in pairs:
        if first in data.split_names and second in data.split_names:
            mine, theirs = np.flatnonzero(data.splits == first), np.flatnonzero(data.splits == second)
            leaks = find_leaks([data.sequences[i] for i in mine], [data.sequences[i] for i in theirs])
            found[f"{first} and {second}"] = [
                leak._replace(test=int(mine[leak.test]), other=int(theirs[leak.other])) for leak in leaks
            ]
    return found


def _leaks_table(data: TaskData, leaks: dict[str, list[Leak]]) -> str:
    lines = ["between\tsequence\tlabel\tother_sequence\tother_label\tkind\tshare"]
    lines += [
        f"{between}\t{_name(data, leak.test)}\t{data.labels[leak.test]}\t{_name(data, leak.other)}\t"
        f"{data.labels[leak.other]}\t{leak.kind}\t{leak.share:.3f}"
        for between, found in leaks.items()
        for leak in found
    ]
    return "\n".join(lines) + "\n"


def _name(data: TaskData, number: int) -> str:
    """Split and 1-based place in it."""
    split = data.splits[number]
    return f"{split}:{int((data.splits[: number + 1] == split).sum())}"


def _seen(data: TaskData, plan: FoldPlan, fasta: str, regions: str | None) -> dict[str, Any]:
    """How many of the sequences that are tested on lie, by half of their k-mers, in what models were trained on."""
    is_test = (np.array(plan.fold_of) == -1) | (plan.scheme == "cross-validation")
    test = [data.sequences[i] for i in np.flatnonzero(is_test)]
    share = share_in(test, _pieces(fasta, regions))
    return {
        "num_sequences": len(test),
        "num_too_short": int(np.isnan(share).sum()),
        "num_seen": int((share >= NEAR_SHARE).sum()),
        "num_seen_whole": int((share == 1).sum()),
    }


def _pieces(fasta: str, regions: str | None) -> Iterator[np.ndarray]:
    with open_genome(find_genome(fasta)) as genome:
        spans: Sequence[Interval] = [Interval(contig.name, 0, contig.length_bp) for contig in genome.contigs]
        if regions is not None:
            spans = parse_regions(regions, genome.contigs).intervals
        for chrom, start, end in spans:
            # Pieces overlap by k - 1 bases, so that no k-mer is lost between them.
            for low in range(start, max(end - K + 1, start + 1), PIECE_BP):
                yield genome.ids(chrom, low, min(low + PIECE_BP + K - 1, end))
