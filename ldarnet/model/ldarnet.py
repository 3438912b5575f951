"""The model: bases in, letters and cuts out. `Stage.forward` is the whole idea on one screen."""

import math
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from ldarnet import vocab
from ldarnet.config import Layer, Layout, ModelConfig, parse_stack
from ldarnet.model.attention import LocalAttention, Span
from ldarnet.model.byte_pair_starts import byte_pair_starts
from ldarnet.model.chunking import Chunks, Tokens, chunk_index, make_chunks, smooth, spread
from ldarnet.model.mixers import BiMamba2, RMSNorm, make_mlp, make_norm, uses_cpu_kernels
from ldarnet.model.placing import make_placing, token_digest
from ldarnet.model.router import Routing, make_router, router_fits
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
    """Pre-norm mixer, then (upper-case letters) a pre-norm MLP, each added to a float32 residual stream."""

    def __init__(self, layer: Layer, stage: int, config: ModelConfig) -> None:
        super().__init__()
        width = config.d_model[stage]
        self.norm1 = make_norm(width, config)
        self.mixer = _make_mixer(layer, stage, config)
        if layer.has_mlp:
            self.norm2 = make_norm(width, config)
            self.mlp = make_mlp(width, config.d_intermediate[stage], config)
        self.has_mlp = layer.has_mlp

    def forward(self, x: Tensor, tokens: Tokens, padding: Padding, span: Span | None = None) -> Tensor:
        """[B, L, D] -> [B, L, D], or those of a span alone: [B, last - first, D]."""
        wanted = slice(None) if span is None else slice(*span)
        if isinstance(self.mixer, LocalAttention):
            if isinstance(self.norm1, RMSNorm) and self.mixer.fits_cpu_kernel(x):
                from ldarnet.model.whole_attention import whole_attention_layer

                x = whole_attention_layer(x, tokens.valid, self.norm1, self.mixer, tokens.centre_bp, span)
            else:
                x = x[:, wanted] + self.mixer(self.norm1(x), tokens.valid, tokens.centre_bp, span)
        elif (whole := self._whole(x, leaky=padding == "published" and tokens.valid is not None)) is not None:
            x = whole(x, tokens.valid, self.norm1, self.mixer)[:, wanted]
        else:
            x = (x + self.mixer(self.norm1(x), tokens.valid, leaky_padding=padding == "published"))[:, wanted]
        return x + self.mlp(self.norm2(x)) if self.has_mlp else x

    def _whole(self, x: Tensor, *, leaky: bool) -> Callable[..., Tensor] | None:
        """The faster way through norm, mixer and sum, where there is one: tracks on CPUs."""
        if torch.is_grad_enabled() or leaky or not uses_cpu_kernels(x):
            return None
        from ldarnet.model.whole_layer import fits, whole_layer  # numba, which GPU runs do not pay for

        return whole_layer if fits(x, self.norm1, self.mixer) else None


def _make_mixer(layer: Layer, stage: int, config: ModelConfig) -> nn.Module:
    width = config.d_model[stage]
    if layer.mixer == "attention":
        window = config.attention_window[stage]
        heads, rotary_dim = config.num_heads[stage], config.rotary_dim[stage]
        return LocalAttention(width, heads, rotary_dim, window, causal=config.is_causal)
    if config.mamba == "mamba2":
        return BiMamba2(width, config)
    from ldarnet.model.mamba1 import BiMamba1  # compiled kernels of its own, which other models do not pay for

    return BiMamba1(width, config)


