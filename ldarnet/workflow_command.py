"""`ldarnet workflow`: many genomes to tracks, alignments and one report, by snakemake."""

import fcntl
import importlib
import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from ldarnet.console import friendly_errors, say
from ldarnet.workflow_inputs import TABLE_NAME, GenomeRow, Settings, make_row, read_genomes, write_genomes

CONFIG_NAME = "config.yaml"
PROFILES = ("local", "slurm")
INSTALL = "python -m pip install 'snakemake>=8'"
SLURM_PLUGIN = "snakemake-executor-plugin-slurm"
LOCK_NAME = ".ldarnet-workflow.lock"

workflow_app = typer.Typer(
    help="Run many genomes: tracks, alignments, one report.", no_args_is_help=True, rich_markup_mode=None
)

Folder = Annotated[Path, typer.Argument(help="A folder that init wrote.", metavar="FOLDER")]


@workflow_app.command("init")
def init_command(
    out: Annotated[Path, typer.Option(help="Folder for table, settings and results.", metavar="FOLDER")],
    table: Annotated[
        Path | None,
        typer.Argument(help="Table of genomes: name, fasta, annotation, model, shards.", metavar="[TABLE.tsv]"),
    ] = None,
    genome: Annotated[
        list[str] | None,
        typer.Option(help="Instead of a table; may be repeated.", metavar="NAME=FASTA[,ANNOTATION]"),
    ] = None,
    model: Annotated[
        str, typer.Option(help="Model of genomes for which the table names none.", metavar="NAME|FILE|ID")
    ] = "default",
) -> None:
    """Write the table and the settings of a workflow, checked; paths in them are absolute."""
    if (table is None) == (not genome):
        raise typer.BadParameter("expected a table of genomes, or --genome", param_hint="TABLE.tsv")
    with friendly_errors():
        rows = read_genomes(table) if table is not None else _given_genomes(genome or [])
        text = config_text(Settings.of({"model": model}, "--model", Path.cwd()))
        for path in (out / TABLE_NAME, out / CONFIG_NAME):
            if path.exists():
                raise ValueError(f"{path} is there already: edit it, or choose another --out")
        out.mkdir(parents=True, exist_ok=True)
        write_genomes(out / TABLE_NAME, rows.values())
        (out / CONFIG_NAME).write_text(text, encoding="utf-8")
    num_annotated = sum(row.annotation is not None for row in rows.values())
    say(
        f"{out}: {len(rows)} genomes, {num_annotated} of them with an annotation; settings in {out / CONFIG_NAME}\n"
        f"next: ldarnet workflow run {out} --cores {os.cpu_count()}"
    )


@workflow_app.command("run")
def run_command(
    folder: Folder,
    options: Annotated[
        list[str] | None, typer.Argument(help="Options of snakemake, after --.", metavar="[-- OPTION...]")
    ] = None,
    cores: Annotated[int | None, typer.Option(min=1, help="Of this machine. [default: all]", metavar="N")] = None,
    profile: Annotated[
        str, typer.Option(help="local, slurm, or a folder of settings of snakemake.", metavar="NAME|FOLDER")
    ] = "local",
) -> None:
    """Run what is not there yet; the same command goes on after a stop, whatever stopped it."""
    with friendly_errors():
        _require_snakemake(profile)
        _check_inputs(folder)
        command = snakemake_command(folder, cores, profile, options or [])
        if not {"-n", "--dry-run", "--dryrun"} & set(options or []):
            _hold_lock(folder)
        sys.stderr.flush()
        # In this process' place: signals and the exit status are snakemake's own.
        os.execv(command[0], command)


@workflow_app.command("report")
def report_command(folder: Folder) -> None:
    """Effects in all aligned genomes: table, figure and an offline page, in FOLDER/report."""
    with friendly_errors():
        rows = read_genomes(folder / TABLE_NAME)
        try:
            from ldarnet_analysis.cross_genome import write_cross_genome
        except ImportError as error:
            raise ValueError(f"the analysis needs more packages ({error}): pip install 'ldarnet[analysis]'") from None
        summary = write_cross_genome(
            alignments={name: folder / "alignments" / name for name, row in rows.items() if row.annotation},
            tracks={name: folder / "tracks" / f"{name}.bw" for name in rows},
            out=folder / "report",
        )
    say(summary)


