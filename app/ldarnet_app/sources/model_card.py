"""The card of the shipped model, and whether it is the one a track was made with."""

import hashlib
import re
from importlib.resources import files
from pathlib import Path

from ldarnet_app.file_cache import per_file

_LINK = re.compile(r"\[([^\]]*)\]\((?!https?://)[^)]*\)")


def shipped_card() -> str:
    """Markdown of the shipped model's card, "" where it is not installed; links to files are left as their text."""
    card = files("ldarnet") / "weights" / "README.md"
    return _LINK.sub(r"\1", card.read_text(encoding="utf-8")) if card.is_file() else ""


def is_shipped(sha256: str) -> bool:
    """Whether these are the weights that come with the package."""
    weights = Path(str(files("ldarnet"))) / "weights" / "default.safetensors"
    return weights.is_file() and _sha256(weights) == sha256


@per_file(maxsize=1)
def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
