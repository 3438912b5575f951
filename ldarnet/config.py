"""What a model is made of: frozen, validated, stored with every checkpoint.

A layout is nested, outermost stage first: `("m3t1", ("M10",), "m4")` is an encoder of three Mamba layers and one
attention layer, a ten-layer backbone on the chunks, and a four-layer decoder. Letters: m Mamba-2, t attention;
upper case adds a SwiGLU after the mixer. A stage nested inside another gives a second level of chunks.
"""

import json
import re
from dataclasses import MISSING, asdict, dataclass, fields
from reprlib import repr as short_repr
from typing import Any, Literal

from ldarnet import vocab

Layout = tuple[Any, ...]
"""`(backbone,)` or `(encoder, inner layout, decoder)`, each stack a string such as "m3t1"."""

MAX_LAYERS = 1000
MAX_STAGES = 8
MAX_WIDTH = 1 << 16
MAX_BP = 1 << 31
"""Beyond these a configuration is taken for a damaged file, before time and memory are spent on it."""

_STACK = re.compile(r"(?:[mMtT][1-9][0-9]{0,8})+")


@dataclass(frozen=True)
class Layer:
    """One residual layer: its mixer, and whether a SwiGLU follows."""

    mixer: Literal["mamba2", "attention"]
    has_mlp: bool


def parse_stack(text: str) -> tuple[Layer, ...]:
    """Layers of a stack string: "m3T1" is three Mamba-2 layers, then attention followed by a SwiGLU."""
    if not isinstance(text, str) or not _STACK.fullmatch(text):
        raise ValueError(
            f"expected a stack such as 'm3t1' (letters m, M, t, T, each with a count), got {short_repr(text)}"
        )
    if (total := sum(int(count) for count in re.findall(r"\d+", text))) > MAX_LAYERS:
        raise ValueError(f"expected at most {MAX_LAYERS} layers in a stack, got {total:,} in {short_repr(text)}")
    return tuple(
        Layer("mamba2" if letter in "mM" else "attention", letter.isupper())
        for letter, count in re.findall(r"([mMtT])(\d+)", text)
        for _ in range(int(count))
    )


def num_stages(layout: Layout) -> int:
    """How many times the layout cuts its input into chunks (0 for a plain stack)."""
    return 0 if len(layout) == 1 else 1 + num_stages(layout[1])


