"""How many multiply-adds a model needs, counted from its configuration.

Counted are linear layers, attention, convolutions, scans, the router's comparison and the smoothing of chunks: one for
each product of two numbers. Norms, activations, rotations and sums of vectors are not. Scans count as the recurrence
that defines them; blocked ways to compute them take more products, most of them in matrix multiplications. Attention
counts the pairs of tokens that see each other.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ldarnet.config import Layer, ModelConfig, parse_stack
from ldarnet.layout import Layout
from ldarnet.model.mixers import rounded_up

TOKENS_PER_CHUNK = 4.0
"""What learned cuts are taken to give where nothing was measured: LDARNet's target."""


@dataclass(frozen=True)
class Work:
    """Multiply-adds of one part of a model."""

    part: str
    """encoder, router, skip or decoder with its stage ("encoder 0"); backbone; head."""
    products: float = 0.0
    """Linear layers and attention."""
    scans: float = 0.0
    """Recurrences of Mamba layers and of the smoothing."""
    filters: float = 0.0
    """Convolutions along the sequence and the router's comparison."""

    @property
    def total(self) -> float:
        """All of it."""
        return self.products + self.scans + self.filters


def work_of(config: ModelConfig, num_bases: int, num_chunks: Sequence[float]) -> tuple[Work, ...]:
    """Multiply-adds of a forward pass of one sequence, by part, outermost first.

    `num_chunks` has the number of chunks of every stage; ValueError where it has another length.
    """
    if len(num_chunks) != config.num_stages:
        raise ValueError(f"num_chunks: expected {config.num_stages} numbers, one per stage, got {list(num_chunks)}")
    head = Work("head", config.d_model[0] * config.vocab_size * num_bases)
    return (*_stages(config, config.layout, 0, (num_bases, *num_chunks)), head)


def per_base(config: ModelConfig, num_bases: int, num_chunks: Sequence[float]) -> float:
    """All multiply-adds of `work_of`, per base."""
    return sum(part.total for part in work_of(config, num_bases, num_chunks)) / num_bases


def chunks_of(config: ModelConfig, num_bases: int, tokens_per_chunk: Sequence[float] | None = None) -> list[float]:
    """Chunks of every stage: those of fixed cuts, whatever else is said; else by so many tokens per chunk.

    Without `tokens_per_chunk`, random cuts give what they are drawn for, and others 4 in every stage.
    """
    if tokens_per_chunk is None:
        known = float(config.cut_every) if config.cuts == "random" else TOKENS_PER_CHUNK
        tokens_per_chunk = [known] * config.num_stages
    if len(tokens_per_chunk) != config.num_stages:
        raise ValueError(
            f"tokens per chunk: expected {config.num_stages} values, one per stage, got {list(tokens_per_chunk)}"
        )
    if min(tokens_per_chunk, default=1) < 1:
        raise ValueError(f"tokens per chunk: expected 1 or more, got {list(tokens_per_chunk)}")
    counts, num_tokens = [], float(num_bases)
    for each in tokens_per_chunk:
        num_tokens = math.ceil(num_tokens / config.cut_every) if config.cuts == "fixed" else num_tokens / each
        counts.append(max(1.0, num_tokens))
    return counts


def plain_transformer(config: ModelConfig) -> ModelConfig:
    """The backbone's width, heads and depth as a Transformer that reads every base and cuts nothing.

    It has no stage, and is no configuration of `LDARNet`.
    """
    depth = len(parse_stack(_backbone(config.layout)))
    width = config.d_model[-1]
    return ModelConfig(
        layout=(f"T{depth}",),
        d_model=(width,),
        d_intermediate=(config.d_intermediate[-1] or 4 * width,),
        num_heads=(config.num_heads[-1],),
        rotary_dim=(config.rotary_dim[-1],),
        attention_window=(-1,),
        objective=config.objective,
        mlp=config.mlp,
        block_norm=config.block_norm,
        vocabulary=config.vocabulary,
        vocab_size=config.vocab_size,
        context_bp=config.context_bp,
    )


