"""The model: bases in, letters and cuts out. `Stage.forward` is the whole idea on one screen."""

import math
from collections.abc import Iterator
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from ldarnet.config import Layer, Layout, ModelConfig, parse_stack
from ldarnet.model.attention import LocalAttention
from ldarnet.model.chunking import select_chunks, smooth_chunks, spread
from ldarnet.model.mixers import BiMamba2, RMSNorm, SwiGLU
from ldarnet.model.router import Routing, make_router
from ldarnet.provenance import Provenance

Padding = Literal["exact", "published"]


class Output(NamedTuple):
    """Everything a forward pass gives. Tokens of stage 0 are bases; those of stage s are the chunks of stage s-1."""

    logits: Tensor
    """[batch, length, vocab]"""
    last_hidden_state: Tensor
    """[batch, length, width]: after the decoder."""
    encoder_output: Tensor
    """[batch, length, width]: before the router."""
    routing: tuple[Routing, ...]
    """One per stage."""
    chunk_hidden_state: tuple[Tensor, ...]
    """Per stage [batch, chunks, width]: what the inner network made of the chunks."""


class Boundaries(NamedTuple):
    """The routing of every stage, and nothing else."""

    routing: tuple[Routing, ...]


class ResidualLayer(nn.Module):
    """Pre-norm mixer, then (upper-case letters) pre-norm SwiGLU, each added to a float32 residual stream."""

    def __init__(self, layer: Layer, stage: int, config: ModelConfig) -> None:
        super().__init__()
        width = config.d_model[stage]
        self.norm1 = RMSNorm(width)
        self.mixer: nn.Module
        if layer.mixer == "mamba2":
            self.mixer = BiMamba2(width, config)
        else:
            self.mixer = LocalAttention(
                width, config.num_heads[stage], config.rotary_dim[stage], config.attention_window[stage]
            )
        if layer.has_mlp:
            self.norm2 = RMSNorm(width)
            self.mlp = SwiGLU(width, config.d_intermediate[stage])
        self.has_mlp = layer.has_mlp

    def forward(self, x: Tensor, valid: Tensor | None, padding: Padding) -> Tensor:
        """[B, L, D] -> [B, L, D]."""
        if isinstance(self.mixer, BiMamba2):
            x = x + self.mixer(self.norm1(x), valid, leaky_padding=padding == "published")
        else:
            x = x + self.mixer(self.norm1(x), valid)
        return x + self.mlp(self.norm2(x)) if self.has_mlp else x


