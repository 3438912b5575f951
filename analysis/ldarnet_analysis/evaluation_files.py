"""The files of an evaluation (`ldarnet evaluate`): settings, facts of tasks, one result per fold."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_NEEDED = frozenset(
    ("task", "metric", "num_classes", "model", "fold", "seed", "scheme", "index", "labels", "predicted", "test")
)


@dataclass(frozen=True)
class Evaluation:
    """What lies in the folder of an evaluation."""

    settings: dict[str, Any]
    tasks: dict[str, dict[str, Any]]
    """Facts by name of the task."""
    records: dict[str, list[dict[str, Any]]]
    """Results of folds, by name of the task."""
    failures: list[dict[str, Any]]
    """Tasks and models that could not be run, with the reason."""

    @property
    def models(self) -> list[str]:
        """Names of the models that have results; `default` is the first."""
        names = {str(record["model"]) for records in self.records.values() for record in records}
        return sorted(names, key=lambda name: (name != "default", name))


def read_evaluation(folder: Path) -> Evaluation:
    """Read whatever is finished in a folder. Raises ValueError for damaged files, and where no fold is finished."""
    found = [_read(path) for path in sorted((folder / "folds").glob("*/*/fold*.json"))]
    records: dict[str, list[dict[str, Any]]] = {}
    for record in found:
        records.setdefault(str(record["task"]), []).append(record)
    for task, some in records.items():
        if len({record.get("folds_sha256") for record in some}) > 1:
            raise ValueError(f"{folder}: results of {task} are of different sequences or folds, and cannot be compared")
    if not records:
        raise ValueError(f"{folder}: expected results of folds (folds/TASK/MODEL/fold0.seed0.json), found none")
    facts = [
        _object(path) for path in sorted((folder / "tasks").glob("*.json")) if not path.name.endswith("folds.json")
    ]
    return Evaluation(
        settings=_object(folder / "settings.json"),
        tasks={str(each["task"]): each for each in facts},
        records=records,
        failures=[_object(path) for path in sorted((folder / "folds").glob("*/*/failed.json"))],
    )


def _read(path: Path) -> dict[str, Any]:
    record = _object(path)
    if missing := sorted(_NEEDED - record.keys()):
        raise ValueError(f"{path}: expected the result of a fold, got an object without {', '.join(missing)}")
    if not len(record["index"]) == len(record["labels"]) == len(record["predicted"]):
        raise ValueError(f"{path}: expected as many labels and predictions as test sequences")
    return record


def _object(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: expected JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path}: expected a JSON object")
    return found
