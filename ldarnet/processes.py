"""The processes that share one run of `ldarnet boundaries`: started here (`--device cuda:0,cuda:1`) or by torchrun.

Each computes a shard and keeps its batches in a journal of its own. The first writes the files: its own batches, then
those of the others, whose journals it follows while they grow.
"""

import os
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import TracebackType

import torch

from ldarnet.genome import Shard
from ldarnet.track_request import RequestError, TrackRequest

POLL_SECONDS = 0.05
POLLS_AFTER_THE_END = 20
BARRIER_MINUTES = 30

ShareRunner = Callable[[TrackRequest, "Process"], None]


@dataclass(frozen=True)
class Process:
    """Number `number` (from 1) of `count` processes that share a run, or a shard of one.

    `parent_id` is that of the process that started it, if one of ours did.
    """

    number: int
    count: int
    device: str
    shard: Shard | None = None
    by_torchrun: bool = False
    parent_id: int | None = None

    @property
    def journal_suffix(self) -> str:
        """What tells its journal from those of the others; empty for a run of one process."""
        return f".{self.number}-of-{self.count}" if self.count > 1 else ""

    def numbered(self, number: int) -> "Process":
        """Another one of the same run."""
        return replace(self, number=number)

    @property
    def share(self) -> Shard | None:
        """What it computes of the batches; None = all."""
        if self.count == 1:
            return self.shard
        outer = self.shard or Shard(1, 1)
        return Shard((outer.number - 1) * self.count + self.number, outer.count * self.count)

    def check_parent(self) -> None:
        """End this process if the one that started it is gone: nobody would read its journal."""
        if self.parent_id is not None and os.getppid() != self.parent_id:
            raise SystemExit(1)


def this_process(request: TrackRequest) -> Process:
    """The place of this process in the run. Raises RequestError for requests that several processes cannot share."""
    devices = request.device.split(",")
    num_ranks = int(os.environ.get("WORLD_SIZE", "1")) if "TORCHELASTIC_RUN_ID" in os.environ else 1
    if max(num_ranks, len(devices)) > 1:
        if request.fasta == "-":
            raise RequestError("--fasta -: standard input cannot be read by several processes; give a file")
        if str(request.outputs[0]) == "-":
            raise RequestError("--out -: several processes need a file for their journals")
    if num_ranks == 1:
        return Process(1, len(devices), devices[0], request.shard)
    if len(devices) > 1:
        raise RequestError(f"--device {request.device}: torchrun starts one process per device; give one kind")
    device = request.device
    if device in ("auto", "cuda") and torch.cuda.is_available():
        device = f"cuda:{os.environ['LOCAL_RANK']}"
    return Process(int(os.environ["RANK"]) + 1, num_ranks, device, request.shard, by_torchrun=True)


class Others(AbstractContextManager["Others"]):
    """The other processes of a run, as its first one sees them; leaving the `with` ends them."""

    def __init__(self) -> None:
        self._started: dict[int, tuple[BaseProcess, Connection]] = {}
        self._num_polls: dict[int, int] = {}

    def start(self, request: TrackRequest, first: Process, runner: ShareRunner) -> None:
        """Start processes 2..count on their devices."""
        context = get_context("spawn")  # a forked copy of torch's threads and of CUDA would not work
        devices = request.device.split(",")
        for number in range(2, first.count + 1):
            receiver, sender = context.Pipe(duplex=False)
            process = replace(first.numbered(number), device=devices[number - 1], parent_id=os.getpid())
            child = context.Process(target=_run_share, args=(runner, request, process, sender), daemon=True)
            child.start()
            sender.close()
            self._started[number] = child, receiver

    def check(self) -> None:
        """ValueError, with its own words, if a process has failed: what is still to do here would be in vain."""
        for number, (child, receiver) in self._started.items():
            if child.exitcode:
                raise ValueError(f"process {number}: {_last_words(child, receiver)}")

    def wait(self, number: int) -> None:
        """Wait a moment for process `number`; ValueError with its own words if it has failed."""
        time.sleep(POLL_SECONDS)
        if number not in self._started:
            return  # torchrun ends all processes of a run when one fails
        child, receiver = self._started[number]
        if child.exitcode is None:
            return
        # What it wrote last may not have been read yet.
        self._num_polls[number] = self._num_polls.get(number, 0) + 1
        if child.exitcode or self._num_polls[number] > POLLS_AFTER_THE_END:
            raise ValueError(f"process {number}: {_last_words(child, receiver)}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child, receiver in self._started.values():
            child.terminate()
            child.join()
            receiver.close()


def wait_for_all(process: Process) -> None:
    """Under torchrun: go on when every process has come here, so that no journal of an older run is followed."""
    if not process.by_torchrun:
        return
    from datetime import timedelta

    import torch.distributed as dist

    dist.init_process_group("gloo", timeout=timedelta(minutes=BARRIER_MINUTES))
    dist.barrier()
    dist.destroy_process_group()


def num_threads_of(process: Process, asked: int | None) -> int | None:
    """CPU threads: those asked for, or a fair part of the machine's for each process started here."""
    if asked is not None or process.count == 1 or process.by_torchrun:
        return asked
    return max(1, torch.get_num_threads() // process.count)


def _last_words(child: BaseProcess, receiver: Connection) -> str:
    try:
        return str(receiver.recv()) if receiver.poll() else f"it ended with status {child.exitcode}"
    except EOFError:  # it was killed, or failed before it could say anything
        return f"it ended with status {child.exitcode}; its own messages are above"


def _run_share(runner: ShareRunner, request: TrackRequest, process: Process, sender: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process is told too, and ends this one
    try:
        runner(request, process)
    except (ValueError, OSError) as error:
        sender.send(str(error))
        raise SystemExit(1) from None
