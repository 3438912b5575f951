"""The folder of an evaluation: one JSON file per fold, each there whole or not at all, so that a killed run goes on."""

import json
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ldarnet.evaluate.tasks import Task
from ldarnet.plain_json import plain
from ldarnet.tracks.atomic import write_text


@dataclass(frozen=True)
class Store:
    """Where each file of an evaluation lies.

    `settings.json`, `tasks/TASK.json` (what was read), `tasks/TASK.folds.json`, `tasks/TASK.leakage.tsv`,
    `folds/TASK/MODEL/foldI.seedJ.json`, `trials/` (settings tried), `work/` (runs that are not finished).
    """

    folder: Path

    def check_settings(self, settings: dict[str, Any]) -> None:
        """Keep the settings of a new folder; ValueError where the folder holds results of others."""
        path = self.folder / "settings.json"
        # Looked at before the settings are read: another share of the work may write them at this moment.
        is_used = self.folder.is_dir() and any(not each.name.startswith(".") for each in self.folder.iterdir())
        earlier = self.settings()
        if not earlier:
            if is_used:
                raise ValueError(f"--out {self.folder}: expected an empty folder, or one of an earlier evaluation")
            write_json(path, settings)
            return
        wrong = [name for name in settings.keys() | earlier.keys() if settings.get(name) != earlier.get(name)]
        if wrong:
            pairs = "; ".join(f"{name} {earlier.get(name)!r}, now {settings.get(name)!r}" for name in sorted(wrong))
            raise ValueError(
                f"--out {self.folder}: its results were made with {pairs}. Choose another folder, or these settings"
            )

    def settings(self) -> dict[str, Any]:
        """The settings that results here share; none in a new folder."""
        return read_json(self.folder / "settings.json") or {}

    def task_file(self, task: Task, kind: str = "json") -> Path:
        """`kind`: json, folds.json or leakage.tsv."""
        return self.folder / "tasks" / f"{_file_name(task.name)}.{kind}"

    def fold_file(self, task: Task, model: str, fold: int, seed: int) -> Path:
        """The result of one fold."""
        return self._unit("folds", task, model) / f"fold{fold}.seed{seed}.json"

    def check_folds(self, task: Task, folds_sha256: str) -> None:
        """ValueError where any model has results of the task on other sequences or other folds."""
        for path in sorted((self.folder / "folds" / _file_name(task.name)).glob("*/fold*.json")):
            record = read_json(path) or {}
            if record.get("folds_sha256") != folds_sha256:
                raise ValueError(f"{path}: made with other sequences or folds; choose another --out")

    def failure_file(self, task: Task, model: str) -> Path:
        """Why a model could not be run on a task."""
        return self._unit("folds", task, model) / "failed.json"

    def trial_file(self, task: Task, model: str, fold: int, settings: str) -> Path:
        """The validation of settings that were tried."""
        return self._unit("trials", task, model) / f"fold{fold}.{_file_name(settings)}.json"

    def work_folder(self, task: Task, model: str, fold: int, seed: int, settings: str) -> Path:
        """Where a fit that is not finished keeps its state."""
        return self._unit("work", task, model) / f"fold{fold}.seed{seed}.{_file_name(settings)}"

    def drop_work(self, task: Task, model: str, fold: int, seed: int, *, keep: Path | None = None) -> None:
        """Remove the states of fits of a fold, which are done."""
        unit = self._unit("work", task, model)
        for folder in list(unit.glob(f"fold{fold}.seed{seed}.*")):
            if folder != keep:
                shutil.rmtree(folder)
        for empty in (unit, unit.parent, unit.parent.parent):
            with suppress(OSError):  # not there, or another fit has its state in it
                empty.rmdir()

    def _unit(self, kind: str, task: Task, model: str) -> Path:
        return self.folder / kind / _file_name(task.name) / _file_name(model)


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a file, None where there is no file. ValueError for a damaged one."""
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: expected JSON ({error}); remove the file, and it is made again") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path}: expected a JSON object; remove the file, and it is made again")
    return found


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write an object, replacing what is there in one step; a number that is not finite becomes null."""
    write_with_folder(path, json.dumps(plain(values), sort_keys=True) + "\n")


def write_with_folder(path: Path, text: str) -> None:
    """Write a text file, whole or not at all, with its folder where that is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)


def _file_name(text: str) -> str:
    return re.sub(r"[^\w.+-]", ".", text)