class Stack(nn.Module):
    """Layers in a row, closed by a norm."""

    def __init__(self, text: str, stage: int, config: ModelConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(ResidualLayer(layer, stage, config) for layer in parse_stack(text))
        self.norm = make_norm(config.d_model[stage], config)

    def forward(self, x: Tensor, tokens: Tokens, padding: Padding) -> Tensor:
        """[B, L, D] -> [B, L, D] in float32."""
        return self.norm(self.before_norm(x, tokens, padding))

    def before_norm(self, x: Tensor, tokens: Tokens, padding: Padding, span: Span | None = None) -> Tensor:
        """The residual stream after the last layer, or a span of it: what only others need is left out."""
        x = x.float()
        last = len(self.layers) - 1
        for number, layer in enumerate(self.layers):
            x = layer(x, tokens, padding, span if number == last else None)
        return x


class Stage(nn.Module):
    """Encode, cut, think on the chunks, spread back, decode. The inner network may be a stage itself."""

    def __init__(self, layout: Layout, stage: int, config: ModelConfig) -> None:
        super().__init__()
        encoder, inner, decoder = layout
        width, inner_width = config.d_model[stage : stage + 2]
        self.chunking, self.smoothing, self.causal = config.chunking, config.smoothing, config.is_causal
        self.forces_cuts = config.forced_cuts == "mask" or (config.forced_cuts == "outer-mask" and stage == 0)
        self.encoder = Stack(encoder, stage, config)
        self.router = make_router(width, config)
        self.placing = make_placing(config, stage)
        self.widening = nn.Parameter(torch.zeros(inner_width - width)) if inner_width > width else None
        self.inner: Stage | Stack
        self.inner = Stack(inner[0], stage + 1, config) if len(inner) == 1 else Stage(inner, stage + 1, config)
        self.residual = nn.Linear(width, width) if config.skip == "projected" else None
        self.decoder = Stack(decoder, stage, config)

    def forward(self, x: Tensor, tokens: Tokens, padding: Padding, trace: "Trace") -> Tensor:
        """[B, L, D] -> [B, L, D]; what happened inside is appended to `trace`."""
        encoded, routing = self._route(x, tokens, padding)
        chunks = make_chunks(encoded, routing, self.chunking)
        inner_tokens = tokens.of_chunks(chunks, routing)
        trace.encoded.append(encoded)
        trace.routing.append(routing)

        thought = self._think(self.widen(chunks.hidden), inner_tokens, padding, trace)
        trace.chunk_hidden.insert(0, thought)
        smoothed = self._smooth(thought[..., : x.shape[-1]], chunks, routing)

        skipped = self._skip(encoded, routing, inner_tokens)
        # Times one, yet the gradient reaches the router as if times its confidence (straight-through).
        confidence = routing.confidence
        decoded_input = smoothed * (1 + confidence - confidence.detach())[..., None] + skipped
        return self.decoder(decoded_input, tokens, padding)

    def cuts(
        self, x: Tensor, tokens: Tokens, padding: Padding, max_stages: int, span: Span | None = None
    ) -> Iterator[Routing]:
        """The routing of this and the inner stages, running only encoders and routers; see `LDARNet.boundaries`."""
        if span is not None and max_stages == 1 and self.placing is None:
            yield self._route_span(x, tokens, padding, span)
            return
        encoded, routing = self._route(x, tokens, padding)
        yield routing
        if max_stages > 1 and isinstance(self.inner, Stage):
            chunks = make_chunks(encoded, routing, self.chunking)
            inner_tokens = tokens.of_chunks(chunks, routing)
            yield from self.inner.cuts(self.widen(chunks.hidden), inner_tokens, padding, max_stages - 1)

    def _route(self, x: Tensor, tokens: Tokens, padding: Padding) -> tuple[Tensor, Routing]:
        encoded = self.encoder(x, tokens, padding)
        if self.placing is not None:
            return encoded, self.router(encoded, tokens.valid, self.placing(tokens, encoded))
        return encoded, self.router(encoded, tokens.valid, tokens.around_masks() if self.forces_cuts else None)

    def _route_span(self, x: Tensor, tokens: Tokens, padding: Padding, span: Span) -> Routing:
        first, last = max(span[0] - 1, 0), span[1]  # a cut asks the tokens on both sides of it
        stream = self.encoder.before_norm(x, tokens, padding, (first, last))
        prob = self._probabilities(stream)
        valid, forced = tokens.valid, tokens.around_masks() if self.forces_cuts else None
        inside = [None if mask is None else mask[:, first:last] for mask in (valid, forced)]
        return self.router.decide(prob, *inside).among(first, x.shape[1], valid)

    def _probabilities(self, stream: Tensor) -> Tensor:
        """What the router says of the encoder's stream [B, L, D], before its last norm: [B, L]."""
        norm, router = self.encoder.norm, self.router
        if isinstance(norm, RMSNorm) and router_fits(stream, router):
            from ldarnet.model.row_kernels import cut_probabilities  # numba, which GPU runs do not pay for

            query, key = router.query.weight, router.key.weight
            return cut_probabilities(stream, norm.weight, query, key, router.comparison)
        return router.probabilities(norm(stream))

    def _think(self, x: Tensor, tokens: Tokens, padding: Padding, trace: "Trace") -> Tensor:
        if isinstance(self.inner, Stage):
            return self.inner(x, tokens, padding, trace)
        return self.inner(x, tokens, padding)

    def _smooth(self, thought: Tensor, chunks: Chunks, routing: Routing) -> Tensor:
        """Chunk states [B, M, D], smoothed and given to their tokens [B, L, D]."""
        if self.smoothing == "chunks":
            return spread(smooth(thought, chunks.prob, chunks.valid, causal=self.causal), routing)
        return smooth(spread(thought, routing), routing.prob, routing.valid, causal=self.causal)

    def _skip(self, encoded: Tensor, routing: Routing, chunk_tokens: Tokens) -> Tensor:
        """What goes around the chunks [B, L, D]."""
        if self.residual is not None:
            with torch.autocast(encoded.device.type, enabled=False):
                return self.residual(encoded)
        assert chunk_tokens.has_mask is not None, "needed by this kind of skip"
        is_open = ~chunk_tokens.has_mask.gather(1, chunk_index(routing))
        return encoded * is_open[..., None]

    def widen(self, x: Tensor) -> Tensor:
        """Chunk vectors at the width of the inner network."""
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
        hidden = self.stage(self.embedding(input_ids.long()), self._tokens(input_ids, valid), self.padding, trace)
        return Output(self.head(hidden), hidden, trace.encoded[0], tuple(trace.routing), tuple(trace.chunk_hidden))

    def boundaries(
        self,
        input_ids: Tensor,
        valid: Tensor | None = None,
        *,
        max_stages: int | None = None,
        span: Span | None = None,
    ) -> Boundaries:
        """The same routing as `forward`, running only what the routers need; at most `max_stages` of them.

        `span` says that of one stage the cuts first..last-1 alone are wanted: others may then come as NaN, no cut.
        """
        valid = _checked(input_ids, valid, self.config.vocab_size)
        x = self.embedding(input_ids.long())
        wanted = self.config.num_stages if max_stages is None else max_stages
        return Boundaries(tuple(self.stage.cuts(x, self._tokens(input_ids, valid), self.padding, wanted, span)))

    def _tokens(self, input_ids: Tensor, valid: Tensor | None) -> Tokens:
        tokens, config = Tokens(valid), self.config
        if config.forced_cuts != "none" or config.skip == "unmasked":
            tokens = tokens._replace(has_mask=input_ids == vocab.MASK)
        if config.rotary_position == "centre":
            start = torch.arange(input_ids.shape[1], device=input_ids.device).expand(input_ids.shape)
            tokens = tokens._replace(start_bp=start, end_bp=start + 1)
        if config.cuts == "random":
            tokens = tokens._replace(digest=token_digest(input_ids))
        if config.cuts == "byte-pair":
            shown = input_ids if valid is None else input_ids.masked_fill(~valid, vocab.PAD)
            tokens = tokens._replace(starts=byte_pair_starts(shown, config.merges))
        return tokens

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
    A causal model's embedding is Normal(0, 1) (goombalab/hnet@3673fe1).
    """
    nn.init.normal_(model.embedding.weight, std=1.0 if model.config.is_causal else 0.02)
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
        if stage.residual is not None:
            nn.init.zeros_(stage.residual.weight)
        _init_stage(stage.inner, num_additions)
