"""Stand-ins for a model whose cuts follow a rule that can be read, so that what a measure must give is known."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from ldarnet import vocab
from ldarnet.model.ldarnet import Boundaries
from ldarnet.model.router import Routing
from tests.command_line import ONE_STAGE


class Rigged(torch.nn.Module):
    """`rule` gives the probabilities (float [batch, length]) of ids [batch, length], padding included."""

    def __init__(self, rule, config=ONE_STAGE):
        super().__init__()
        self.rule, self.config, self.padding = rule, config, "exact"
        self.place = torch.nn.Parameter(torch.zeros(1))

    def boundaries(self, ids, valid=None, *, max_stages=1, span=None):
        prob = self.rule(self, ids.long()).float().clone()
        prob[:, 0] = 1
        return Boundaries((Routing(prob, prob > 0.5, valid),))


def before(ids):
    """The base left of each cut; that of cut 0 is none of them."""
    return torch.nn.functional.pad(ids[:, :-1], (1, 0), value=vocab.PAD)


def left_of_a(model, ids):
    """Cuts left of every A: a rule of one strand."""
    return torch.where(ids == vocab.A, 0.9, 0.1)


def both_strands(model, ids):
    """Cuts between two bases by their sum, which the complement of the turned pair keeps: A+G and T+C are 2 and 4."""
    left = before(ids)
    palindrome = left + ids == 3  # AT, TA, CG, GC
    return torch.where(palindrome, 0.8, 0.2)


def every_fourth(model, ids):
    """Cuts counted from the start of the window, whatever the bases."""
    return (torch.arange(ids.shape[1]) % 4 == 0).float().expand(ids.shape)


def running_sum(model, ids):
    """Each cut depends on all bases left of it and on the one right of it, and on none after that."""
    return torch.where(ids.cumsum(1) % 3 == 0, 0.7, 0.3)


def leaky(model, ids):
    """As `left_of_a`; with published padding, the last ten bases before any padding change their mind."""
    prob = left_of_a(model, ids)
    padded = (ids == vocab.PAD).any(1, keepdim=True) & (model.padding == "published")
    length = (ids != vocab.PAD).sum(1, keepdim=True)
    return torch.where(padded & (torch.arange(ids.shape[1]) >= length - 10), 1 - prob, prob)


def coarse(model, ids):
    """As `left_of_a`; in mixed precision all probabilities are 0.05 higher."""
    return left_of_a(model, ids) + 0.05 * torch.is_autocast_enabled("cpu")


@dataclass(frozen=True)
class MadeUpGenome:
    """Bases in memory in the place of a genome."""

    bases: np.ndarray
    name: str = "made up"

    def ids(self, chrom, start, end):
        return self.bases[start:end].copy()


def random_genome(num_bases, seed=0):
    return MadeUpGenome(np.random.default_rng(seed).integers(0, 4, num_bases).astype(np.uint8))


def causal_config():
    return replace(ONE_STAGE, objective="causal")
