"""What `run.json` says of an analysis."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ldarnet_analysis.json_object import read_object
from ldarnet_app.file_cache import per_file
from ldarnet_app.sources.sidecars import NOT_RECORDED, part


def read_run(folder: Path) -> dict[str, Any]:
    """The record of an analysis. Raises ValueError for one that is no JSON object, OSError where there is none."""
    return _read(folder / "run.json")


@per_file(maxsize=4)
def _read(path: Path) -> dict[str, Any]:
    return read_object(path, "`ldarnet align`")


def run_rows(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was done, in reading order; what the record does not say is `NOT_RECORDED`."""
    panel, model = run.get("panel"), part(part(run, "track_sidecar"), "model")
    settings = part(run, "settings")
    classes = [str(entry.get("name")) for entry in panel if isinstance(entry, dict)] if isinstance(panel, list) else []
    inputs = [
        (name.replace("_", " "), f"{entry.get('name')}, sha256 {entry.get('sha256')}")
        for name, entry in part(run, "inputs").items()
        if isinstance(entry, dict)
    ]
    rungs = settings.get("rungs")
    return [
        *inputs,
        ("model of the track", f"{model.get('name', NOT_RECORDED)}, sha256 {model.get('sha256', NOT_RECORDED)}"),
        ("site classes", ", ".join(classes) or NOT_RECORDED),
        ("control rungs", ", ".join(map(str, rungs)) if isinstance(rungs, list) else NOT_RECORDED),
        *((name, str(value)) for name, value in settings.items() if name != "rungs"),
        ("versions", ", ".join(f"{key} {text}" for key, text in part(run, "versions").items()) or NOT_RECORDED),
        ("seconds", str(run.get("seconds", NOT_RECORDED))),
    ]
