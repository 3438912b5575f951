"""The command line run in this process or in another one, on tiny models and made-up genomes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyBigWig
import torch
from typer.testing import CliRunner

from ldarnet import vocab
from ldarnet.checkpoint import random_model, save_model
from ldarnet.cli import app
from ldarnet.config import ModelConfig

ONE_STAGE = ModelConfig(
    layout=("m1t1", ("M1",), "m1"),
    d_model=(32, 32),
    d_intermediate=(0, 64),
    num_heads=(2, 2),
    rotary_dim=(16, 16),
    attention_window=(31, -1),
    d_state=16,
    head_dim=32,
    context_bp=256,
)
TWO_STAGES = ModelConfig(
    layout=("m1t1", ("m1", ("M1",), "m1"), "m1"),
    d_model=(32, 32, 32),
    d_intermediate=(0, 0, 64),
    num_heads=(2, 2, 2),
    rotary_dim=(16, 16, 16),
    attention_window=(31, -1, -1),
    d_state=16,
    head_dim=32,
    context_bp=256,
)


def save_tiny(folder, config=ONE_STAGE, name="tiny"):
    """A random model on disk, its embedding scaled up so that p lies on both sides of 0.5."""
    model = random_model(config, seed=1)
    model.embedding.weight.data *= 50
    path = folder / f"{name}.safetensors"
    save_model(model, path)
    return path


def run(*args, command="boundaries"):
    """`ldarnet boundaries`, in this process and on one thread: .exit_code, .stdout, .stderr."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # threads on a busy machine wait for each other
    try:
        result = CliRunner().invoke(app, [command, *map(str, args)])
    finally:
        torch.set_num_threads(threads)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def spawn(*args, prelude="", **options):
    """`ldarnet-boundaries` as a process of its own; `prelude` is Python that runs in it first."""
    code = f"{prelude}\nfrom ldarnet.cli import boundaries_main\nboundaries_main()"
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    threads = [] if "--threads" in args or "--help" in args else ["--threads", "1"]
    return subprocess.Popen([sys.executable, "-c", code, *map(str, args), *threads], **{**pipes, **options})


def letters(seed, num_bases, alphabet="ACGT"):
    return "".join(np.random.default_rng(seed).choice(list(alphabet), num_bases))


def write_fasta(path, **records):
    path.write_text("".join(f">{name}\n{sequence}\n" for name, sequence in records.items()))
    return path


def read_values(path, chrom, start=0, end=None):
    """float32 values of a bigWig, NaN = none."""
    with pyBigWig.open(str(path)) as track:
        end = track.chroms()[chrom] if end is None else end
        return track.values(chrom, start, end, numpy=True).astype(np.float32)


def reverse_complement(sequence):
    return vocab.decode(vocab.reverse_complement(vocab.encode(sequence)))


def names(folder: Path):
    """Names of all files in a folder, hidden ones too."""
    return sorted(path.name for path in folder.iterdir())
