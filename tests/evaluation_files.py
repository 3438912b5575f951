"""Made-up benchmark files, small enough to run."""

import gzip
import json
from collections import Counter

import numpy as np

from ldarnet.evaluate.locate import TaskData
from ldarnet.evaluate.tasks import Task
from ldarnet.vocab import encode

TOY = Task("gue/H4", "gue", "EMP/H4", "a toy", 2, None, "mcc", {"train": 1, "dev": 1, "test": 1}, "made up")


def letters(rng, num_bases, alphabet="ACGT"):
    return "".join(rng.choice(list(alphabet), num_bases))


def toy_rows(seed, num, length_bp=40):
    """Sequences of A and T for class 0, of C and G for class 1."""
    rng = np.random.default_rng(seed)
    return [(letters(rng, length_bp, ("AT", "CG")[i % 2]), i % 2) for i in range(num)]


def write_csv(path, rows, columns="sequence,label"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(columns + "\n" + "".join(f"{sequence},{label}\n" for sequence, label in rows))
    return path


def write_toy(data, *, num=60, mark="H4", splits=("dev", "test")):
    """The files of a GUE task."""
    for number, split in enumerate(splits):
        write_csv(data / "EMP" / mark / f"{split}.csv", toy_rows(number, num))
    return data


def write_regions(path, rows, columns="id,region,start,end,strand"):
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt") as file:
        file.write(columns + "\n" + "".join(",".join(map(str, row)) + "\n" for row in rows))
    return path


def task_data(sequences, labels, splits, task=TOY):
    ids = [encode(sequence) for sequence in sequences]
    return TaskData(task, ids, np.array(labels), np.array(splits), (), Counter())


def fold_record(model, fold, seed, index, labels, predicted, **changes):
    """The result of a fold, as the report reads it."""
    return {
        "task": "gue/H4",
        "metric": "mcc",
        "num_classes": 2,
        "model": model,
        "model_source": "made up",
        "model_sha256": "0",
        "num_parameters": 10,
        "fold": fold,
        "seed": seed,
        "scheme": "cross-validation",
        "index": list(map(int, index)),
        "labels": list(map(int, labels)),
        "predicted": list(map(int, predicted)),
        "num_cropped": 0,
        "seconds": 1.0,
        "test": {},
        **changes,
    }


def write_records(folder, records):
    """Results and facts, as an evaluation leaves them."""
    (folder / "tasks").mkdir(parents=True)
    (folder / "settings.json").write_text(json.dumps({"grid": "none", "max_bp": 256}))
    for task in {record["task"] for record in records}:
        between = {"between": "folds", "num_sequences": 9, "same": 0, "reverse complement": 0, "near-duplicate": 2}
        facts = {
            "task": task,
            "about": "<b>a toy</b>",
            "published_as": "nt/H4",
            "sizes": {"dev": 5},
            "published_sizes": {"dev": 6},
            "class_sizes": [2, 3],
            "notes": ["dev: 5 sequences, published are 6"],
            "leakage": {"between": [between | {"other_class": 0}]},
        }
        (folder / "tasks" / f"{task.replace('/', '.')}.json").write_text(json.dumps(facts))
    for record in records:
        unit = folder / "folds" / record["task"].replace("/", ".") / record["model"]
        unit.mkdir(parents=True, exist_ok=True)
        (unit / f"fold{record['fold']}.seed{record['seed']}.json").write_text(json.dumps(record))
    return folder
