"""Checkpoints of the published code (ICML-LDARNet@f247d59): their configuration and the names of their tensors.

The published file stores the shared projections twice, once per direction; ours stores them once and stacks what
the directions do not share.
"""

import pickle
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from reprlib import repr as short_repr
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ldarnet.config import Layout, ModelConfig, parse_stack
from ldarnet.provenance import CheckpointError

PER_DIRECTION = {
    "conv_weight": "conv1d.weight",
    "conv_bias": "conv1d.bias",
    "dt_bias": "dt_bias",
    "A_log": "A_log",
    "D": "D",
    "norm_weight": "norm.weight",
}
SHARED = ("in_proj.weight", "out_proj.weight")
FOLDER_ATTRIBUTE = 0x10


class Source(NamedTuple):
    """Where one of our tensors comes from: `stacked` = one published tensor per direction, else equal copies."""

    names: tuple[str, ...]
    stacked: bool = False


def read_published(path: Path) -> tuple[ModelConfig, dict[str, Tensor]]:
    """Configuration and our state dict of a published .pt file; nothing in it is run. Raises CheckpointError."""
    payload = _unpack(path)
    if not isinstance(payload, dict) or not isinstance(payload.get("config"), dict) or "model" not in payload:
        got = short_repr(list(payload)) if isinstance(payload, dict) else type(payload).__name__
        raise CheckpointError(f"{path} is no LDARNet checkpoint: expected keys 'model' and 'config', got {got}")
    state = payload["model"]
    if not isinstance(state, dict) or not all(type(n) is str and isinstance(t, Tensor) for n, t in state.items()):
        raise CheckpointError(f"{path} is no LDARNet checkpoint: 'model' is not a table of named tensors")
    # Tied weights are listed twice. More than that is a small file that unfolds into more than memory may hold.
    num_bytes = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    if num_bytes > 3 * (size := path.stat().st_size):
        raise CheckpointError(f"{path}: a file of {size:,} bytes claims to hold {num_bytes:,} bytes of tensors")
    try:
        config = published_config(payload["config"])
        return config, convert_state(config, state)
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from None


def _unpack(path: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    """The dicts, lists, numbers and tensors of a .pt file whose checksums are right."""
    try:
        with zipfile.ZipFile(path) as archive:
            if not all(_is_as_written(member) for member in archive.infolist()):
                raise CheckpointError(
                    f"{path}: expected an archive as torch.save writes it; this one is packed otherwise"
                )
            damaged = archive.testzip()  # torch itself does not look at the checksums
        if damaged is not None:
            raise CheckpointError(f"{path} is damaged (wrong checksum of {damaged!r}); download it again")
        return torch.load(path, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except pickle.UnpicklingError:
        raise CheckpointError(
            f"{path} holds Python objects besides tensors; loading it could run code, so it is refused. "
            "Ask its author for a safetensors file, or for one saved from plain dicts and tensors"
        ) from None
    except Exception as error:  # two decoders on arbitrary bytes: there is no list of what they raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise CheckpointError(f"{path} is not a complete checkpoint ({reason}); download it again") from None


def _is_as_written(member: zipfile.ZipInfo) -> bool:
    """Whether both zip readers, Python's and that of torch, see the same bytes: a plain file, not compressed.

    For a member with a folder's attribute torch gives memory as it happens to be, and no error.
    """
    is_plain = member.compress_type == zipfile.ZIP_STORED and member.compress_size == member.file_size
    return is_plain and not member.is_dir() and not member.external_attr & FOLDER_ATTRIBUTE


def published_config(payload: Mapping[str, Any]) -> ModelConfig:
    """Our configuration for the `config` of a published checkpoint; ValueError where it is no LDARNet."""
    mode = payload.get("mode")
    if mode != "mlm":
        raise ValueError(
            f"expected a masked LDARNet (mode 'mlm'), got mode {short_repr(mode)}: this looks like a causal H-Net, "
            "which this version cannot run"
        )
    ssm, attention = _entry(payload, "ssm_cfg"), _entry(payload, "attn_cfg")
    for name, section in {"ssm_cfg": ssm, "attn_cfg": attention}.items():
        if not isinstance(section, Mapping):
            raise ValueError(f"the checkpoint's config: expected {name} to be a table, got {short_repr(section)}")
    return ModelConfig(
        layout=_entry(payload, "arch_layout"),
        d_model=_entry(payload, "d_model"),
        d_intermediate=_entry(payload, "d_intermediate"),
        num_heads=_entry(attention, "num_heads"),
        rotary_dim=_entry(attention, "rotary_emb_dim"),
        attention_window=_entry(attention, "window_size"),
        d_state=_entry(ssm, "d_state"),
        d_conv=_entry(ssm, "d_conv"),
        expand=_entry(ssm, "expand"),
        fusion=ssm.get("combine", "mean"),
        vocab_size=_entry(payload, "vocab_size"),
    )


def _entry(table: Mapping[str, Any], key: str) -> Any:  # noqa: ANN401 - ModelConfig checks it
    if key not in table:
        raise ValueError(f"the checkpoint's config lacks {key!r}")
    return table[key]


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
        tensors = [as_float32(n, published[n]) for n in source.names]
        if name.endswith("conv_weight"):
            tensors = [t.squeeze(1) if t.dim() == 3 else t for t in tensors]
        if source.stacked:
            if len({t.shape for t in tensors}) > 1:
                raise ValueError(f"{source.names[0]!r} and {source.names[1]!r} differ in shape")
            state[name] = torch.stack(tensors)
        elif all(torch.equal(tensors[0], t) for t in tensors[1:]):
            state[name] = tensors[0]
        else:
            raise ValueError(f"{source.names[0]!r} and {source.names[1]!r} should be one shared tensor but differ")
    return state


def as_float32(name: str, tensor: Tensor) -> Tensor:
    """A float32 copy with memory of its own; ValueError unless it holds finite numbers and nothing else."""
    if tensor.layout is not torch.strided or tensor.device.type != "cpu" or not tensor.is_floating_point():
        got = str(tensor.dtype).removeprefix("torch.")
        raise ValueError(f"{name!r}: expected a plain tensor of floating-point numbers, got {got}, {tensor.layout}")
    copy = tensor.detach().to(torch.float32, copy=True, memory_format=torch.contiguous_format)
    if not bool(copy.isfinite().all()):
        raise ValueError(f"{name!r} holds values that are not finite numbers; download it again or ask its author")
    return copy


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
