"""A model of the processes that make a track: how long a run takes when each stage has its own rate."""

import heapq
from typing import NamedTuple

NUM_BLOCKS = 6_400  # pieces of a run: 100 for each of 64 devices


class Rates(NamedTuple):
    """Bases per second of each stage, of one process."""

    read: float
    model: float
    journal: float
    write: float
    merge: float


class Run(NamedTuple):
    """A simulated run: seconds in all, and seconds that the busiest stage of each kind worked."""

    seconds: float
    busy: dict[str, float]

    @property
    def bottleneck(self):
        return max(self.busy, key=self.busy.__getitem__)


def shared_run(num_bases, num_devices, rates, num_blocks=NUM_BLOCKS):
    """One command on several devices: each process reads, computes and keeps a journal of its share.

    The first process writes too: its own share as it comes, then those of the others from their journals.
    """
    per_process = max(1, num_blocks // num_devices)
    block = num_bases / (num_devices * per_process)
    compute_s = block / rates.read + block / rates.model + block / rates.journal
    write_s = block / rates.write
    clock = per_process * (compute_s + write_s)
    for _ in range(1, num_devices):
        for number in range(1, per_process + 1):
            clock = max(clock, number * compute_s) + write_s
    share = num_bases / num_devices
    busy = {"reader": share / rates.read, "model": share / rates.model, "writer": num_bases / rates.write}
    return Run(clock, busy)


def separate_runs(num_runs, bases_each, num_devices, rates):
    """Commands that know nothing of each other, each on the next free device."""
    run_s = bases_each * (1 / rates.read + 1 / rates.model + 1 / rates.journal + 1 / rates.write)
    free = [0.0] * num_devices
    for _ in range(num_runs):
        heapq.heappush(free, heapq.heappop(free) + run_s)
    per_device = num_runs * bases_each / num_devices
    return Run(
        max(free),
        {"reader": per_device / rates.read, "model": per_device / rates.model, "writer": per_device / rates.write},
    )


def sharded_run(num_bases, num_devices, rates):
    """A job `--shard i/n` on each device, then `ldarnet merge`."""
    jobs = separate_runs(num_devices, num_bases / num_devices, num_devices, rates)
    if num_devices == 1:
        return jobs
    merge_s = num_bases / rates.merge
    return Run(jobs.seconds + merge_s, jobs.busy | {"merge": merge_s})
