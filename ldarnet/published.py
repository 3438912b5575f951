"""Checkpoints of the published code (ICML-LDARNet@f247d59): their configuration and the names of their tensors.

The published file stores the shared projections twice, once per direction; ours stores them once and stacks what
the directions do not share.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

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


def published_config(payload: Mapping[str, Any]) -> ModelConfig:
    """Our configuration for the `config` of a published checkpoint; ValueError where it is no LDARNet."""
    mode = payload.get("mode")
    if mode != "mlm":
        raise ValueError(
            f"expected a masked LDARNet (mode 'mlm'), got mode {mode!r}: this looks like a causal H-Net, "
            "which this version cannot run"
        )
    try:
        ssm, attention = payload["ssm_cfg"], payload["attn_cfg"]
        return ModelConfig(
            layout=payload["arch_layout"],
            d_model=tuple(payload["d_model"]),
            d_intermediate=tuple(payload["d_intermediate"]),
            num_heads=tuple(attention["num_heads"]),
            rotary_dim=tuple(attention["rotary_emb_dim"]),
            attention_window=tuple(attention["window_size"]),
            d_state=ssm["d_state"],
            d_conv=ssm["d_conv"],
            expand=ssm["expand"],
            fusion={"mean": "mean", "sum": "sum"}[ssm.get("combine", "mean")],  # type: ignore[arg-type]
            vocab_size=payload["vocab_size"],
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"the checkpoint's config lacks or misnames {error}") from None


def tensor_sources(config: ModelConfig) -> dict[str, Source]:
    """Our parameter name -> the published tensors that hold it."""
    sources = {"embedding.weight": Source(("embeddings.weight",)), "head.weight": Source(("lm_head.weight",))}
    sources.update(_stage(config, config.layout, 0, "stage", "backbone"))
    return sources


def convert_state(config: ModelConfig, published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our state dict from the published one. ValueError on tensors that are missing, left over, or tied but unequal."""
    sources = tensor_sources(config)
    needed = {name for source in sources.values() for name in source.names}
    if missing := sorted(needed - published.keys()):
        raise ValueError(f"{len(missing)} tensors missing, the first is {missing[0]!r}")
    if extra := sorted(published.keys() - needed):
        raise ValueError(f"{len(extra)} tensors that the configuration does not call for, the first is {extra[0]!r}")
    state = {}
    for name, source in sources.items():
        tensors = [published[n].float() for n in source.names]
        if name.endswith("conv_weight"):
            tensors = [t.squeeze(1) for t in tensors]
        if source.stacked:
            if len({t.shape for t in tensors}) > 1:
                raise ValueError(f"{source.names[0]!r} and {source.names[1]!r} differ in shape")
            state[name] = torch.stack(tensors)
        elif all(torch.equal(tensors[0], t) for t in tensors[1:]):
            state[name] = tensors[0].clone()
        else:
            raise ValueError(f"{source.names[0]!r} and {source.names[1]!r} should be one shared tensor but differ")
    return state


def _stage(config: ModelConfig, layout: Layout, stage: int, ours: str, theirs: str) -> Iterator[tuple[str, Source]]:
    if len(layout) == 1:
        yield from _stack(layout[0], ours, f"{theirs}.main_network")
        return
    encoder, inner, decoder = layout
    yield from _stack(encoder, f"{ours}.encoder", f"{theirs}.encoder")
    yield from _stack(decoder, f"{ours}.decoder", f"{theirs}.decoder")
    yield f"{ours}.router.query.weight", Source((f"{theirs}.routing_module.q_proj_layer.weight",))
    yield f"{ours}.router.key.weight", Source((f"{theirs}.routing_module.k_proj_layer.weight",))
    for part in ("weight", "bias"):
        yield f"{ours}.residual.{part}", Source((f"{theirs}.residual_proj.{part}",))
    if config.d_model[stage + 1] > config.d_model[stage]:
        yield f"{ours}.widening", Source((f"{theirs}.main_network.pad_dimension",))
    yield from _stage(config, inner, stage + 1, f"{ours}.inner", f"{theirs}.main_network")


def _stack(text: str, ours: str, theirs: str) -> Iterator[tuple[str, Source]]:
    yield f"{ours}.norm.weight", Source((f"{theirs}.rmsnorm.weight",))
    for i, layer in enumerate(parse_stack(text)):
        our_layer, their_layer = f"{ours}.layers.{i}", f"{theirs}.layers.{i}"
        yield f"{our_layer}.norm1.weight", Source((f"{their_layer}.norm1.weight",))
        if layer.mixer == "attention":
            yield f"{our_layer}.mixer.qkv.weight", Source((f"{their_layer}.mixer.Wqkv.weight",))
            yield f"{our_layer}.mixer.out_proj.weight", Source((f"{their_layer}.mixer.out_proj.weight",))
        else:
            directions = [f"{their_layer}.mixer.{d}" for d in ("fwd", "bwd")]
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
