"""Where the published checkpoints keep each of our tensors (ICML-LDARNet@f247d59, goombalab/hnet@3673fe1).

The masked model's file stores the shared projections twice, once per direction; ours stores them once and stacks what
the directions do not share. A causal model has one direction, and its names lack it.
"""

from collections.abc import Iterator
from typing import NamedTuple

from ldarnet.config import Layout, ModelConfig, parse_stack

PER_DIRECTION = {
    "conv_weight": "conv1d.weight",
    "conv_bias": "conv1d.bias",
    "dt_bias": "dt_bias",
    "A_log": "A_log",
    "D": "D",
    "norm_weight": "norm.weight",
}
SHARED = ("in_proj.weight", "out_proj.weight")


class Source(NamedTuple):
    """Where one of our tensors comes from: `stacked` = one published tensor per direction, else equal copies."""

    names: tuple[str, ...]
    stacked: bool = False


def tensor_sources(config: ModelConfig) -> dict[str, Source]:
    """Our parameter name -> the published tensors that hold it."""
    sources = {"embedding.weight": Source(("embeddings.weight",)), "head.weight": Source(("lm_head.weight",))}
    sources.update(_stage(config, config.layout, 0, "stage", "backbone"))
    return sources


def _stage(config: ModelConfig, layout: Layout, stage: int, ours: str, theirs: str) -> Iterator[tuple[str, Source]]:
    if len(layout) == 1:
        yield from _stack(config, layout[0], ours, f"{theirs}.main_network")
        return
    encoder, inner, decoder = layout
    yield from _stack(config, encoder, f"{ours}.encoder", f"{theirs}.encoder")
    yield from _stack(config, decoder, f"{ours}.decoder", f"{theirs}.decoder")
    yield f"{ours}.router.query.weight", Source((f"{theirs}.routing_module.q_proj_layer.weight",))
    yield f"{ours}.router.key.weight", Source((f"{theirs}.routing_module.k_proj_layer.weight",))
    for part in ("weight", "bias"):
        yield f"{ours}.residual.{part}", Source((f"{theirs}.residual_proj.{part}",))
    if config.d_model[stage + 1] > config.d_model[stage]:
        yield f"{ours}.widening", Source((f"{theirs}.main_network.pad_dimension",))
    yield from _stage(config, inner, stage + 1, f"{ours}.inner", f"{theirs}.main_network")


def _stack(config: ModelConfig, text: str, ours: str, theirs: str) -> Iterator[tuple[str, Source]]:
    yield f"{ours}.norm.weight", Source((f"{theirs}.rmsnorm.weight",))
    for i, layer in enumerate(parse_stack(text)):
        our_layer, their_layer = f"{ours}.layers.{i}", f"{theirs}.layers.{i}"
        yield f"{our_layer}.norm1.weight", Source((f"{their_layer}.norm1.weight",))
        if layer.mixer == "attention":
            yield f"{our_layer}.mixer.qkv.weight", Source((f"{their_layer}.mixer.Wqkv.weight",))
            yield f"{our_layer}.mixer.out_proj.weight", Source((f"{their_layer}.mixer.out_proj.weight",))
        else:
            directions = [f"{their_layer}.mixer{d}" for d in ([""] if config.is_causal else [".fwd", ".bwd"])]
            for name in SHARED:
                yield f"{our_layer}.mixer.{name}", Source(tuple(f"{d}.{name}" for d in directions))
            for name, published in PER_DIRECTION.items():
                yield (
                    f"{our_layer}.mixer.{name}",
                    Source(tuple(f"{d}.{published}" for d in directions), stacked=True),
                )
        if layer.has_mlp:
            for name in ("norm2.weight", "mlp.fc1.weight", "mlp.fc2.weight"):
                yield f"{our_layer}.{name}", Source((f"{their_layer}.{name}",))
