"""Which values the keys of a manifest may have."""

import re
from typing import Any

CHECKSUM_FORMATS = ("md5sum", "sha256sum", "sum")
"""Lines of md5sum or sha256sum (digest, name), or of sum (16-bit BSD sum, blocks of 1024 bytes, name)."""

COORDINATES = ("0-based half-open", "1-based inclusive")
HUB_KINDS = ("models", "datasets")


def mistake(key: str, value: object) -> str | None:
    """What is expected under a key, where the value is something else; None for a good value."""
    expected, is_good = _EXPECTED.get(key, _TEXT)
    return None if is_good(value) else expected


def _is_count(value: object) -> bool:
    return type(value) is int and value > 0  # bool is an int, but no count


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _matches(pattern: str) -> Any:  # noqa: ANN401 - a predicate of anything
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value, re.ASCII)


def _one_of(*values: str) -> Any:  # noqa: ANN401 - the same
    return " or ".join(values), lambda value: value in values


_TEXT = ("some text", _is_text)
_BOOL = ("true or false", lambda value: isinstance(value, bool))
_ADDRESS = ("an https:// address", _matches(r"https://\S+"))
_EXPECTED: dict[str, Any] = {
    "checked": _BOOL,
    "checked_on": ("a day as text, YYYY-MM-DD", _matches(r"\d{4}-\d\d-\d\d")),
    "checksum_format": _one_of(*CHECKSUM_FORMATS),
    "checksums": _ADDRESS,
    "contigs": ("a list of contigs", lambda value: isinstance(value, list) and value),
    "coordinates": _one_of(*COORDINATES),
    "files": ("a list of patterns", lambda value: isinstance(value, list) and value and all(map(_is_text, value))),
    "hub_id": ("owner/name", _matches(r"[\w.-]+/[\w.-]+")),
    "hub_kind": _one_of(*HUB_KINDS),
    "length_bp": ("a whole number above 0", _is_count),
    "md5": ("32 hexadecimal digits in lower case", _matches(r"[0-9a-f]{32}")),
    "num_bytes": ("a whole number above 0", _is_count),
    "save_as": ("a file name", _matches(r"\w[\w.-]*")),
    "sha256": ("64 hexadecimal digits in lower case", _matches(r"[0-9a-f]{64}")),
    "unpack": _BOOL,
    "url": _ADDRESS,
}
