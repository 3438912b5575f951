"""The processes of a run: one, or several started by torchrun."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist

from ldarnet.devices import pick_device


class OtherRankFailed(ValueError):
    """A rank stops because another one did, which says why."""


@dataclass(frozen=True)
class Ranks:
    """Where this process stands among those of the run."""

    rank: int
    num_ranks: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and talks."""
        return self.rank == 0

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """The mean of `values` over all ranks."""
        if self.num_ranks > 1:
            values = values.clone()
            dist.all_reduce(values)
            values /= self.num_ranks
        return values

    def largest(self, *values: float) -> list[float]:
        """Of each value the largest that some rank has."""
        if self.num_ranks == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(tensor, dist.ReduceOp.MAX)
        return tensor.tolist()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Wait for all ranks at the end; an error that one of them had inside is the end of all.

        The others would wait for ever for a rank that is gone. They raise OtherRankFailed.
        """
        error: Exception | None = None
        try:
            yield
        except Exception as caught:
            error = caught
        (is_failed,) = self.largest(error is not None)
        if error is not None:
            raise error
        if is_failed:
            raise OtherRankFailed(f"rank {self.rank} of {self.num_ranks} stops: another one failed, and says why")


@contextmanager
def joined_ranks(device: str) -> Iterator[Ranks]:
    """Join the processes torchrun started (WORLD_SIZE, RANK, LOCAL_RANK); alone without it.

    NCCL between GPUs, gloo between CPUs. With several ranks, "auto" and "cuda" mean the GPU of the local rank.
    """
    num_ranks, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    if num_ranks == 1:
        yield Ranks(0, 1, pick_device(device))
        return
    if device == "cuda" or (device == "auto" and torch.cuda.is_available()):
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    place = pick_device(device)
    if place.type == "cuda":
        torch.cuda.set_device(place)
    dist.init_process_group("nccl" if place.type == "cuda" else "gloo")
    try:
        yield Ranks(rank, num_ranks, place)
    finally:
        dist.destroy_process_group()
