"""`ldarnet workflow` on made-up genomes: what init writes, what run would do, how they refuse."""

import fcntl
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ldarnet import workflow_command
from ldarnet.cli import app
from ldarnet.workflow_inputs import Settings, read_genomes

from .command_line import letters, save_tiny, write_fasta


def workflow(*args):
    return CliRunner().invoke(app, ["workflow", *map(str, args)])


@pytest.fixture
def inputs(tmp_path):
    write_fasta(tmp_path / "a.fa", c1=letters(1, 600))
    write_fasta(tmp_path / "b.fa", c1=letters(2, 3000), c2=letters(3, 1500))
    (tmp_path / "a.gtf").write_text("")
    return tmp_path


@pytest.fixture
def folder(inputs):
    done = workflow(
        *("init", "--genome", f"a={inputs}/a.fa,{inputs}/a.gtf", "--genome", f"b={inputs}/b.fa"),
        *("--model", save_tiny(inputs), "--out", inputs / "work"),
    )
    assert done.exit_code == 0, done.output
    return inputs / "work"


def run_in_other_process(folder, *options, cores=1):
    code = "from ldarnet.cli import main; main()"
    command = [sys.executable, "-c", code, "workflow", "run", folder, "--cores", cores, "--", *options]
    return subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)


def test_init_writes_what_run_reads(folder, inputs):
    yaml = pytest.importorskip("yaml")
    rows = read_genomes(folder / "genomes.tsv")
    assert [row.annotation for row in rows.values()] == [str(inputs / "a.gtf"), None]
    written = Settings.of(yaml.safe_load((folder / "config.yaml").read_text()), "config.yaml", folder)
    assert written == Settings(model=str(inputs / "tiny.safetensors"))


def test_init_takes_a_table_and_moves_its_paths(inputs):
    (inputs / "t.tsv").write_text("name\tfasta\nx\tb.fa\n")
    assert workflow("init", inputs / "t.tsv", "--out", inputs / "deep" / "work").exit_code == 0
    assert read_genomes(inputs / "deep/work/genomes.tsv")["x"].fasta == str(inputs / "b.fa")


def test_init_keeps_a_folder_that_is_there(folder, inputs):
    before = (folder / "config.yaml").read_text()
    done = workflow("init", "--genome", f"c={inputs}/b.fa", "--out", folder)
    assert done.exit_code == 1
    assert "genomes.tsv is there already: edit it, or choose another --out" in done.output
    assert (folder / "config.yaml").read_text() == before


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("a",), "--genome: expected NAME=FASTA or NAME=FASTA,ANNOTATION, got 'a'"),
        (("a=",), "got 'a='"),
        (("a=a.fa,",), "got 'a=a.fa,'"),
        (("../a=a.fa",), "expected a name of at most 100 letters"),
        (("a=no.fa",), "--genome a=no.fa: fasta: expected a file"),
        (("a=a.fa", "A=b.fa"), "expected every name once, got 'A' again"),
    ],
)
def test_init_refuses_bad_genomes(inputs, monkeypatch, given, message):
    monkeypatch.chdir(inputs)
    done = workflow("init", *(word for each in given for word in ("--genome", each)), "--out", "work")
    assert done.exit_code == 1
    assert message in done.output
    assert not Path("work").exists()


def test_init_wants_a_table_or_genomes_but_not_both(inputs):
    assert workflow("init", "--out", inputs / "work").exit_code == 2
    assert workflow("init", inputs / "t.tsv", "--genome", "a=a.fa", "--out", inputs / "work").exit_code == 2


def test_run_says_how_to_install_snakemake(folder, monkeypatch):
    monkeypatch.setattr(workflow_command.importlib.util, "find_spec", lambda name: None)
    done = workflow("run", folder)
    assert done.exit_code == 1
    assert "needs snakemake, which is not installed here: python -m pip install 'snakemake>=8'" in done.output


@pytest.fixture
def started(monkeypatch):
    """Commands that would have taken the place of this process."""
    pytest.importorskip("snakemake")
    commands = []
    monkeypatch.setattr(workflow_command.os, "execv", lambda path, command: commands.append(command))
    return commands


