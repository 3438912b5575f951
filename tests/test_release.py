"""What continuous integration, releases and images rest on: they cannot be run here, but they can be read."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

REPO = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((REPO / ".github" / "workflows").glob("*.yml"))
PROJECT = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]


def steps_of(workflow):
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
def workflow(request):
    return pytest.importorskip("yaml").safe_load(request.param.read_text())


def test_there_are_two_workflows():
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "release.yml"]


def test_actions_are_pinned_by_major_version(workflow):
    used = [step["uses"] for step in steps_of(workflow) if "uses" in step]
    assert used and all(re.fullmatch(r"[\w-]+/[\w-]+@(release/)?v\d+", each) for each in used), used


def test_workflows_may_read_and_only_two_jobs_may_do_more(workflow):
    assert workflow["permissions"] == {"contents": "read"}
    more = {name: job["permissions"] for name, job in workflow["jobs"].items() if "permissions" in job}
    allowed = {"publish": {"id-token": "write"}, "docs": {"id-token": "write", "pages": "write"}}
    assert all(more[name] == allowed[name] for name in more)
    assert not re.search(r"\bsecrets\.|pull_request_target", str(workflow)), "trusted publishing needs no secret"


def test_workflows_have_time_limits_and_call_targets_that_exist(workflow):
    targets = re.findall(r"^([a-z-]+):", (REPO / "Makefile").read_text(), re.MULTILINE)
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 60
    commands = [step["run"] for step in steps_of(workflow) if "run" in step]
    called = [name for run in commands for names in re.findall(r"\bmake ([a-z -]+)", run) for name in names.split()]
    assert called and set(called) <= set(targets)


def test_tests_run_on_every_python_that_the_package_names():
    ci = pytest.importorskip("yaml").safe_load((REPO / ".github" / "workflows" / "ci.yml").read_text())
    prefix = "Programming Language :: Python :: "
    named = {each.removeprefix(prefix) for each in PROJECT["classifiers"] if each.startswith(prefix)}
    assert named and named <= set(ci["jobs"]["test"]["strategy"]["matrix"]["python"])


def test_constraints_name_a_version_that_the_package_accepts_for_every_requirement():
    lines = [line for line in (REPO / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pinned = {name.lower(): version for name, version in (line.split("==") for line in lines)}
    extras = PROJECT["optional-dependencies"]
    for text in [*PROJECT["dependencies"], *extras["analysis"], *extras["app"]]:
        wanted = Requirement(text)
        if wanted.name == PROJECT["name"]:  # an extra that takes in another
            continue
        assert wanted.specifier.contains(pinned[wanted.name.lower()]), text
    assert not [line for line in lines if "+" in line or "@" in line], "no build of one machine"


def test_the_containerfile_copies_and_builds_what_there_is():
    text = (REPO / "Containerfile").read_text()
    stages = re.findall(r"^FROM (\S+) AS (\w+)$", text, re.MULTILINE)
    assert [name for _, name in stages] == ["wheel", "base", "cpu", "cuda"]
    known = set()
    for source, name in stages:
        assert source in known or re.fullmatch(r"docker\.io/library/python:3\.11-[\w-]+", source)
        known.add(name)
    for line in re.findall(r"^COPY (.*)$", text, re.MULTILINE):
        *options, source, _ = line.split()
        assert options or (REPO / source).exists()
        assert all(option.removeprefix("--from=") in known for option in options)
    assert len(re.findall(r"^USER ldarnet$", text, re.MULTILINE)) == 2
    assert "-c /tmp/constraints.txt" in text and text.count("pip install") == text.count("pip install --no-cache-dir")
