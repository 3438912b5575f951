"""The command line: parse, one library call, one summary line. Torch is imported inside the commands only."""

import os
import re
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ldarnet import __version__
from ldarnet.align_command import align_command
from ldarnet.compare_command import compare_command
from ldarnet.console import friendly_errors, say
from ldarnet.data_command import data_app
from ldarnet.evaluate_command import evaluate_command
from ldarnet.explore_command import explore_command
from ldarnet.finetune_command import finetune_command
from ldarnet.generate_command import generate_command
from ldarnet.merge_command import merge_command
from ldarnet.model_command import ablations_command, model_compare_command, tokens_command
from ldarnet.robustness_command import robustness_command
from ldarnet.shard_command import shard_command, shards_command
from ldarnet.train.command import expand_lists, train_command
from ldarnet.workflow_command import workflow_app
from ldarnet.zero_shot_command import knockouts_command, variants_command

app = typer.Typer(
    name="ldarnet",
    help="A DNA language model that learns where to cut its input, and tools that ask what the cuts mean.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
model_app = typer.Typer(help="Look at models, convert and question them.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(model_app, name="model")
app.add_typer(workflow_app, name="workflow")
app.add_typer(data_app, name="data")
data_app.command("shard")(shard_command)
data_app.command("shards")(shards_command)
app.command("merge")(merge_command)
app.command("train")(train_command)
app.command("align")(align_command)
app.command("compare")(compare_command)
app.command("finetune")(finetune_command)
app.command("evaluate")(evaluate_command)
app.command("explore")(explore_command)
model_app.command("ablations")(ablations_command)
model_app.command("compare")(model_compare_command)
model_app.command("tokens")(tokens_command)
model_app.command("generate")(generate_command)
model_app.command("variants")(variants_command)
model_app.command("knockouts")(knockouts_command)
app.command("robustness")(robustness_command)


class StrandOption(StrEnum):
    """--strand"""

    forward = "+"
    reverse = "-"
    both_mean = "both-mean"


class DtypeOption(StrEnum):
    """--dtype"""

    float32 = "float32"
    bfloat16 = "bfloat16"


class LevelOption(StrEnum):
    """--level"""

    base = "base"
    chunk = "chunk"
    both = "both"


def _device_name(name: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", name):
        raise typer.BadParameter(f"expected auto, cpu, cuda, cuda:N or mps, got {name!r}")
    return name


def _device_names(names: str) -> str:
    """One device, or several with commas."""
    return ",".join(_device_name(name.strip()) for name in names.split(","))


DeviceOption = Annotated[str, typer.Option(callback=_device_name, help="auto, cpu, cuda, cuda:1 or mps.")]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ldarnet {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def boundaries(
    fasta: Annotated[
        str,
        typer.Option(
            help="Sequences: FASTA (plain, gzip, bgzip), .2bit, a name such as hg38 (ldarnet data), or - for stdin.",
            metavar="FILE|NAME|-",
        ),
    ],
    out: Annotated[
        list[Path],
        typer.Option(help="Track: .bw .bedGraph[.gz] .npz, or .bed for the chunks; may be repeated.", metavar="FILE|-"),
    ],
    model: Annotated[
        str,
        typer.Option(help="default, a preset, a model file, or a hub id owner/name.", metavar="NAME|FILE|ID"),
    ] = "default",
    regions: Annotated[
        str | None,
        typer.Option(help="Only these: a BED file, or chr:a-b (0-based, half-open), or chr.", metavar="BED|chr:a-b"),
    ] = None,
    strand: Annotated[
        StrandOption, typer.Option(help="Strand read; both-mean averages the two at every cut.")
    ] = StrandOption.forward,
    deviation_out: Annotated[
        Path | None,
        typer.Option(help="With both-mean: the strands' standard deviation, as a track.", metavar="FILE"),
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(min=2, help="Bases the model reads at once. [default: its training context]", metavar="BP"),
    ] = None,
    halo: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Bases at each end of a window that serve as context only. [default: the model's]",
            metavar="BP",
        ),
    ] = None,
    stage: Annotated[int, typer.Option(min=0, help="Router: 0 cuts bases into chunks, 1 chunks into larger ones.")] = 0,
    device: Annotated[
        str,
        typer.Option(
            callback=_device_names, help="auto, cpu, cuda, cuda:1, mps; several, cuda:0,cuda:1, share the work."
        ),
    ] = "auto",
    dtype: Annotated[DtypeOption, typer.Option(help="Arithmetic; routers are always float32.")] = DtypeOption.float32,
    batch_tokens: Annotated[
        int | None,
        typer.Option(min=1, help="Bases that go through the model together. [default: by device]", metavar="N"),
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads. [default: all]", metavar="N")] = None,
    shard: Annotated[
        str | None,
        typer.Option(help="Only share i of n (i = 1..n) of the work; `ldarnet merge` joins them.", metavar="i/n"),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where a killed run of the same command stopped.")
    ] = False,
    or_start_over: Annotated[
        bool, typer.Option("--or-start-over", help="With --resume: start over where settings have changed since.")
    ] = False,
    decimals: Annotated[
        int,
        typer.Option(min=0, max=7, help="Digits kept, never rounding across 0.5; 0 keeps all.", metavar="N"),
    ] = 4,
    format: Annotated[
        str | None, typer.Option(help="Format of every --out, whatever its suffix.", metavar="SUFFIX")
    ] = None,
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="Run a preset untrained, for tests of speed and memory.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Probability of a cut at every base of a FASTA.

    The value at base i (0-based) is the probability that a chunk starts there: a cut left of the base. The first
    base of a contig and N have no value. Beside every output lies FILE.json: how it was made.
    """
    _check_window(window, halo)
    if or_start_over and not resume:
        raise typer.BadParameter("goes with --resume", param_hint="--or-start-over")
    with friendly_errors():
        from ldarnet.genome import parse_shard
        from ldarnet.write_track import RequestError, TrackRequest, write_track

        try:
            parsed_shard = parse_shard(shard) if shard else None
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--shard") from None

        request = TrackRequest(
            fasta=fasta,
            outputs=tuple(out),
            model=model,
            format=format,
            deviation_out=deviation_out,
            regions=regions,
            strand=strand.value,
            window_bp=window,
            halo_bp=halo,
            stage=stage,
            device=device,
            dtype=dtype.value,
            batch_tokens=batch_tokens,
            num_threads=threads,
            shard=parsed_shard,
            resume=resume,
            or_start_over=or_start_over,
            decimals=decimals,
            random_weights=random_weights,
            show_progress=not quiet,
            command=tuple(sys.argv),
        )
        try:
            summary = write_track(request, say=say)
        except RequestError as error:
            raise typer.BadParameter(str(error)) from None
    if summary is not None:  # of several processes one writes and talks
        names = ", ".join(str(o) for o in summary.outputs)
        say(
            f"{names}: {summary.num_values:,} values on {summary.num_contigs:,} contigs, "
            f"{summary.bases_per_second:,.0f} bases/s, {summary.seconds:.1f} s"
        )


def _check_window(window: int | None, halo: int | None) -> None:
    if window is not None and halo is not None and window <= 2 * halo:
        raise typer.BadParameter(
            f"a window must be longer than two halos, got --window {window} and --halo {halo}",
            param_hint="--window",
        )


@app.command()
def embed(
    fasta: Annotated[str, typer.Option(help="FASTA (plain, gzip, bgzip), .2bit, or -.", metavar="FILE|-")],
    out: Annotated[Path, typer.Option(help="Where the arrays go (.npz).", metavar="FILE")],
    model: Annotated[str, typer.Option(help="As for boundaries.", metavar="NAME|FILE|ID")] = "default",
    regions: Annotated[str | None, typer.Option(help="As for boundaries.", metavar="BED|chr:a-b")] = None,
    level: Annotated[LevelOption, typer.Option(help="Hidden states per base, per chunk, or both.")] = LevelOption.both,
    window: Annotated[int | None, typer.Option(min=2, metavar="BP", help="As for boundaries.")] = None,
    halo: Annotated[int | None, typer.Option(min=1, metavar="BP", help="As for boundaries.")] = None,
    device: DeviceOption = "auto",
    max_gb: Annotated[float, typer.Option(help="Refuse more than this many GB of arrays.")] = 4.0,
    random_weights: Annotated[bool, typer.Option("--random-weights", help="Run a preset untrained.")] = False,
) -> None:
    """Hidden states of every base and every chunk, with the cuts they belong to.

    Arrays, per contig or region NAME: NAME/base_cut [bases], NAME/base_hidden [bases, width], NAME/chunk_cut [chunks],
    NAME/chunk_hidden [chunks, width]; cuts are 0-based positions on the contig. Forward strand. Regions are named
    chrom:start-end (0-based, half-open), those that overlap or touch as the one they are together.
    """
    _check_window(window, halo)
    with friendly_errors():
        from ldarnet.data.names import find_genome
        from ldarnet.embed import write_embeddings

        summary = write_embeddings(
            find_genome(fasta),
            out,
            model=model,
            regions=regions,
            levels=("base", "chunk") if level is LevelOption.both else (level.value,),
            window_bp=window,
            halo_bp=halo,
            device=device,
            max_gb=max_gb,
            random_weights=random_weights,
            say=say,
        )
    say(f"{out}: {summary.num_bases:,} bases and {summary.num_chunks:,} chunks in {summary.num_arrays} arrays")


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the demo genome and its track.", metavar="FOLDER")] = Path(
        "demo"
    ),
) -> None:
    """A small made-up genome with planted promoters and splice sites, and its boundary track."""
    with friendly_errors():
        from ldarnet.demo import write_demo
        from ldarnet.write_track import TrackRequest, write_track

        files = write_demo(out)
        track = out / "probs.bw"
        summary = write_track(TrackRequest(fasta=str(files.fasta), outputs=(track,), command=tuple(sys.argv)), say=say)
        assert summary is not None, "one process only"
    say(
        f"\n{summary.num_values:,} boundary probabilities ({summary.bases_per_second:,.0f} bases/s):\n"
        f"  genome      {files.fasta}\n  track       {track}\n  genes       {files.gtf}\n  sites       {files.sites}\n"
        "Open the track in IGV (Genomes > Load Genome from File: the genome; File > Load from File: track and genes),\n"
        f"or in Python: pyBigWig.open('{track}').values('demo1', 1000, 1020)"
    )


@model_app.command()
def info(
    model: Annotated[str, typer.Argument(help="default, a preset, a model file, or a hub id.", metavar="NAME|FILE|ID")],
    random_weights: Annotated[bool, typer.Option("--random-weights", help="A preset without weights.")] = False,
) -> None:
    """What a model is made of and where it comes from."""
    with friendly_errors():
        from ldarnet.checkpoint import describe, load_model

        description = describe(load_model(model, random_weights=random_weights))
    for name, value in description.items():
        typer.echo(f"{name:<12} {value}")


@model_app.command()
def convert(
    source: Annotated[str, typer.Argument(help="A published .pt file, a hub id, or a model file.", metavar="FILE|ID")],
    out: Annotated[Path, typer.Argument(help="The .safetensors file to write.", metavar="OUT.safetensors")],
    context: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="Training context of the weights, in bases, where the file does not say.",
            metavar="BP",
        ),
    ] = None,
    note: Annotated[
        list[str] | None,
        typer.Option(help="KEY=TEXT to store with the weights (name, data, licence); repeatable.", metavar="KEY=TEXT"),
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Store float16: half the size, weights rounded.")] = False,
) -> None:
    """Write a model as one safetensors file with its configuration inside; shared weights are stored once."""
    notes = {}
    for text in note or []:
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise typer.BadParameter(f"expected KEY=TEXT, got {text!r}", param_hint="--note")
        notes[key] = value
    with friendly_errors():
        from ldarnet.checkpoint import convert_model

        num_parameters = convert_model(source, out, context_bp=context, notes=notes, half=half)
    say(f"{out}: {num_parameters:,} parameters, {out.stat().st_size:,} bytes")


def main() -> None:
    """Entry point of `ldarnet`."""
    _let_waiting_threads_sleep()
    if sys.argv[1:2] == ["train"]:
        sys.argv[2:] = expand_lists(sys.argv[2:])
    app()


def boundaries_main() -> None:
    """Entry point of `ldarnet-boundaries`: the same as `ldarnet boundaries`."""
    _let_waiting_threads_sleep()
    single = typer.Typer(
        rich_markup_mode=None, pretty_exceptions_enable=False, context_settings=app.info.context_settings
    )
    single.command(name="ldarnet-boundaries")(boundaries)
    single()


def _let_waiting_threads_sleep() -> None:
    """Before torch starts its threads: while they wait, the compiled kernels use their cores."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
