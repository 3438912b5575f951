import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import ldarnet

REPO = Path(__file__).resolve().parents[1]
TOP_LEVEL = {
    *(
        ".ci",
        ".dockerignore",
        ".github",
        ".gitignore",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "Containerfile",
        "LICENSE",
        "Makefile",
        "README.md",
        "constraints.txt",
        "mkdocs.yml",
        "pyproject.toml",
    ),
    *("analysis", "app", "benchmarks", "data_manifests", "docs", "ldarnet", "notebooks", "tests", "workflow"),
}
MAX_FILE_BYTES = 4_000_000
# A path below somebody's home or scratch folder; not the tail of an address or of a longer path.
MACHINE_PATH = re.compile(rb"(?<![\w./:~-])/(?:home|Users|root|work|scratch|mnt)/\w")


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((REPO / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def tracked():
    if not (REPO / ".git").exists():
        pytest.skip("not a git checkout")
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=REPO, capture_output=True, check=True).stdout
    paths = [REPO / os.fsdecode(name) for name in listing.split(b"\0") if name]
    return [path for path in paths if path.is_file()]  # deleted and not yet committed


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPO, check=False)


@pytest.mark.parametrize("module", ["", ".demo", ".genome", ".manifests", ".tracks", ".vocab"])
def test_import_is_free_of_torch(module):
    done = python(f"import sys, ldarnet{module}; print(sorted({{'torch', 'numba'}} & sys.modules.keys()))")
    assert done.stdout == "[]\n", done.stderr


def test_unknown_attributes_are_refused():
    with pytest.raises(AttributeError, match="module 'ldarnet' has no attribute 'boundery_track'"):
        ldarnet.boundery_track  # noqa: B018


def test_one_version(project):
    assert ldarnet.__version__ == project["project"]["version"]


def test_top_level_names_are_those_of_the_layout(tracked):
    found = {path.relative_to(REPO).parts[0] for path in tracked}
    assert found <= TOP_LEVEL
    for path in ("ldarnet", "analysis/ldarnet_analysis", "app/ldarnet_app"):
        assert (REPO / path / "__init__.py").is_file(), path


def test_forced_files_of_the_wheel_exist(project):
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    for source in [*wheel["packages"], *wheel["force-include"]]:
        assert any(path.is_file() for path in (REPO / source).rglob("*")), source
    assert wheel["force-include"]["data_manifests"] == "ldarnet/data_manifests"  # where manifests.py looks


def test_import_direction():
    lint_imports = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint_imports], cwd=REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_tracked_file_is_large(tracked):
    sizes = {str(path.relative_to(REPO)): path.stat().st_size for path in tracked}
    assert {name: size for name, size in sizes.items() if size > MAX_FILE_BYTES} == {}


def test_no_tracked_file_names_a_path_of_one_machine(tracked):
    found = {}
    for path in tracked:
        if hits := MACHINE_PATH.findall(path.read_bytes()):  # pictures too: their metadata say how they were made
            found[str(path.relative_to(REPO))] = hits
    assert found == {}


@pytest.mark.parametrize("folder", [b"home", b"Users", b"scratch"])
@pytest.mark.parametrize("before", [b"see ", b"'", b"\n", b"="])
def test_machine_paths_are_recognised(before, folder):
    assert MACHINE_PATH.search(before + b"/" + folder + b"/me/x")


@pytest.mark.parametrize("letters", [b"https://a.org/work/x", b"../work/x", b"a/home/b", b"/usr/bin/env"])
def test_other_paths_are_let_pass(letters):
    assert not MACHINE_PATH.search(letters)


def test_ci_is_executable():
    assert os.access(REPO / ".ci" / "run", os.X_OK)


def test_contributing_names_only_what_exists():
    table = [line for line in (REPO / "CONTRIBUTING.md").read_text().splitlines() if line.startswith("|")]
    paths = [path for line in table for path in re.findall(r"`(\w+/[\w./]*)`", line)]
    assert len(paths) > 15
    assert [path for path in paths if not (REPO / path).exists()] == []


def test_make_help_lists_every_target():
    text = (REPO / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE).group(1).split()
    done = subprocess.run(["make", "help"], cwd=REPO, capture_output=True, text=True, check=True)
    assert re.findall(r"^  make ([\w-]+) ", done.stdout, re.MULTILINE) == phony