def test_run_starts_snakemake_with_the_shipped_files(folder, started):
    assert workflow("run", folder, "--cores", 3, "--", "--quiet", "all").exit_code == 0
    (command,) = started
    options = dict(zip(command[3::2], command[4::2], strict=False))
    assert Path(options["--snakefile"]).is_file()
    assert Path(options["--profile"], "config.yaml").is_file()
    assert options["--directory"] == str(folder)
    assert command[-4:] == ["--cores", "3", "--quiet", "all"]


def test_slurm_needs_its_plug_in_and_no_number_of_cores(folder, started, monkeypatch):
    is_there = {"snakemake": True, "snakemake_executor_plugin_slurm": None}
    monkeypatch.setattr(workflow_command.importlib.util, "find_spec", is_there.get)
    done = workflow("run", folder, "--profile", "slurm")
    assert done.exit_code == 1
    assert "python -m pip install snakemake-executor-plugin-slurm" in done.output
    is_there["snakemake_executor_plugin_slurm"] = True
    assert workflow("run", folder, "--profile", "slurm").exit_code == 0
    assert "--cores" not in started[0]
    done = workflow("run", folder, "--profile", "not-there")
    assert "expected local or slurm or a folder with config.yaml, got 'not-there'" in done.output


def test_two_runs_in_a_folder_are_refused_but_not_a_look(folder, started):
    with (folder / workflow_command.LOCK_NAME).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = workflow("run", folder)
        assert done.exit_code == 1
        assert "another ldarnet workflow run is at work in" in done.output
        assert workflow("run", folder, "--", "-n").exit_code == 0
    assert len(started) == 1


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("config.yaml", "threads: [", "config.yaml: expected YAML in UTF-8"),
        ("config.yaml", "threads: 0", "config.yaml: threads: expected 1 or more, got 0"),
        ("genomes.tsv", "name\tfasta\n../x\ta.fa\n", "line 2: expected a name of at most 100 letters"),
    ],
)
def test_run_checks_its_files_first(folder, started, file, text, message):
    (folder / file).write_text(text)
    done = workflow("run", folder)
    assert (done.exit_code, started) == (1, [])
    assert message in done.output


def test_run_says_that_a_folder_is_none_of_init(tmp_path, started):
    done = workflow("run", tmp_path)
    assert done.exit_code == 1
    assert "expected a folder with genomes.tsv, as ldarnet workflow init writes it" in done.output


def planned(folder):
    """How often each step would be made."""
    done = run_in_other_process(folder, "--dry-run", "--quiet", "host")
    assert done.returncode == 0, done.stderr
    lines = (line.split() for line in (done.stdout + done.stderr).splitlines())
    return {words[0]: int(words[1]) for words in lines if len(words) == 2 and words[0].isalpha() and words[1].isdigit()}


def test_a_plan_has_every_step(folder):
    pytest.importorskip("snakemake")
    table = (folder / "genomes.tsv").read_text().splitlines()
    (folder / "genomes.tsv").write_text("\n".join([*table[:2], table[2] + "3", "y\tsacCer3\t\t\t"]) + "\n")
    steps = {"fetch": 1, "track": 2, "shard": 3, "merge": 1, "align": 1, "report": 1, "all": 1}
    assert planned(folder) == {**steps, "total": sum(steps.values())}


def test_a_panel_of_ones_own_is_an_input(folder):
    """Else an edited panel would make nothing again."""
    pytest.importorskip("snakemake")
    (folder / "my.toml").write_text("[[entry]]\n")
    with (folder / "config.yaml").open("a") as config:
        config.write("\npanel: my.toml\n")
    done = run_in_other_process(folder, "--dry-run")
    align = (done.stdout + done.stderr).split("rule align:")[1].split("output:")[0]
    assert str(folder / "my.toml") in align


@pytest.mark.slow
def test_a_track_made_in_shards_is_the_whole_one(folder):
    """Without annotations; analyses are run on real genomes."""
    pytest.importorskip("snakemake")
    header, _, b = (folder / "genomes.tsv").read_text().splitlines()
    (folder / "genomes.tsv").write_text(f"{header}\n{b}2\n")
    done = run_in_other_process(folder, cores=2)
    assert done.returncode == 0, done.stderr
    assert "no alignments and no report" in done.stderr
    assert [path.name for path in (folder / "tracks").rglob("*.bw")] == ["b.bw"]
    record = json.loads((folder / "tracks/b.bw.json").read_text())
    assert record["merged_from"] == ["b.1-of-2.bw", "b.2-of-2.bw"]
    assert (record["settings"]["strand"], record["values"]) == ("both-mean", 4_498)
