"""What a command loads before it works: nothing that it does not need."""

import subprocess
import sys

import pytest

_LOADED = """
import sys
from typer.testing import CliRunner
from ldarnet.cli import app
result = CliRunner().invoke(app, sys.argv[2:])
assert result.exit_code == 0, result.output
found = [name for name in sys.argv[1].split(",") if name in sys.modules]
print(*found)
"""


def loaded(suspects, *words):
    command = [sys.executable, "-c", _LOADED, ",".join(suspects), *map(str, words)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.split()


@pytest.mark.parametrize("words", [["--help"], ["boundaries", "--help"], ["train", "--help"]])
def test_help_loads_no_torch(words):
    assert loaded(["torch", "numba", "scipy", "pandas"], *words) == []


def test_a_track_loads_no_compiler_of_torch(tmp_path):
    (tmp_path / "x.fa").write_text(">a\n" + "ACGTTGCA" * 20 + "\n")
    words = ["boundaries", "--fasta", tmp_path / "x.fa", "--out", tmp_path / "x.bw"]
    assert loaded(["torch._dynamo", "sympy", "pandas", "matplotlib"], *words) == []
