"""Checkpoints of the published code: LDARNet's (ICML-LDARNet@f247d59) and H-Net's (goombalab/hnet@3673fe1).

LDARNet's hold their configuration. H-Net's are bare tables of tensors; their configuration is a JSON file beside them,
or that of the preset whose tensors have the same names.
"""

import json
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from reprlib import repr as short_repr
from typing import Any

import torch
from torch import Tensor

from ldarnet import vocab
from ldarnet.config import PRESETS, ModelConfig
from ldarnet.provenance import CheckpointError
from ldarnet.published_names import tensor_sources

FOLDER_ATTRIBUTE = 0x10


def read_published(path: Path) -> tuple[ModelConfig, dict[str, Tensor]]:
    """Configuration and our state dict of a published .pt file; nothing in it is run. Raises CheckpointError."""
    payload = _unpack(path)
    table = payload if isinstance(payload, dict) else {}
    is_bare = any(str(name).startswith("backbone.") for name in table)
    if not is_bare and not (isinstance(table.get("config"), dict) and "model" in table):
        got = short_repr(list(payload)) if isinstance(payload, dict) else type(payload).__name__
        raise CheckpointError(f"{path} is no LDARNet checkpoint: expected keys 'model' and 'config', got {got}")
    state = table if is_bare else table["model"]
    if not isinstance(state, dict) or not all(type(n) is str and isinstance(t, Tensor) for n, t in state.items()):
        raise CheckpointError(f"{path} is no LDARNet checkpoint: 'model' is not a table of named tensors")
    # Tied weights are listed twice. More than that is a small file that unfolds into more than memory may hold.
    num_bytes = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    if num_bytes > 3 * (size := path.stat().st_size):
        raise CheckpointError(f"{path}: a file of {size:,} bytes claims to hold {num_bytes:,} bytes of tensors")
    try:
        config = _config_of_bare(path, state) if is_bare else published_config(table["config"])
        return config, convert_state(config, state)
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from None


def _config_of_bare(path: Path, state: Mapping[str, Tensor]) -> ModelConfig:
    """The configuration of a table of tensors that does not come with one."""
    beside = path.with_suffix(".json")
    if beside.is_file():
        try:
            payload = json.loads(beside.read_text())
        except (OSError, ValueError, RecursionError) as error:
            raise ValueError(f"its configuration {beside.name} cannot be read ({error})") from None
        if not isinstance(payload, dict):
            raise ValueError(f"its configuration {beside.name}: expected a JSON object, got {short_repr(payload)}")
        return published_config(payload)
    differences = {name: _key_difference(config, state) for name, config in PRESETS.items() if _is_hnet(config)}
    nearest = min(differences, key=lambda name: sum(map(len, differences[name])))
    if any(differences[nearest]):
        raise ValueError(
            f"no preset has these tensors; the nearest, {nearest}, differs: {_described(*differences[nearest])}. "
            f"Put the model's configuration beside it, as {beside.name}"
        )
    return PRESETS[nearest]


def _is_hnet(config: ModelConfig) -> bool:
    return config.vocabulary == "bytes"


def _key_difference(config: ModelConfig, published: Mapping[str, Tensor]) -> tuple[list[str], list[str]]:
    """Names of tensors that are missing, and of those that are left over."""
    needed = {name for source in tensor_sources(config).values() for name in source.names}
    return sorted(needed - published.keys()), sorted(published.keys() - needed)


def _described(missing: list[str], extra: list[str]) -> str:
    parts = []
    if missing:
        parts.append(f"{len(missing)} tensors missing, the first is {missing[0]!r}")
    if extra:
        parts.append(f"{len(extra)} tensors that the configuration does not call for, the first is {extra[0]!r}")
    return "; ".join(parts)


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
    """Our configuration for the published one of a masked LDARNet (mode "mlm") or a causal H-Net (without a mode)."""
    mode = payload.get("mode")
    if mode not in (None, "mlm"):
        raise ValueError(
            f"expected a masked LDARNet (mode 'mlm') or a causal H-Net (no mode), got mode {short_repr(mode)}"
        )
    if payload.get("tie_embeddings"):
        raise ValueError("expected an embedding and a head of their own, got tie_embeddings true")
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
        **({} if mode == "mlm" else _causal(_entry(payload, "vocab_size"))),
    )


def _causal(vocab_size: object) -> dict[str, Any]:
    is_bytes = isinstance(vocab_size, int) and vocab_size >= vocab.NUM_BYTES
    return {"objective": "causal", "router": "previous", "vocabulary": "bytes" if is_bytes else "dna"}


def _entry(table: Mapping[str, Any], key: str) -> Any:  # noqa: ANN401 - ModelConfig checks it
    if key not in table:
        raise ValueError(f"the checkpoint's config lacks {key!r}")
    return table[key]


def convert_state(config: ModelConfig, published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our state dict from the published one. ValueError on tensors that are missing, left over, or tied but unequal."""
    if any(difference := _key_difference(config, published)):
        raise ValueError(_described(*difference))
    state = {}
    for name, source in tensor_sources(config).items():
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
    is_plain = tensor.layout is torch.strided and tensor.device.type == "cpu" and tensor.is_floating_point()
    got = f"{str(tensor.dtype).removeprefix('torch.')}, {'nested' if tensor.is_nested else tensor.layout}"
    if not is_plain or tensor.is_nested:
        raise ValueError(f"{name!r}: expected a plain tensor of floating-point numbers, got {got}")
    try:
        copy = tensor.detach().to(torch.float32, copy=True, memory_format=torch.contiguous_format)
        is_finite = bool(copy.isfinite().all())
    except (RuntimeError, TypeError):  # numbers of four bits, and what else torch names but does not convert
        raise ValueError(f"{name!r}: expected numbers that can be read as float32, got {got}") from None
    if not is_finite:
        raise ValueError(f"{name!r} holds values that are not finite numbers; download it again or ask its author")
    return copy
