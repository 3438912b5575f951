"""README and docs: links lead somewhere, commands parse, code is Python, and the site builds without a warning."""

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from ldarnet.cli import app
from ldarnet.train.command import expand_lists
from ldarnet_analysis.panel import read_panel

REPO = Path(__file__).resolve().parents[1]
DOCS = REPO / "docs"
PAGES = sorted([REPO / "README.md", REPO / "CONTRIBUTING.md", *DOCS.rglob("*.md")])
GENERATED = {DOCS / "model-card.md": REPO / "ldarnet" / "weights" / "README.md"}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^\n|\A)((?:^    .*\n)+)", re.MULTILINE)
COMMANDS = ("ldarnet", "ldarnet-boundaries")
CLI = typer.main.get_command(app)


def name_of(page):
    return str(page.relative_to(REPO))


def blocks(page, *languages):
    """Fenced blocks of these languages."""
    return [code for language, code in FENCE.findall(page.read_text()) if language in languages]


def prose(page):
    return FENCE.sub("", page.read_text())


def slug(heading):
    """The anchor that GitHub and mkdocs give a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.replace("`", "")).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def anchors(page):
    return {slug(heading) for heading in re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)}


def broken_links(page):
    found = []
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", prose(page))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        file = GENERATED.get(file, file)
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            found.append(target)
    return found


def lines_of(code):
    return code.replace("\\\n", " ").splitlines()


def simple_commands(line):
    """The commands of a shell line: split at pipes, without redirections, comments and settings before a command."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|><&;")
    lexer.whitespace_split = True
    words = []
    for word in [*lexer, "|"]:
        if set(word) <= set("|&;") and word:
            words = words[: next((i for i, each in enumerate(words) if set(each) <= set("<>")), len(words))]
            while words and re.fullmatch(r"\w+=.*", words[0]):
                words.pop(0)
            if words:
                yield words
            words = []
        else:
            words.append(word)


def ours(words):
    """The words after `ldarnet` of a command of ours, or None."""
    if words[0] == "torchrun" and "-m" in words:
        module, *rest = words[words.index("-m") + 1 :]
        return [module.removeprefix("ldarnet."), *rest]
    if Path(words[0]).name not in COMMANDS:
        return None
    return ["boundaries", *words[1:]] if Path(words[0]).name == "ldarnet-boundaries" else words[1:]


def resolve(words):
    """The command that words name, and what is left for it."""
    command, rest = CLI, list(words)
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        if rest[0] not in command.commands:
            raise ValueError(f"no command {rest[0]!r}; there are {', '.join(sorted(command.commands))}")
        command = command.commands[rest.pop(0)]
    return command, rest


def unknown_flags(words):
    command, rest = resolve(words)
    known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)} | {"-h", "--help"}
    return [word for word in rest if re.match(r"--?[a-z]", word) and word.split("=")[0] not in known]


def check_whole(words):
    """Parse a command as the program would; nothing runs."""
    command, rest = resolve(words)
    if words[:1] == ["train"]:
        rest = expand_lists(rest)
    if rest != ["--help"] and words != ["--version"]:
        command.make_context("ldarnet", rest)


def commands_in_blocks(page):
    text = page.read_text()
    codes = blocks(page, "", "sh", "bash") + INDENTED.findall(FENCE.sub("\n", text))
    for code in codes:
        for line in lines_of(code):
            if not any(name in line for name in COMMANDS) and "torchrun" not in line:
                continue
            for words in simple_commands(line):
                if (given := ours(words)) is not None:
                    yield line.strip(), given


def commands_in_text(page):
    for code in re.findall(r"`([^`\n]+)`", prose(page)):
        if re.match(r"ldarnet(-boundaries)? ", code):
            words = re.sub(r"[\[\]]|\.\.\.", " ", code).replace("|", " ").split()
            yield code, ours(words)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_and_anchors_lead_somewhere(page):
    assert broken_links(page) == []