def _backbone(layout: Layout) -> str:
    return str(layout[0]) if len(layout) == 1 else _backbone(layout[1])


def _stages(config: ModelConfig, layout: Layout, stage: int, num_tokens: Sequence[float]) -> Iterator[Work]:
    if len(layout) == 1:
        yield _stack(config, layout[0], stage, num_tokens[0], "backbone")
        return
    here, width, num_chunks = num_tokens[0], config.d_model[stage], num_tokens[1]
    yield _stack(config, layout[0], stage, here, f"encoder {stage}")
    if config.cuts == "learned" or config.cut_prob == "router":
        comparisons = (2 if config.router == "symmetric" else 1) * width * (here - 1)
        yield Work(f"router {stage}", products=2 * width * width * here, filters=comparisons)
    yield from _stages(config, layout[1], stage + 1, num_tokens[1:])
    # Each direction of the average takes two products per number: p z and (1 - p) s.
    smoothed = num_chunks if config.smoothing == "chunks" else here
    yield Work(
        f"skip {stage}",
        products=width * width * here if config.skip == "projected" else 0.0,
        scans=_num_directions(config) * 2 * width * smoothed,
    )
    yield _stack(config, layout[2], stage, here, f"decoder {stage}")


def _stack(config: ModelConfig, text: str, stage: int, num_tokens: float, part: str) -> Work:
    layers = [_layer(config, layer, stage, num_tokens) for layer in parse_stack(text)]
    return Work(
        part,
        sum(each.products for each in layers),
        sum(each.scans for each in layers),
        sum(each.filters for each in layers),
    )


def _layer(config: ModelConfig, layer: Layer, stage: int, num_tokens: float) -> Work:
    width = config.d_model[stage]
    if layer.mixer == "attention":
        pairs = num_pairs(num_tokens, config.attention_window[stage], causal=config.is_causal)
        work = Work("", products=4 * width * width * num_tokens + 2 * width * pairs)
    elif config.mamba == "mamba2":
        work = _mamba2(config, width, num_tokens)
    else:
        work = _mamba1(config, width, num_tokens)
    if not layer.has_mlp:
        return work
    matrices = 3 if config.mlp == "swiglu" else 2
    feed_forward = matrices * width * rounded_up(config.d_intermediate[stage]) * num_tokens
    return replace(work, products=work.products + feed_forward)


def _mamba2(config: ModelConfig, width: int, num_tokens: float) -> Work:
    directions, inner, state = _num_directions(config), config.expand * width, config.d_state
    channels = inner + 2 * state
    projected = width * (inner + channels + inner // config.head_dim) + inner * width
    # Decay, input and output of every number of the state; step and skip of every channel; the decay of every head.
    recurrence = directions * (3 * inner * state + 2 * inner + inner // config.head_dim)
    return Work("", projected * num_tokens, recurrence * num_tokens, directions * config.d_conv * channels * num_tokens)


def _mamba1(config: ModelConfig, width: int, num_tokens: float) -> Work:
    directions, inner, state = _num_directions(config), config.expand * width, config.d_state
    rank = config.dt_rank or math.ceil(width / 16)
    projected = 3 * width * inner + directions * inner * (2 * rank + 2 * state)
    # As for Mamba-2, and a decay rate times the step size for every number of the state.
    recurrence = directions * (4 * inner * state + 2 * inner)
    return Work("", projected * num_tokens, recurrence * num_tokens, directions * config.d_conv * inner * num_tokens)


def _num_directions(config: ModelConfig) -> int:
    return 1 if config.is_causal else 2


def num_pairs(num_tokens: float, window: int, *, causal: bool) -> float:
    """Pairs of a query and a key at most `window` tokens apart (-1 = any), keys after the query left out if causal."""
    reach = num_tokens - 1 if window < 0 else min(window, num_tokens - 1)
    to_one_side = reach * num_tokens - reach * (reach + 1) / 2
    return num_tokens + (1 if causal else 2) * to_one_side
