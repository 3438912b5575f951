"""The notebooks run from the first cell to the last, as they are stored: without outputs, on the demo genome."""

import ast
import json
import re
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import pytest

REPO = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((REPO / "notebooks").glob("*.ipynb"))


def cells_of(path, kind):
    """The text of the cells of one kind, in order."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == kind]


def run_cells(sources, names):
    """Run cells in one namespace; the values that a notebook would show below each (None: nothing)."""
    shown = []
    for number, source in enumerate(sources, start=1):
        tree = ast.parse(source, f"cell {number}")
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, f"cell {number}", "exec"), names)
        value = eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), names) if last else None
        shown.append(None if source.rstrip().endswith(";") else value)
    return shown


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Both notebooks run here, so that the second finds the track of the first."""
    return tmp_path_factory.mktemp("notebooks")


@pytest.fixture
def ran(request, folder, monkeypatch):
    """What a notebook leaves behind: its names, and what its cells show."""
    monkeypatch.chdir(folder)
    matplotlib.use("Agg")
    names = {"__name__": "__main__"}
    shown = run_cells(cells_of(request.param, "code"), names)
    yield names, shown
    plt.close("all")


def test_there_are_notebooks_on_promoters_and_on_splicing():
    assert [path.name for path in NOTEBOOKS] == ["promoters.ipynb", "splicing.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_stored_without_outputs_and_say_what_they_show(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert code and all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    words = " ".join(" ".join(cells_of(path, "markdown")).split())
    assert "The genome is made up" in words and "In plain words" in words
    assert not re.search(r"[!%]\w", "".join(line for cell in code for line in cell["source"][:1])), "plain Python"


def test_a_cell_that_raises_is_an_error():
    with pytest.raises(ZeroDivisionError):
        run_cells(["a = 1", "a / 0"], {})
    assert run_cells(["a = 1", "a + 1", "a;"], {}) == [None, 2, None]


@pytest.mark.parametrize("ran", NOTEBOOKS, ids=lambda path: path.stem, indirect=True)
def test_notebooks_run_and_find_what_can_be_found_on_the_demo(ran):
    names, shown = ran
    tests = names["tests"].set_index(["rung", "signal"])
    assert tests.loc[("gc", "raw"), "status"] == "ok" and tests.loc[("gc", "raw"), "n_loci"] >= 20
    assert tests.loc[("same-kmer", "raw"), "status"] == "too few loci", "as the text below the tests says"
    (written,) = (value for value in shown if isinstance(value, list))
    assert {path.suffix for path in written} == {".pdf", ".svg", ".png"} and all(path.is_file() for path in written)
    results = names["results"]
    assert set(results["profiles"]["rung"]) >= {"sites", "gc"} and (results["tests"]["status"] == "ok").any()
    assert isinstance(shown[-1], matplotlib.figure.Figure), "the last cell shows a figure of the results folder"