def test_a_broken_link_and_a_broken_anchor_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A b: c\n[1](page.md#a-b-c) [2](#a-b-c) [3](gone.md) [4](page.md#gone) [5](https://a.org/x)\n")
    assert broken_links(page) == ["gone.md", "page.md#gone"]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_parse(page):
    failed = {}
    for line, words in commands_in_blocks(page):
        try:
            check_whole(words)
        except Exception as error:
            failed[line] = repr(error)
    for code, words in commands_in_text(page):
        try:
            if flags := unknown_flags(words):
                failed[code] = f"no such option: {', '.join(flags)}"
        except ValueError as error:
            failed[code] = str(error)
    assert failed == {}


def test_readme_tutorial_and_how_to_show_commands():
    assert len(list(commands_in_blocks(REPO / "README.md"))) > 8
    assert len(list(commands_in_blocks(DOCS / "how-to.md"))) > 15
    assert len(list(commands_in_blocks(DOCS / "calibration.md"))) == 1, "indented blocks are read too"


@pytest.mark.parametrize(
    "line",
    [
        "ldarnet boundaries --fasta x.fa --out x.bw --gone 3",
        "ldarnet boundaries --out x.bw",
        "ldarnet gone --fasta x.fa",
        "zcat x | ldarnet-boundaries --fasta - --out - --strand up > probs.bw",
        "torchrun -m ldarnet.train --config run.toml",
    ],
)
def test_commands_that_would_fail_are_found(line):
    (words,) = [ours(words) for words in simple_commands(line) if ours(words)]
    with pytest.raises(Exception, match=r"(?i)no such option|missing|no command|invalid value|'up'"):
        check_whole(words)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_python_blocks_are_python_and_named_scripts_exist(page):
    for code in blocks(page, "python"):
        ast.parse(code)
    scripts = re.findall(
        r"(?:python|sh) ((?:benchmarks|analysis|workflow)/[\w/]+\.\w+)", " ".join(page.read_text().split())
    )
    assert [script for script in scripts if not (REPO / script).is_file()] == []


def test_the_panel_of_the_how_to_is_one(tmp_path):
    (panel,) = blocks(DOCS / "how-to.md", "toml")
    (tmp_path / "panel.toml").write_text(panel)
    assert [entry.name for entry in read_panel(str(tmp_path / "panel.toml"))] == ["donor", "E-box"]


def test_the_reference_has_every_command_and_option(monkeypatch):
    pytest.importorskip("mkdocs")
    monkeypatch.syspath_prepend(str(DOCS / "hooks"))
    import generated

    text = generated.reference()
    for name, command in CLI.commands.items():
        for path, each in [(f"{name} {n}", c) for n, c in getattr(command, "commands", {}).items()] or [
            (name, command)
        ]:
            section = text.split(f"## ldarnet {path}\n")[1].split("\n## ")[0]
            flags = [option.opts[0] for option in each.params if option.opts[0].startswith("--")]
            assert [flag for flag in flags if f"`{flag}" not in section and f", {flag}" not in section] == []
    assert "`-q, --quiet`" in text or "`--quiet, -q`" in text or "--quiet" in text


@pytest.mark.slow
def test_the_tutorial_runs_as_it_is_written(tmp_path):
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        pytest.skip("needs Chromium or Chrome for the figure of the locus")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "MPLBACKEND": "Agg"}
    for language, code in FENCE.findall((DOCS / "tutorial.md").read_text()):
        command = ["bash", "-euc", code] if language == "sh" else [sys.executable, "-c", code]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{code}\n{done.stdout}{done.stderr}"
        if "open_track" in code:
            assert re.match(r"\[ *nan ", done.stdout) and "cuts in 2 kb" in done.stdout
    for file in ("probs.bw.json", "chunks.bed", "gene.svg", "results/report.html", "donors.pdf", "donors.svg"):
        assert (tmp_path / "demo" / file).stat().st_size > 1000 or file == "probs.bw.json", file


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_fetches_nothing(tmp_path):
    pytest.importorskip("mkdocs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}  # the theme's note on its successor
    done = subprocess.run(command, cwd=REPO, env=quiet, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr
    assert "ldarnet-boundaries" in (tmp_path / "tutorial.html").read_text()
    assert "--deviation-out" in (tmp_path / "cli.html").read_text()
    assert "sign_flip_test" in (tmp_path / "api.html").read_text()
    assert "782,136 parameters" in (tmp_path / "model-card.html").read_text()
    fetched = re.compile(
        r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"?(?:https?:)?//|<link\b(?![^>]*\bcanonical)[^>]*\bhref=\"?(?:https?:)?//"
    )
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) >= 15
    assert [page.name for page in pages if fetched.search(page.read_text())] == []
    styles = [style.read_text() for style in tmp_path.rglob("*.css")]
    assert styles and not [1 for style in styles if re.search(r"@import|url\([\"']?https?:", style)]
