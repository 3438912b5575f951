"""JSON records that anybody may have written or edited, read with care."""

import json
from pathlib import Path
from typing import Any


def read_object(path: Path, written_by: str) -> dict[str, Any]:
    """The JSON object in a file. Raises ValueError, naming the file and what writes such ones, for anything else."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"expected {path}, which is not there: {written_by} writes it") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected JSON, as {written_by} writes it: {error}") from None
    if not isinstance(record, dict):
        raise ValueError(f"{path}: expected a JSON object, got {type(record).__name__}")
    return record