class Stack(nn.Module):
    """Layers in a row, closed by a norm."""

    def __init__(self, text: str, stage: int, config: ModelConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(ResidualLayer(layer, stage, config) for layer in parse_stack(text))
        self.norm = RMSNorm(config.d_model[stage])

    def forward(self, x: Tensor, valid: Tensor | None, padding: Padding) -> Tensor:
        """[B, L, D] -> [B, L, D] in float32."""
        x = x.float()
        for layer in self.layers:
            x = layer(x, valid, padding)
        return self.norm(x)


class Stage(nn.Module):
    """Encode, cut, think on the chunks, spread back, decode. The inner network may be a stage itself."""

    def __init__(self, layout: Layout, stage: int, config: ModelConfig) -> None:
        super().__init__()
        encoder, inner, decoder = layout
        width, inner_width = config.d_model[stage : stage + 2]
        self.encoder = Stack(encoder, stage, config)
        self.router = make_router(width, config)
        self.widening = nn.Parameter(torch.zeros(inner_width - width)) if inner_width > width else None
        self.inner: Stage | Stack
        self.inner = Stack(inner[0], stage + 1, config) if len(inner) == 1 else Stage(inner, stage + 1, config)
        self.residual = nn.Linear(width, width)
        self.decoder = Stack(decoder, stage, config)

    def forward(self, x: Tensor, valid: Tensor | None, padding: Padding, trace: "Trace") -> Tensor:
        """[B, L, D] -> [B, L, D]; what happened inside is appended to `trace`."""
        encoded = self.encoder(x, valid, padding)
        routing = self.router(encoded, valid)
        chunks = select_chunks(encoded, routing)
        trace.encoded.append(encoded)
        trace.routing.append(routing)

        thought = self._think(self._widen(chunks.hidden), chunks.valid, padding, trace)
        trace.chunk_hidden.insert(0, thought)
        smoothed = spread(smooth_chunks(thought[..., : x.shape[-1]], chunks), routing)

        with torch.autocast(x.device.type, enabled=False):
            skipped = self.residual(encoded)
        # Times one, yet the gradient reaches the router as if times its confidence (straight-through).
        confidence = routing.confidence
        decoded_input = smoothed * (1 + confidence - confidence.detach())[..., None] + skipped
        return self.decoder(decoded_input, valid, padding)

    def cuts(self, x: Tensor, valid: Tensor | None, padding: Padding, max_stages: int) -> Iterator[Routing]:
        """The routing of this and the inner stages, running only encoders and routers."""
        encoded = self.encoder(x, valid, padding)
        routing = self.router(encoded, valid)
        yield routing
        if max_stages > 1 and isinstance(self.inner, Stage):
            chunks = select_chunks(encoded, routing)
            yield from self.inner.cuts(self._widen(chunks.hidden), chunks.valid, padding, max_stages - 1)

    def _think(self, x: Tensor, valid: Tensor | None, padding: Padding, trace: "Trace") -> Tensor:
        if isinstance(self.inner, Stage):
            return self.inner(x, valid, padding, trace)
        return self.inner(x, valid, padding)

    def _widen(self, x: Tensor) -> Tensor:
        if self.widening is None:
            return x
        return torch.cat([x, self.widening.to(x.dtype).expand(*x.shape[:-1], -1)], dim=-1)


class Trace:
    """What the stages of one forward pass leave behind, outermost first."""

    def __init__(self) -> None:
        self.encoded: list[Tensor] = []
        self.routing: list[Routing] = []
        self.chunk_hidden: list[Tensor] = []


class LDARNet(nn.Module):
    """A DNA language model with learned chunks, built from a `ModelConfig` with random weights.

    `padding="exact"` makes every sequence independent of its batch neighbours; "published" reproduces the published
    code, where padding leaks into the right-to-left Mamba pass.
    """

    def __init__(self, config: ModelConfig, *, padding: Padding = "exact") -> None:
        super().__init__()
        if padding not in ("exact", "published"):
            raise ValueError(f"padding: expected 'exact' or 'published', got {padding!r}")
        if config.num_stages < 1:
            raise ValueError(f"layout {config.layout}: expected at least one stage [encoder, inner, decoder]")
        self.config, self.padding = config, padding
        self.provenance: Provenance | None = None
        self.embedding = nn.Embedding(config.vocab_size, config.d_model[0])
        self.stage = Stage(config.layout, 0, config)
        self.head = nn.Linear(config.d_model[0], config.vocab_size, bias=False)
        init_weights(self)

    def forward(self, input_ids: Tensor, valid: Tensor | None = None) -> Output:
        """Logits, hidden states and cuts of ids [batch, length]; `valid` (bool, same shape) is False on padding."""
        valid = _checked(input_ids, valid, self.config.vocab_size)
        trace = Trace()
        hidden = self.stage(self.embedding(input_ids.long()), valid, self.padding, trace)
        return Output(self.head(hidden), hidden, trace.encoded[0], tuple(trace.routing), tuple(trace.chunk_hidden))

    def boundaries(
        self, input_ids: Tensor, valid: Tensor | None = None, *, max_stages: int | None = None
    ) -> Boundaries:
        """The same routing as `forward`, running only what the routers need; at most `max_stages` of them."""
        valid = _checked(input_ids, valid, self.config.vocab_size)
        x = self.embedding(input_ids.long())
        wanted = self.config.num_stages if max_stages is None else max_stages
        return Boundaries(tuple(self.stage.cuts(x, valid, self.padding, wanted)))

    def num_parameters(self) -> int:
        """Weights, each counted once."""
        return sum(p.numel() for p in self.parameters())


def _checked(input_ids: Tensor, valid: Tensor | None, vocab_size: int) -> Tensor | None:
    """`valid`, or None where nothing is padding."""
    if input_ids.dim() != 2 or input_ids.shape[1] == 0 or input_ids.is_floating_point():
        got = f"{input_ids.dtype} {tuple(input_ids.shape)}"
        raise ValueError(f"input_ids: expected whole numbers [batch, length >= 1], got {got}")
    if input_ids.device.type == "cpu" and (int(input_ids.min()) < 0 or int(input_ids.max()) >= vocab_size):
        raise ValueError(f"input_ids: expected 0..{vocab_size - 1}, got {int(input_ids.min())}..{int(input_ids.max())}")
    if valid is None:
        return None
    if valid.shape != input_ids.shape or valid.dtype != torch.bool:
        raise ValueError(f"valid: expected bool {tuple(input_ids.shape)}, got {valid.dtype} {tuple(valid.shape)}")
    if bool(valid.all()):
        return None
    if not bool(valid[:, 0].all()) or bool((valid[:, 1:] & ~valid[:, :-1]).any()):
        raise ValueError("valid: expected padding on the right of at least one base in every sequence")
    return valid


def init_weights(model: LDARNet) -> None:
    """Published initialisation (ICML-LDARNet@f247d59).

    Normal(0, 0.02) for embedding, head and linear layers; projections that write to the residual stream divided by
    the square root of the number of residual additions of their own and all enclosing stages. Routers stay the
    identity, the skip connection starts at weight zero, convolutions and scan parameters keep their own defaults.
    """
    nn.init.normal_(model.embedding.weight, std=0.02)
    nn.init.normal_(model.head.weight, std=0.02)
    _init_stage(model.stage, num_additions=0)


def _init_stage(stage: "Stage | Stack", num_additions: int) -> None:
    stacks = [stage] if isinstance(stage, Stack) else [stage.encoder, stage.decoder]
    num_additions += sum(1 + layer.has_mlp for stack in stacks for layer in stack.layers)  # type: ignore[misc, operator]
    for stack in stacks:
        for name, module in stack.named_modules():
            if isinstance(module, nn.Linear):
                writes_residual = name.endswith(("out_proj", "fc2"))
                nn.init.normal_(module.weight, std=0.02 / math.sqrt(num_additions) if writes_residual else 0.02)
    if isinstance(stage, Stage):
        nn.init.zeros_(stage.residual.weight)
        _init_stage(stage.inner, num_additions)