def _as_layout(value: object, stage: int = 0) -> Layout:
    if stage > MAX_STAGES:
        raise ValueError(f"layout: expected at most {MAX_STAGES} stages inside one another, got more")
    if not isinstance(value, (list, tuple)) or len(value) not in (1, 3):
        raise ValueError(f"layout: expected [backbone] or [encoder, inner, decoder], got {short_repr(value)}")
    parts = list(value)
    for stack in parts[::2]:
        parse_stack(stack)
    if len(parts) == 3:
        parts[1] = _as_layout(parts[1], stage + 1)
    return tuple(parts)


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Shape of a model. Tuples have one entry per stage, outermost first; the backbone is the last stage."""

    layout: Layout
    d_model: tuple[int, ...]
    d_intermediate: tuple[int, ...]
    """SwiGLU width, rounded up to a multiple of 128; unused where a stage has no upper-case layer."""
    num_heads: tuple[int, ...]
    rotary_dim: tuple[int, ...]
    attention_window: tuple[int, ...]
    """Attention reaches this many tokens to either side; -1 = everywhere."""
    d_state: int = 128
    d_conv: int = 4
    expand: int = 2
    head_dim: int = 64
    fusion: Literal["mean", "sum"] = "mean"
    """How the two directions of a Mamba layer are combined."""
    cuts: Literal["learned", "fixed"] = "learned"
    """Where chunks start: where the router says, or every `cut_every` tokens with probability 1 (a baseline)."""
    cut_every: int = 4
    """Tokens per chunk where cuts are fixed; 1 = no chunking."""
    vocab_size: int = vocab.VOCAB_SIZE
    context_bp: int = 4096
    """Sequence length the weights were trained on: the default window of a track."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "layout", _as_layout(self.layout))
        depth = num_stages(self.layout) + 1
        for name in ("d_model", "d_intermediate", "num_heads", "rotary_dim", "attention_window"):
            value = getattr(self, name)
            if not isinstance(value, (list, tuple)) or not all(type(v) is int for v in value):
                raise ValueError(f"{name}: expected whole numbers, one per stage, got {short_repr(value)}")
            if len(value) != depth:
                got = f"{len(value)} values {short_repr(value)}"
                raise ValueError(f"{name}: expected {depth} values, one per stage and one for the backbone, got {got}")
            if max(value) > (most := MAX_BP if name == "attention_window" else MAX_WIDTH):
                raise ValueError(f"{name}: expected at most {most:,}, got {short_repr(max(value))}")
            object.__setattr__(self, name, tuple(value))
        for name in ("d_state", "d_conv", "expand", "head_dim", "cut_every", "vocab_size", "context_bp"):
            value = getattr(self, name)
            most = MAX_BP if name == "context_bp" else MAX_WIDTH
            if type(value) is not int or not 1 <= value <= most:
                raise ValueError(f"{name}: expected a whole number from 1 to {most:,}, got {short_repr(value)}")
        if self.vocab_size < vocab.VOCAB_SIZE:
            raise ValueError(f"vocab_size: expected {vocab.VOCAB_SIZE} or more, got {self.vocab_size}")
        if self.fusion not in ("mean", "sum"):
            raise ValueError(f"fusion: expected 'mean' or 'sum', got {short_repr(self.fusion)}")
        if self.cuts not in ("learned", "fixed"):
            raise ValueError(f"cuts: expected 'learned' or 'fixed', got {short_repr(self.cuts)}")
        if list(self.d_model) != sorted(self.d_model) or self.d_model[0] < 1:
            raise ValueError(f"d_model: expected positive widths that never shrink inwards, got {self.d_model}")
        layers_per_stage = _layers_per_stage(self.layout)
        if (total := sum(map(len, layers_per_stage))) > MAX_LAYERS:
            raise ValueError(f"layout: expected at most {MAX_LAYERS} layers in all, got {total:,}")
        for stage, layers in enumerate(layers_per_stage):
            self._check_stage(stage, layers)

    def _check_stage(self, stage: int, layers: tuple[Layer, ...]) -> None:
        width, heads, rotary = self.d_model[stage], self.num_heads[stage], self.rotary_dim[stage]
        if any(layer.mixer == "mamba2" for layer in layers) and self.expand * width % self.head_dim:
            raise ValueError(
                f"stage {stage}: {self.expand} x width {width} is not a multiple of head_dim {self.head_dim}"
            )
        if any(layer.has_mlp for layer in layers) and self.d_intermediate[stage] < 1:
            raise ValueError(f"stage {stage}: has an upper-case layer but d_intermediate {self.d_intermediate[stage]}")
        if any(layer.mixer == "attention" for layer in layers):
            if heads < 1 or width % heads:
                raise ValueError(f"stage {stage}: width {width} does not divide into {heads} attention heads")
            if not 0 <= rotary <= width // heads or rotary % 2:
                raise ValueError(f"stage {stage}: rotary_dim {rotary} must be even and at most {width // heads}")
            if self.attention_window[stage] < -1:
                raise ValueError(f"stage {stage}: attention_window {self.attention_window[stage]} is below -1")

    @property
    def num_stages(self) -> int:
        """How many levels of chunks the model has."""
        return num_stages(self.layout)

    def to_json(self) -> str:
        """Canonical JSON, as stored in a checkpoint."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "ModelConfig":
        """Inverse of `to_json`; unknown or missing keys are a ValueError that names them."""
        try:
            values = json.loads(text)
        except RecursionError:
            raise ValueError("the model configuration is nested too deeply") from None
        except ValueError as error:
            raise ValueError(f"the model configuration is not JSON: {error}") from None
        if not isinstance(values, dict):
            raise ValueError(f"expected a model configuration object, got {type(values).__name__}")
        if unknown := sorted(values.keys() - {field.name for field in fields(cls)}):
            raise ValueError(f"unknown keys in the model configuration: {short_repr(unknown)}")
        required = {field.name for field in fields(cls) if field.default is MISSING}
        if missing := sorted(required - values.keys()):
            raise ValueError(f"keys missing from the model configuration: {', '.join(missing)}")
        return cls(**values)


def _layers_per_stage(layout: Layout) -> list[tuple[Layer, ...]]:
    if len(layout) == 1:
        return [parse_stack(layout[0])]
    return [parse_stack(layout[0]) + parse_stack(layout[2]), *_layers_per_stage(layout[1])]


PRESETS: dict[str, ModelConfig] = {
    "ldarnet-110m": ModelConfig(
        layout=("m3t1", ("M10",), "m4"),
        d_model=(512, 768),
        d_intermediate=(0, 2560),
        num_heads=(16, 16),
        rotary_dim=(32, 48),
        attention_window=(1023, -1),
    ),
    "ldarnet-2m": ModelConfig(
        layout=("m3t1", ("M6",), "m3"),
        d_model=(64, 128),
        d_intermediate=(0, 384),
        num_heads=(2, 4),
        rotary_dim=(32, 32),
        attention_window=(1023, -1),
    ),
    "ldarnet-nano": ModelConfig(
        layout=("m2t1", ("M3",), "m2"),
        d_model=(64, 128),
        d_intermediate=(0, 256),
        num_heads=(2, 4),
        rotary_dim=(32, 32),
        attention_window=(1023, -1),
        d_state=32,
        context_bp=512,
    ),
}
"""Model shapes by name. Those of 110m and 2m are the published ones (ICML-LDARNet@f247d59); nano trains on a CPU."""
