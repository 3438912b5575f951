"""Training runs of a tiny model on made-up bases: in processes of their own, to be killed, and what they leave behind.

The processes are forked from a server that has imported torch, so that each starts in half a second.
"""

import json
import multiprocessing
import os
import socket
import sys
import time
from pathlib import Path
from typing import NamedTuple

import torch

from ldarnet.cli import main
from ldarnet.train import loop
from ldarnet.train.progress import read_log
from ldarnet.train.run_folder import RunFolder

from .command_line import letters, write_fasta

SERVER = multiprocessing.get_context("forkserver")

TINY = """
[model]
preset = "ldarnet-nano"
layout = ["m1", ["m1"], "m1"]
d_model = [16, 32]
num_heads = [2, 2]
rotary_dim = [8, 8]
d_state = 8
head_dim = 16

[train]
device = "cpu"
window_bp = 64
micro_batch_tokens = 256
tokens_per_step = 512
num_steps = 30
learning_rate = 1e-3
ema_decay = 0.9
log_every = 7
save_every = 10
"""


class Ended(NamedTuple):
    exit_code: int
    text: str


def write_genome(folder, num_bases=4000, name="tiny"):
    """A FASTA of one record, with the words TATAAA strewn in, and the split of it in a BED beside it."""
    bases = "TATAAA".join(letters(seed, 34) for seed in range(num_bases // 40))
    valid = len(bases) - 512
    (folder / f"{name}.bed").write_text(f"chr\t0\t{valid}\ttrain\nchr\t{valid}\t{len(bases)}\tvalid\n")
    return write_fasta(folder / f"{name}.fa", chr=bases)


def arguments(folder, *more, out="run", data=("--fasta", "tiny.fa"), **train):
    """What follows `ldarnet train`; `folder` holds the data and will hold the run. Keywords are train settings."""
    config = folder / "tiny.toml"
    config.write_text(TINY)
    option, *files = data
    changes = [f"--set=train.{key}={json.dumps(value)}" for key, value in train.items()]
    data = [word for file in files for word in (option, str(folder / file))]
    return ["--config", str(config), "--out", str(folder / out), *data, *changes, *more]


def start(command, output, environment=None, prepare=None):
    """`ldarnet train` in a process on one thread, its words in a file; `prepare` is called there first."""
    SERVER.set_forkserver_preload(["tests.training_server"])
    process = SERVER.Process(target=_train, args=(command, output, environment or {}, prepare))
    process.start()
    return process


def _train(command, output, environment, prepare):
    os.environ.update(environment)
    words = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(words, 1)
    os.dup2(words, 2)
    torch.set_num_threads(1)
    loop.draw_curves = draw_nothing
    if prepare is not None:
        prepare()
    sys.argv = ["ldarnet", "train", *command]
    main()


def draw_nothing(*arguments):
    """Instead of the curves: they take longer than the training they show."""


def finish(process, output):
    process.join(120)
    assert process.exitcode is not None, f"still running: {output.read_text()}"
    return Ended(process.exitcode, output.read_text())


def run(command, output, **options):
    return finish(start(command, output, **options), output)


def start_ranks(commands, folder, prepare=None):
    """A process for each command and the file of its words, joined as torchrun joins them; `prepare` is for the first.

    Their folder of words must not be that of others that are still running.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": str(len(commands)), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    started = []
    for rank, command in enumerate(commands):
        output = folder / f"rank{rank}.txt"
        own = {"RANK": str(rank), "LOCAL_RANK": str(rank)}
        started.append((start(command, output, shared | own, prepare if rank == 0 else None), output))
    return started


def run_ranks(commands, folder, prepare=None):
    return [finish(*each) for each in start_ranks(commands, folder, prepare)]


def curve(out):
    """The log without what depends on the speed of the machine."""
    timing = ("seconds", "tokens_per_second")
    return [{k: v for k, v in record.items() if k not in timing} for record in read_log(out / "log.jsonl")]


def last_saved(out):
    """The newest checkpoint."""
    return RunFolder(out, is_writer=False).latest(print)


def assert_same_run(out, other):
    """Bit for bit: logs, models, and everything in the last checkpoint but the seconds."""
    assert curve(out) == curve(other)
    for name in ("model.safetensors", "model-average.safetensors"):
        assert (out / name).read_bytes() == (other / name).read_bytes()
    saved, expected = last_saved(out), last_saved(other)
    assert saved.tensors.keys() == expected.tensors.keys()
    for name, tensor in expected.tensors.items():
        assert torch.equal(saved.tensors[name], tensor), name
    assert saved.meta["draws"] == expected.meta["draws"]


def saved_steps(out):
    """Steps of the checkpoints, in order."""
    return sorted(int(path.name[5:13]) for path in (out / "checkpoints").glob("step-*.safetensors"))


def wait_for(condition, process, poll_seconds=0.001):
    """Whether the condition came true before the process ended."""
    while process.is_alive():
        if condition():
            return True
        time.sleep(poll_seconds)
    return False


def is_saving(out: Path):
    return any(name.startswith(".step-") for name in os.listdir(out / "checkpoints"))  # noqa: PTH208 - faster
