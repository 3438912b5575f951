"""Fixtures shared by all tests."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]


def pytest_configure() -> None:
    # Background jobs of a shell ignore Ctrl-C, those of nohup hang-ups; tests of them, and what they start, inherit it.
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture(autouse=True)
def main_module() -> Iterator[None]:
    """Streamlit puts a script in the place of `__main__`, which processes started later would then try to run."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real genomes and golden files beside the checkout; tests that need it skip without it.

    Looked for at $LDARNET_SHARED, then at ../shared.
    """
    folder = Path(os.environ.get("LDARNET_SHARED", REPO.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no real genomes at {folder} (set LDARNET_SHARED)")
    return folder


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """Golden tensors of the published code that travel with the repository."""
    return REPO / "tests" / "golden"
