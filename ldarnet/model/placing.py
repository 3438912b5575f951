"""Where cuts are put without asking the router: on a grid, at random, or where tokens of the letters start.

None of these rules sees a batch neighbour or, but for byte pairs, what comes after a token.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ldarnet.config import ModelConfig
from ldarnet.model.chunking import Tokens

Placing = Callable[[Tokens, Tensor], Tensor]
"""Tokens and their vectors [B, L, D] -> bool [B, L], True where a chunk starts; the first token always does."""

_NUM_DRAWS = 1 << 53


@dataclass(frozen=True)
class Grid:
    """Every so many tokens."""

    every: int

    def __call__(self, tokens: Tokens, x: Tensor) -> Tensor:
        """bool [B, L]."""
        return self.at(torch.arange(x.shape[1], device=x.device)).expand(x.shape[:2])

    def at(self, number: Tensor) -> Tensor:
        """Whether the tokens of these numbers start a chunk."""
        return number % self.every == 0


@dataclass(frozen=True)
class RandomPlaces:
    """Each token with the same probability, drawn from seed, stage and the letters up to the token.

    The same sequence is cut alike whenever it is seen; later letters and batch neighbours have no say.
    """

    every: int
    seed: int
    stage: int

    def __call__(self, tokens: Tokens, x: Tensor) -> Tensor:
        """bool [B, L]."""
        assert tokens.digest is not None, "asked for by this kind of cuts"
        salt = _mixed(torch.tensor([self.seed * 1024 + self.stage], device=x.device))
        # The upper 53 bits, which are 0 or more whatever the sign.
        draws = (_mixed(tokens.digest + salt) >> 11) & (_NUM_DRAWS - 1)
        chosen = draws < _NUM_DRAWS // self.every
        chosen[:, 0] = True
        return chosen


def _starts(tokens: Tokens, x: Tensor) -> Tensor:
    assert tokens.starts is not None, "found where the letters are at hand"
    return tokens.starts.to(x.device)


def make_placing(config: ModelConfig, stage: int) -> Placing | None:
    """The rule of a stage; None where the router decides."""
    if config.cuts == "learned":
        return None
    if config.cuts == "fixed":
        return Grid(config.cut_every)
    if config.cuts == "random":
        return RandomPlaces(config.cut_every, config.cut_seed, stage)
    return _starts


def token_digest(ids: Tensor) -> Tensor:
    """int64 [B, L]: a number that depends on every letter up to each position, and on where it stands."""
    position = torch.arange(ids.shape[1], device=ids.device)
    return _mixed((position << 16) + ids.long()).cumsum(1)  # overflow wraps round, on every device


def _mixed(x: Tensor) -> Tensor:
    """A scrambled int64, one to one: the finaliser of SplitMix64 (Steele, Lea & Flood 2014)."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ _shifted(x, shift)) * (factor - (1 << 64))
    return x ^ _shifted(x, 31)


def _shifted(x: Tensor, bits: int) -> Tensor:
    """Right shift that fills with zeros, as for an unsigned number."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)
