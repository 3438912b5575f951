"""What a model is made of: frozen, validated, stored with every checkpoint.

LDARNet, its baselines, H-Net, dnaHNet and DNAChunker are configurations of one model; layouts are in `layout`.
"""

import json
from collections.abc import Iterator
from dataclasses import MISSING, asdict, dataclass, field, fields
from reprlib import repr as short_repr
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ldarnet import vocab
from ldarnet.byte_pairs import as_merges
from ldarnet.layout import (
    MAX_LAYERS,
    MAX_STAGES,
    Layer,
    Layout,
    as_layout,
    layers_per_stage,
    num_stages,
    parse_stack,
)

__all__ = ["MAX_LAYERS", "MAX_STAGES", "PRESETS", "Layer", "Layout", "ModelConfig", "num_stages", "parse_stack"]

MAX_WIDTH = 1 << 16
MAX_BP = 1 << 31
"""Beyond these a configuration is taken for a damaged file, before time and memory are spent on it."""

PER_STAGE = ("d_model", "d_intermediate", "num_heads", "rotary_dim", "attention_window")


def _sibling(default: object) -> Any:  # noqa: ANN401 - the default of a field of any type
    """A field of the sibling systems: not stored where it has its default, so that files of LDARNet stay the same."""
    return field(default=default, metadata={"stored": "where it differs"})


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Shape of a model. Tuples have one entry per stage, outermost first; the backbone is the last stage."""

    layout: Layout
    d_model: tuple[int, ...]
    d_intermediate: tuple[int, ...]
    """Width of the feed-forward layers, rounded up to a multiple of 128; unused where a stage has none."""
    num_heads: tuple[int, ...]
    rotary_dim: tuple[int, ...]
    attention_window: tuple[int, ...]
    """Attention reaches this many tokens to either side (backwards only in a causal model); -1 = everywhere."""
    d_state: int = 128
    d_conv: int = 4
    expand: int = 2
    head_dim: int = 64
    fusion: Literal["mean", "sum"] = "mean"
    """How the two directions of a Mamba layer are combined."""
    cuts: Literal["learned", "fixed", "random", "byte-pair"] = "learned"
    """Where chunks start: where the router says, or (baselines) every `cut_every` tokens, at random as often as that,
    or where byte-pair tokens start."""
    cut_every: int = 4
    """Tokens per chunk where cuts are fixed, on average where they are random; 1 = no chunking."""
    vocab_size: int = vocab.VOCAB_SIZE
    context_bp: int = 4096
    """Sequence length the weights were trained on: the default window of a track."""
    objective: Literal["masked", "causal"] = _sibling("masked")
    """Causal: every layer, and the smoothing of chunks, looks backwards only; logits at t are about token t + 1."""
    mamba: Literal["mamba2", "mamba1"] = _sibling("mamba2")
    """What the letters m and M stand for."""
    dt_rank: int = _sibling(0)
    """Rank of the step sizes of Mamba-1; 0 = a sixteenth of the width, rounded up."""
    mlp: Literal["swiglu", "gelu"] = _sibling("swiglu")
    """What follows the mixer of an upper-case letter."""
    block_norm: Literal["rms", "layer"] = _sibling("rms")
    router: Literal["symmetric", "previous", "current"] = _sibling("symmetric")
    """Which token asks, the other answers: "previous" q of t-1 and k of t (as H-Net's code), "current" q of t and k of
    t-1 (DNAChunker), "symmetric" the mean of both (LDARNet)."""
    forced_cuts: Literal["none", "mask", "outer-mask"] = _sibling("none")
    """A cut before and after every [MASK]: in every stage, so that it reaches the backbone alone, or in the first."""
    chunking: Literal["select", "mean"] = _sibling("select")
    """A chunk's vector: that of its first token, or the mean of its tokens."""
    smoothing: Literal["chunks", "bases"] = _sibling("chunks")
    """Moving averages over chunks, then copied to their tokens; or copied first, then averaged over the tokens."""
    skip: Literal["projected", "unmasked"] = _sibling("projected")
    """Around the chunks: a linear layer, or the identity, closed in chunks that hold a [MASK]."""
    rotary_position: Literal["index", "centre"] = _sibling("index")
    """Position of a token in attention: its number, or the middle of its bases."""
    cut_prob: Literal["certain", "router"] = _sibling("certain")
    """Probability of cuts that the router did not choose: 1 there and 0 elsewhere, or what the router says, which then
    decides on smoothing and confidence alone."""
    cut_seed: int = _sibling(0)
    """Of random cuts."""
    merges: tuple[str, ...] = _sibling(())
    """Byte pairs in the order in which they are joined, such as "A C" and then "AC G"."""
    vocabulary: Literal["dna", "bytes"] = _sibling("dna")
    """What ids stand for: bases (`vocab`), or bytes with 254 in front of a text and 255 behind it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "layout", as_layout(self.layout))
        depth = num_stages(self.layout) + 1
        for name in PER_STAGE:
            value = getattr(self, name)
            if not isinstance(value, (list, tuple)) or not all(type(v) is int for v in value):
                raise ValueError(f"{name}: expected whole numbers, one per stage, got {short_repr(value)}")
            if len(value) != depth:
                got = f"{len(value)} values {short_repr(value)}"
                raise ValueError(f"{name}: expected {depth} values, one per stage and one for the backbone, got {got}")
            if max(value) > (most := MAX_BP if name == "attention_window" else MAX_WIDTH):
                raise ValueError(f"{name}: expected at most {most:,}, got {short_repr(max(value))}")
            object.__setattr__(self, name, tuple(value))
        whole_numbers = ("d_state", "d_conv", "expand", "head_dim", "cut_every", "vocab_size", "context_bp")
        for name in (*whole_numbers, "dt_rank", "cut_seed"):
            value = getattr(self, name)
            least = int(name in whole_numbers)
            most = MAX_BP if name in ("context_bp", "cut_seed") else MAX_WIDTH
            if type(value) is not int or not least <= value <= most:
                raise ValueError(f"{name}: expected a whole number from {least} to {most:,}, got {short_repr(value)}")
        for name, choices in _CHOICES.items():
            if (value := getattr(self, name)) not in choices:
                known = " or ".join(map(repr, choices)) if len(choices) == 2 else f"one of {', '.join(choices)}"
                raise ValueError(f"{name}: expected {known}, got {short_repr(value)}")
        object.__setattr__(self, "merges", as_merges(self.merges))
        least = vocab.VOCAB_SIZE if self.vocabulary == "dna" else vocab.NUM_BYTES
        if self.vocab_size < least:
            raise ValueError(f"vocab_size: expected {least} or more, got {self.vocab_size}")
        if list(self.d_model) != sorted(self.d_model) or self.d_model[0] < 1:
            raise ValueError(f"d_model: expected positive widths that never shrink inwards, got {self.d_model}")
        if problem := next(self._contradictions(), None):
            raise ValueError(problem)
        stages = layers_per_stage(self.layout)
        if (total := sum(map(len, stages))) > MAX_LAYERS:
            raise ValueError(f"layout: expected at most {MAX_LAYERS} layers in all, got {total:,}")
        for stage, layers in enumerate(stages):
            self._check_stage(stage, layers)

    def _contradictions(self) -> Iterator[str]:
        """Options that cannot stand together, and why."""
        hides_letters = self.objective == "masked" and self.vocabulary == "dna"
        if self.objective == "masked" and self.vocabulary == "bytes":
            yield "vocabulary 'bytes': there is no [MASK] among bytes; expected objective 'causal'"
        for name, value in (("forced_cuts", "none"), ("skip", "projected")):
            if getattr(self, name) != value and not hides_letters:
                yield f"{name} {getattr(self, name)!r}: a causal model sees no [MASK]; expected {value!r}"
        if self.objective == "causal":
            if self.mamba == "mamba1":
                yield "mamba 'mamba1': its layers read both directions; a causal model needs 'mamba2'"
            if self.chunking == "mean":
                yield "chunking 'mean': the mean of a chunk knows its later tokens; a causal model needs 'select'"
            if self.rotary_position == "centre":
                yield "rotary_position 'centre': it tells where a chunk will end; a causal model needs 'index'"
        if self.dt_rank and self.mamba != "mamba1":
            yield f"dt_rank {self.dt_rank}: only Mamba-1 has one; expected 0 or mamba 'mamba1'"
        if self.cuts != "learned" and self.forced_cuts != "none":
            yield f"forced_cuts {self.forced_cuts!r}: {self.cuts} cuts stay where they are; expected 'none'"
        yield from self._contradictions_of_placed_cuts()

    def _contradictions_of_placed_cuts(self) -> Iterator[str]:
        if self.cuts == "learned" and self.cut_prob != "certain":
            yield f"cut_prob {self.cut_prob!r}: learned cuts have no other probability; expected 'certain'"
        if self.cut_seed and self.cuts != "random":
            yield f"cut_seed {self.cut_seed}: only random cuts have one; expected 0 or cuts 'random'"
        if (self.cuts == "byte-pair") != bool(self.merges):
            yield f"merges: expected some with cuts 'byte-pair' alone, got {len(self.merges)} with cuts {self.cuts!r}"
        if self.cuts == "byte-pair":
            if self.objective == "causal" or self.vocabulary == "bytes":
                yield "cuts 'byte-pair': a token's start depends on later letters; expected a masked model of bases"
            if self.num_stages != 1:
                yield f"cuts 'byte-pair': tokens are one level of chunks; expected 1 stage, got {self.num_stages}"

    def _check_stage(self, stage: int, layers: tuple[Layer, ...]) -> None:
        width, heads, rotary = self.d_model[stage], self.num_heads[stage], self.rotary_dim[stage]
        has_mamba = any(layer.mixer == "mamba" for layer in layers)
        if has_mamba and self.mamba == "mamba2" and self.expand * width % self.head_dim:
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

    @property
    def is_causal(self) -> bool:
        """Whether the model predicts the next token and never looks ahead."""
        return self.objective == "causal"

    def check_reads_dna(self) -> None:
        """ValueError where ids are bytes of text."""
        if self.vocabulary != "dna":
            raise ValueError(
                "the model reads bytes of text, not bases: DNA given to it would be read as other letters. "
                "Choose a model with the vocabulary 'dna'"
            )

    def check_is(self, objective: Literal["masked", "causal"], *, to: str) -> None:
        """ValueError unless the model has the objective that something needs, such as "score hidden letters"."""
        if self.objective != objective:
            what = "predicts the next letter" if self.is_causal else "fills in hidden letters"
            raise ValueError(f"to {to} takes a {objective} model, and this one {what} (objective {self.objective!r})")

    def sibling_options(self) -> dict[str, Any]:
        """What sets the model apart from LDARNet: options of the sibling systems that differ from their defaults."""
        return {name: getattr(self, name) for name, default in _UNSTORED.items() if getattr(self, name) != default}

    def as_stored(self) -> dict[str, Any]:
        """Field -> value, without fields of the sibling systems that have their defaults."""
        return {name: value for name, value in asdict(self).items() if name not in _UNSTORED} | self.sibling_options()

    def to_json(self) -> str:
        """Canonical JSON, as stored in a checkpoint."""
        return json.dumps(self.as_stored(), sort_keys=True)

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
        if unknown := sorted(values.keys() - {each.name for each in fields(cls)}):
            raise ValueError(f"unknown keys in the model configuration: {short_repr(unknown)}")
        required = {each.name for each in fields(cls) if each.default is MISSING}
        if missing := sorted(required - values.keys()):
            raise ValueError(f"keys missing from the model configuration: {', '.join(missing)}")
        return cls(**values)


_UNSTORED = {each.name: each.default for each in fields(ModelConfig) if each.metadata}
_KINDS = get_type_hints(ModelConfig)
_CHOICES = {name: get_args(kind) for name, kind in _KINDS.items() if get_origin(kind) is Literal}


def _hnet(layout: Layout, d_model: tuple[int, ...], d_intermediate: tuple[int, ...]) -> ModelConfig:
    """A published H-Net over bytes (goombalab/hnet@3673fe1)."""
    rotary_dim = {1024: 32, 1536: 48, 2048: 64}
    return ModelConfig(
        layout=layout,
        d_model=d_model,
        d_intermediate=d_intermediate,
        num_heads=(16,) * len(d_model),
        rotary_dim=tuple(rotary_dim[width] for width in d_model),
        attention_window=(*(1023,) * (len(d_model) - 1), -1),
        objective="causal",
        router="previous",
        vocabulary="bytes",
        vocab_size=vocab.NUM_BYTES,
        context_bp=8192,
    )


_DNACHUNKER: dict[str, Any] = {
    "fusion": "sum",
    "mamba": "mamba1",
    "mlp": "gelu",
    "block_norm": "layer",
    "router": "current",
    "forced_cuts": "mask",
    "chunking": "mean",
    "smoothing": "bases",
    "skip": "unmasked",
    "rotary_position": "centre",
}

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
    "hnet-1stage-L": _hnet(("m4", ("T22",), "m4"), (1024, 1536), (0, 4096)),
    "hnet-1stage-XL": _hnet(("m4", ("T24",), "m4"), (1024, 2048), (0, 5504)),
    "hnet-2stage-L": _hnet(("m4", ("T1m4", ("T26",), "m4T1"), "m4"), (1024, 1024, 1536), (0, 2816, 4096)),
    "hnet-2stage-XL": _hnet(("m4", ("T1m4", ("T27",), "m4T1"), "m4"), (1024, 1536, 2048), (0, 4096, 5504)),
    "hnet-2stage-XL-code": _hnet(("m4", ("T1m4", ("T28",), "m4T1"), "m4"), (1024, 1536, 2048), (0, 4096, 5504)),
    # H-Net's own experiment on DNA has layers M3T1, T15, M4 of width 512; this is its shape at a width for a CPU.
    "hnet-small": ModelConfig(
        layout=("m2t1", ("T2",), "m2"),
        d_model=(64, 96),
        d_intermediate=(0, 256),
        num_heads=(2, 3),
        rotary_dim=(32, 32),
        attention_window=(1023, -1),
        d_state=32,
        context_bp=512,
        objective="causal",
        router="previous",
    ),
    # dnaHNet publishes its layouts and targets (3, then 2), not its widths, heads and depths: those here are ours.
    "dnahnet-2stage": ModelConfig(
        layout=("m4", ("T1m4", ("T12",), "m4T1"), "m4"),
        d_model=(512, 512, 768),
        d_intermediate=(0, 1408, 2048),
        num_heads=(8, 8, 12),
        rotary_dim=(32, 32, 32),
        attention_window=(1023, 1023, -1),
        context_bp=8192,
        objective="causal",
        router="previous",
    ),
    "dnahnet-3stage": ModelConfig(
        layout=("m4", ("T1m4", ("T1m4", ("T12",), "m4T1"), "m4T1"), "m4"),
        d_model=(512, 512, 512, 768),
        d_intermediate=(0, 1408, 1408, 2048),
        num_heads=(8, 8, 8, 12),
        rotary_dim=(32, 32, 32, 32),
        attention_window=(1023, 1023, 1023, -1),
        context_bp=8192,
        objective="causal",
        router="previous",
    ),
    "dnahnet-small": ModelConfig(
        layout=("m2", ("T1m1", ("T2",), "m1T1"), "m2"),
        d_model=(64, 64, 96),
        d_intermediate=(0, 128, 128),
        num_heads=(2, 2, 3),
        rotary_dim=(32, 32, 32),
        attention_window=(1023, 1023, -1),
        d_state=32,
        context_bp=1024,
        objective="causal",
        router="previous",
    ),
    # Of DNAChunker (arXiv:2601.03019v4) these are not known, and ours: heads, kind of norm, sum of the directions
    # (Caduceus's default), mean over a chunk, both stages keeping a [MASK] apart, and the confidence in the gradient.
    "dnachunker": ModelConfig(
        layout=("m2", ("m2", ("T30",), "m2"), "m2"),
        d_model=(640, 640, 640),
        d_intermediate=(0, 0, 2560),
        num_heads=(10, 10, 10),
        rotary_dim=(64, 64, 64),
        attention_window=(-1, -1, -1),
        d_state=16,
        context_bp=8192,
        **_DNACHUNKER,
    ),
    "dnachunker-small": ModelConfig(
        layout=("m1", ("m1", ("T4",), "m1"), "m1"),
        d_model=(64, 64, 64),
        d_intermediate=(0, 0, 256),
        num_heads=(2, 2, 2),
        rotary_dim=(32, 32, 32),
        attention_window=(-1, -1, -1),
        d_state=16,
        context_bp=512,
        **_DNACHUNKER,
    ),
}
"""Model shapes by name. Those of 110m and 2m are the published ones (ICML-LDARNet@f247d59); nano trains on a CPU."""