def snakemake_command(folder: Path, cores: int | None, profile: str, options: Sequence[str]) -> list[str]:
    """The command that runs the workflow of a folder. Raises ValueError for a profile that is not there."""
    shipped = workflow_folder()
    chosen = shipped / "profiles" / profile if profile in PROFILES else Path(profile)
    if not chosen.is_dir():
        raise ValueError(f"--profile: expected {' or '.join(PROFILES)} or a folder with config.yaml, got {profile!r}")
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(shipped / "Snakefile")]
    # The lock of this command replaces that of snakemake, which outlives a process that was killed.
    command += ["--directory", str(folder.absolute()), "--profile", str(chosen.absolute()), "--nolock"]
    if cores is not None or profile != "slurm":
        command += ["--cores", str(cores or "all")]
    return [*command, *options]


def workflow_folder() -> Path:
    """Where the Snakefile lies: inside the package when installed from a wheel, beside it in a checkout."""
    installed = Path(str(resources.files("ldarnet"))) / "workflow"
    return installed if installed.is_dir() else Path(__file__).resolve().parents[1] / "workflow"


def config_text(settings: Settings) -> str:
    """Settings as YAML, each with a word about it."""

    def text(value: str) -> str:
        return "'" + value.replace("'", "''") + "'"

    return f"""\
# Settings of `ldarnet workflow run`; the table {TABLE_NAME} may set model and shards for one genome.
model: {text(settings.model)}          # preset, model file or hub id
strand: {text(settings.strand)}       # +, - or both-mean, which alignments on both strands need
device: {text(settings.device)}            # auto, cpu, cuda (asks a cluster for one GPU per track) or mps
threads: {settings.threads}                # of one track or alignment
shards: {settings.shards}                 # jobs that the track of a genome is divided among
panel: {text(settings.panel)}          # site classes of the alignments: default, transcripts or a TOML file
designs: {str(settings.designs).lower()}             # rungs that need new sequences read by the model
flank: {settings.flank}                # bases shown and matched to each side of a site
seed: {settings.seed}
track_mem_mb: {settings.track_mem_mb}        # asked of a cluster; a retry asks for as much again
align_mem_mb: {settings.align_mem_mb}
bases_per_second: {settings.bases_per_second}   # least speed of a track, for the time asked of a cluster
"""


def _given_genomes(texts: Sequence[str]) -> dict[str, GenomeRow]:
    rows: dict[str, GenomeRow] = {}
    for text in texts:
        name, equals, files = text.partition("=")
        fasta, comma, annotation = files.partition(",")
        if not equals or not fasta or (comma and not annotation):
            raise ValueError(f"--genome: expected NAME=FASTA or NAME=FASTA,ANNOTATION, got {text!r}")
        try:
            row = make_row({"name": name, "fasta": fasta, "annotation": annotation}, Path.cwd())
        except ValueError as error:
            raise ValueError(f"--genome {text}: {error}") from None
        if name.lower() in map(str.lower, rows):
            raise ValueError(f"--genome {text}: expected every name once, got {name!r} again")
        rows[name] = row
    return rows


def _require_snakemake(profile: str) -> None:
    if importlib.util.find_spec("snakemake") is None:
        raise ValueError(f"the workflow needs snakemake, which is not installed here: {INSTALL}")
    found = version("snakemake")
    if int(found.partition(".")[0]) < 8:
        raise ValueError(f"expected snakemake 8 or later, got {found}: {INSTALL}")
    if profile == "slurm" and importlib.util.find_spec(SLURM_PLUGIN.replace("-", "_")) is None:
        raise ValueError(f"--profile slurm needs a plug-in of snakemake: python -m pip install {SLURM_PLUGIN}")


def _check_inputs(folder: Path) -> None:
    """Say here, in one line, what snakemake would say in many."""
    yaml = importlib.import_module("yaml")  # comes with snakemake, without types
    if not (folder / TABLE_NAME).is_file():
        raise ValueError(f"{folder}: expected a folder with {TABLE_NAME}, as ldarnet workflow init writes it")
    read_genomes(folder / TABLE_NAME)
    path = folder / CONFIG_NAME
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: expected YAML in UTF-8: {error}") from None
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}; ldarnet workflow init writes it") from None
    checked: Mapping[str, object] = values if values is not None else {}
    Settings.of(checked, str(path), folder.absolute())


def _hold_lock(folder: Path) -> None:
    """Keep others out until this process ends, however it ends. Raises ValueError where another is at work."""
    descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise ValueError(f"another ldarnet workflow run is at work in {folder}: wait for it, or stop it") from None
    os.set_inheritable(descriptor, True)
