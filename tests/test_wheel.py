"""The wheel holds what it needs and nothing else, and works where the sources are not."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import pytest

import ldarnet

REPO = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow
NEEDED = (
    "ldarnet/py.typed",
    "ldarnet/weights/default.safetensors",
    "ldarnet/weights/README.md",
    "ldarnet/data_manifests/genomes.toml",
    "ldarnet/data_manifests/checkpoints.toml",
    "ldarnet/workflow/Snakefile",
    "ldarnet_analysis/report.css",
    "ldarnet_analysis/published_results.tsv",
    "ldarnet_analysis/report.js",
    "ldarnet_app/main.py",
    "ldarnet_app/static/icon.png",
)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Wheel and sdist; the wheel is made from the sdist."""
    for name in ("build", "hatchling"):
        pytest.importorskip(name)
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(REPO)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, sdist


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """`run(code)`: Python in a folder of its own, with the wheel unpacked before everything else on the path."""
    site, folder = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("elsewhere")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*pip, str(built[0])], check=True)
    cache = {"LDARNET_CACHE": str(folder / "cache")}
    return Elsewhere(site, folder, {**os.environ, **cache, "PYTHONPATH": str(site), "PYTHONSAFEPATH": "1"})


class Elsewhere:
    """The installed wheel."""

    def __init__(self, site, folder, environment):
        self.site, self.folder, self._environment = site, folder, environment

    def start(self, *args, entry="main"):
        code = f"import sys; sys.argv[0] = 'ldarnet'; from ldarnet.cli import {entry}; {entry}()"
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        command = [sys.executable, "-c", code, *map(str, args)]
        return subprocess.Popen(command, cwd=self.folder, env=self._environment, **pipes)

    def run(self, *args, **options):
        process = self.start(*args, **options)
        out, _ = process.communicate(timeout=500)
        assert process.returncode == 0, out
        return out

    def python(self, code):
        command = [sys.executable, "-c", code]
        return subprocess.run(
            command, cwd=self.folder, env=self._environment, capture_output=True, text=True, check=True
        ).stdout


def test_the_wheel_holds_packages_data_and_no_more(built):
    with zipfile.ZipFile(built[0]) as wheel:
        names = wheel.namelist()
        entry_points = wheel.read(f"ldarnet-{ldarnet.__version__}.dist-info/entry_points.txt").decode()
    assert [name for name in NEEDED if name not in names] == []
    tops = {name.split("/")[0] for name in names}
    assert tops == {"ldarnet", "ldarnet_analysis", "ldarnet_app", f"ldarnet-{ldarnet.__version__}.dist-info"}
    assert [
        name for name in names if re.search(r"/tests?/|__pycache__|\.part$|\.ipynb$|/benchmarks/|golden", name)
    ] == []
    weights = {name for name in names if name.endswith((".safetensors", ".npz", ".pt"))}
    shipped = ("default", "dnachunker-small", "dnahnet-small", "hnet-small")
    assert weights == {f"ldarnet/weights/{name}.safetensors" for name in shipped}
    assert "ldarnet = ldarnet.cli:main" in entry_points and "ldarnet-boundaries = " in entry_points
    assert built[0].stat().st_size < 8_000_000


def test_every_module_of_the_checkout_is_in_the_wheel(built):
    with zipfile.ZipFile(built[0]) as wheel:
        names = set(wheel.namelist())
    kept = []
    for root in (REPO, REPO / "analysis", REPO / "app"):
        for package in ("ldarnet", "ldarnet_analysis", "ldarnet_app"):
            files = (path for path in (root / package).rglob("*") if path.is_file())
            kept += [str(path.relative_to(root)) for path in files if "__pycache__" not in path.parts]
    assert len(kept) > 150
    assert [name for name in kept if name not in names] == []


def test_the_sdist_can_be_built_and_tested_from(built):
    with tarfile.open(built[1]) as sdist:
        names = {name.split("/", 1)[1] for name in sdist.getnames() if "/" in name}
    for name in ("pyproject.toml", "LICENSE", "README.md", "Makefile", "mkdocs.yml", "docs/results/README.md"):
        assert name in names
    tops = {name.split("/")[0] for name in names}
    assert tops >= {"ldarnet", "analysis", "app", "data_manifests", "workflow", "tests", "docs", "benchmarks"}
    assert not tops & {"scratch", "demo", "results", "runs", ".git", ".venv", "build", "dist", ".ci", ".github"}


def test_it_is_the_wheel_that_runs(installed):
    code = "import ldarnet as l, ldarnet_analysis as m, ldarnet_app as a; print(l.__file__, m.__file__, a.__file__)"
    files = installed.python(code).split()
    assert len(files) == 3 and all(Path(file).is_relative_to(installed.site) for file in files)
    assert installed.run("--version").strip() == f"ldarnet {ldarnet.__version__}"
    assert "human" in installed.python(
        "from ldarnet.manifests import load_manifest as l; print(*l('genomes'), 'human')"
    )


def test_tracks_and_analysis_without_the_sources(installed):
    installed.run("demo", "--out", "demo")
    installed.run("--fasta", "demo/demo.fa", "--out", "again.bw", "-q", entry="boundaries_main")
    assert (installed.folder / "again.bw").read_bytes() == (installed.folder / "demo" / "probs.bw").read_bytes()
    assert json.loads((installed.folder / "again.bw.json").read_text())["model"]["name"] == "ldarnet-nano"
    inputs = ("--track", "again.bw", "--fasta", "demo/demo.fa", "--annotation", "demo/demo.genes.gtf")
    out = installed.run("align", *inputs, "--controls", "random", "--out", "results")
    assert "open results/report.html" in out
    assert "</style>" in (installed.folder / "results" / "report.html").read_text()


def test_the_explorer_answers_without_the_sources(installed):
    pytest.importorskip("streamlit")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = installed.start("explore", "--demo", "--no-browser", "--port", port)
    try:
        assert answer(f"http://127.0.0.1:{port}/", process) == 200
    finally:
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, out


def answer(address, process):
    for _ in range(600):
        assert process.poll() is None, process.stdout.read()
        try:
            with urllib.request.urlopen(address, timeout=5) as reply:
                return reply.status
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.2)
    raise AssertionError(f"no answer from {address}")


def test_data_and_workflow_without_the_sources(installed):
    assert re.search(r"\bhg38\b", installed.run("data", "list"))
    fasta = installed.folder / "tiny.fa"
    fasta.write_text(">chr1\n" + "ACGTTGCA" * 100 + "\n")
    installed.run("workflow", "init", "--genome", f"tiny={fasta}", "--out", "flow")
    assert any((installed.folder / "flow").iterdir())
