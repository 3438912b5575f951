"""A causal model one token at a time, each layer keeping what it needs of the past.

Kept are: per Mamba-2 layer the last inputs of the convolution and the state of the scan; per attention layer turned
keys and values; per stage the last vector the router saw, and the running average of the chunks. An inner network moves
on only in those sequences that cut: each has a clock of its own.

Source: the inference of goombalab/hnet@3673fe1, which takes one sequence.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ldarnet.model.attention import LocalAttention, rotate, turns_at
from ldarnet.model.chunking import PROB_FLOOR
from ldarnet.model.ldarnet import LDARNet, ResidualLayer, Stack, Stage
from ldarnet.model.mixers import NORM_EPS, BiMamba2
from ldarnet.model.placing import Grid
from ldarnet.model.router import PlacedRouter

FIRST_CAPACITY = 64
"""Keys an attention layer has room for at first; the room doubles, up to its window."""


class Step(NamedTuple):
    """What one more token gives."""

    logits: Tensor
    """[batch, vocab]: about the token to come."""
    prob: tuple[Tensor, ...]
    """Per stage float32 [batch]: the probability of a cut left of the token; NaN in sequences it did not reach."""

    @property
    def cut(self) -> tuple[Tensor, ...]:
        """Per stage bool [batch]: whether a chunk starts with the token."""
        return tuple(p > 0.5 for p in self.prob)


class Stepper:
    """Runs a causal model on sequences that grow by one token a step; equal to `forward` on the whole of them."""

    def __init__(self, model: LDARNet, batch_size: int) -> None:
        model.config.check_is("causal", to="go on token by token")
        if model.config.cuts == "random" or model.config.cut_prob == "router":
            raise ValueError(
                "to go on token by token takes cuts that are learned, or fixed with probability 1; this model has cuts "
                f"{model.config.cuts!r} with cut_prob {model.config.cut_prob!r}"
            )
        if batch_size < 1:
            raise ValueError(f"batch_size: expected 1 or more, got {batch_size}")
        self.model, self.batch_size = model, batch_size
        self._stage = _StageMemory(model.stage, batch_size)

    @torch.no_grad()
    def step(self, ids: Tensor) -> Step:
        """One more token per sequence, ids [batch]."""
        if ids.shape != (self.batch_size,) or ids.is_floating_point():
            raise ValueError(f"ids: expected whole numbers [{self.batch_size}], got {ids.dtype} {tuple(ids.shape)}")
        x = self.model.embedding(ids.long().to(self.model.embedding.weight.device))
        prob = tuple(x.new_full((self.batch_size,), torch.nan) for _ in range(self.model.config.num_stages))
        hidden = self._stage.step(x, torch.arange(self.batch_size, device=x.device), prob)
        return Step(self.model.head(hidden), prob)

    def read(self, ids: Tensor) -> Step:
        """Several tokens per sequence, ids [batch, length >= 1]: what the last of them gives."""
        if ids.dim() != 2 or ids.shape[1] < 1:
            raise ValueError(f"ids: expected [{self.batch_size}, length >= 1], got {tuple(ids.shape)}")
        *_, last = (self.step(column) for column in ids.unbind(1))
        return last


class _StageMemory:
    """What a stage keeps of the past, for every sequence of the batch."""

    def __init__(self, stage: Stage, batch_size: int) -> None:
        self._stage = stage
        self._encoder, self._decoder = _StackMemory(stage.encoder, batch_size), _StackMemory(stage.decoder, batch_size)
        inner = stage.inner
        self._inner: _StageMemory | _StackMemory = (
            _StageMemory(inner, batch_size) if isinstance(inner, Stage) else _StackMemory(inner, batch_size)
        )
        weight = stage.router.query.weight
        self._num_tokens = weight.new_zeros(batch_size, dtype=torch.long)
        # The last token's vector, the last chunk's state, and the average of states so far.
        self._former, self._thought, self._average = weight.new_zeros(3, batch_size, weight.shape[0]).unbind(0)

    def step(self, x: Tensor, rows: Tensor, prob: tuple[Tensor, ...]) -> Tensor:
        """One token [n, D] of the sequences `rows` [n]; the probabilities of their cuts go into `prob`, by stage."""
        encoded = self._encoder.step(x, rows)
        p = self._cut_prob(encoded, rows)
        prob[0][rows] = p
        if bool((cuts := p > 0.5).any()):
            cutting = rows[cuts]
            chunk = self._stage.widen(encoded[cuts])
            if isinstance(self._inner, _StageMemory):
                thought = self._inner.step(chunk, cutting, prob[1:])
            else:
                thought = self._inner.step(chunk, cutting)
            self._thought[cutting] = thought[:, : x.shape[-1]]
        smoothed = self._smoothed(p, rows, cuts)
        assert self._stage.residual is not None, "a causal model has a linear skip"
        return self._decoder.step(smoothed + self._stage.residual(encoded), rows)

    def _cut_prob(self, encoded: Tensor, rows: Tensor) -> Tensor:
        router, is_first = self._stage.router, self._num_tokens[rows] == 0
        if isinstance(router, PlacedRouter):
            assert isinstance(self._stage.placing, Grid), "other rules were refused"
            p = self._stage.placing.at(self._num_tokens[rows]).float()
        else:
            p = router(torch.stack([self._former[rows], encoded], dim=1), None).prob[:, 1]
            p = torch.where(is_first, 1.0, p)
        self._former[rows] = encoded
        self._num_tokens[rows] += 1
        return p

    def _smoothed(self, p: Tensor, rows: Tensor, cuts: Tensor) -> Tensor:
        """The average after this token; over chunks it moves where one starts, over bases with every one."""
        moves = cuts if self._stage.smoothing == "chunks" else torch.ones_like(cuts)
        gate = p.clamp(PROB_FLOOR, 1 - PROB_FLOOR)[:, None]
        average = self._average[rows]
        average = torch.where(moves[:, None], gate * self._thought[rows] + (1 - gate) * average, average)
        self._average[rows] = average
        return average


class _StackMemory:
    def __init__(self, stack: Stack, batch_size: int) -> None:
        self._stack = stack
        self._memories: list[_MambaMemory | _AttentionMemory] = []
        for layer in stack.layers:
            assert isinstance(layer, ResidualLayer)
            mixer = layer.mixer
            if isinstance(mixer, LocalAttention):
                self._memories.append(_AttentionMemory(mixer, batch_size))
            else:
                assert isinstance(mixer, BiMamba2), "a causal model has Mamba-2 and attention layers"
                self._memories.append(_MambaMemory(mixer, batch_size))

    def step(self, x: Tensor, rows: Tensor) -> Tensor:
        """[n, D] -> [n, D] for the sequences `rows` [n]."""
        x = x.float()
        for layer, memory in zip(self._stack.layers, self._memories, strict=True):
            x = x + memory.step(layer.norm1(x), rows)  # type: ignore[operator]
            if layer.has_mlp:
                x = x + layer.mlp(layer.norm2(x))  # type: ignore[operator]
        out: Tensor = self._stack.norm(x)
        return out


class _MambaMemory:
    def __init__(self, mixer: BiMamba2, batch_size: int) -> None:
        self._mixer = mixer
        weight = mixer.conv_weight
        self._inputs = weight.new_zeros(batch_size, mixer.num_taps - 1, weight.shape[1])
        self._state = weight.new_zeros(batch_size, mixer.num_heads, mixer.head_dim, mixer.d_state)

    def step(self, x: Tensor, rows: Tensor) -> Tensor:
        m = self._mixer
        z, xBC, dt = m.in_proj(x).split([m.d_inner, m.d_inner + 2 * m.d_state, m.num_heads], dim=-1)
        taps = torch.cat([self._inputs[rows], xBC[:, None]], dim=1)  # [n, taps, channels], the newest last
        self._inputs[rows] = taps[:, 1:]
        convolved = F.silu((taps * m.conv_weight[0].T).sum(1) + m.conv_bias[0])
        u, B, C = convolved.split([m.d_inner, m.d_state, m.d_state], dim=-1)
        u = u.unflatten(-1, (-1, m.head_dim))  # [n, H, P]
        step_size = F.softplus(dt + m.dt_bias[0])  # [n, H]
        decay = torch.exp(-step_size * m.A_log[0].exp())[..., None, None]
        state = decay * self._state[rows] + (step_size[..., None] * u)[..., None] * B[:, None, None]
        self._state[rows] = state
        y = (state * C[:, None, None]).sum(-1) + m.D[0][:, None] * u
        y = F.rms_norm(y.flatten(1) * F.silu(z), (m.d_inner,), m.norm_weight[0], NORM_EPS)
        out: Tensor = m.out_proj(m.scale * y)
        return out


class _AttentionMemory:
    """Keys and values, turned to their positions; those of a window in a ring."""

    def __init__(self, mixer: LocalAttention, batch_size: int) -> None:
        self._mixer = mixer
        self._most = None if mixer.window < 0 else mixer.window + 1
        weight = mixer.qkv.weight
        capacity = FIRST_CAPACITY if self._most is None else min(FIRST_CAPACITY, self._most)
        head_dim = weight.shape[1] // mixer.num_heads
        self._keys, self._values = weight.new_zeros(2, batch_size, mixer.num_heads, capacity, head_dim).unbind(0)
        self._num_tokens = weight.new_zeros(batch_size, dtype=torch.long)

    def step(self, x: Tensor, rows: Tensor) -> Tensor:
        position = self._num_tokens[rows]
        self._make_room(int(position.max()) + 1)
        q, k, v = self._mixer.project(x[:, None])  # each [n, 1, H, P]
        turns = turns_at(position[:, None], self._mixer.rotary_dim)
        q, k = rotate(q, turns), rotate(k, turns)
        capacity = self._keys.shape[2]
        self._keys[rows, :, position % capacity] = k[:, 0]
        self._values[rows, :, position % capacity] = v[:, 0]
        self._num_tokens[rows] = position + 1
        is_written = torch.arange(capacity, device=x.device) <= position[:, None]
        y = F.scaled_dot_product_attention(
            q.transpose(1, 2), self._keys[rows], self._values[rows], attn_mask=is_written[:, None, None]
        )
        out: Tensor = self._mixer.out_proj(y.flatten(1))
        return out

    def _make_room(self, num_tokens: int) -> None:
        capacity = self._keys.shape[2]
        if num_tokens <= capacity or capacity == self._most:
            return
        wanted = 2 * capacity if self._most is None else min(2 * capacity, self._most)
        more = (0, 0, 0, wanted - capacity)
        self._keys, self._values = F.pad(self._keys, more), F.pad(self._values, more)
