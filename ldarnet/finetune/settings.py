"""What a fine-tuning run is told."""

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

Mode = Literal["full", "frozen", "probe", "lora"]
Task = Literal["classification", "multilabel", "regression"]
Dtype = Literal["float32", "bfloat16"]

MAY_CHANGE = ("max_seconds", "save_every_seconds", "device", "reverse_complement_at_test")
"""What may differ when a run goes on."""

_SELECT_BY = {
    "classification": ("mcc", "accuracy", "macro_f1", "auroc", "auprc", "loss"),
    "multilabel": ("auroc", "auprc", "mcc", "accuracy", "macro_f1", "loss"),
    "regression": ("pearson", "spearman", "loss"),
}


@dataclass(frozen=True, kw_only=True)
class FineTuneSettings:
    """Defaults are the published recipe (ICML-LDARNet@f247d59): AdamW, a plateau schedule, early stopping."""

    mode: Mode = "full"
    """full: all weights. lora: a low-rank change of every linear layer, and the head. frozen: the head alone, by the
    same recipe, on states computed once. probe: the best linear head on those states, its penalty chosen on
    validation; of the recipe it takes nothing."""
    task: Task = "classification"
    learning_rate: float = 1e-3
    batch_size: int = 64
    weight_decay: float = 0.1
    clip_norm: float = 1.0
    max_epochs: int = 100
    patience: int = 5
    """Epochs without a better validation after which a run ends."""
    plateau_factor: float = 0.5
    plateau_patience: int = 2
    """After more epochs than this without a better validation, the learning rate is multiplied by the factor."""
    select_by: str | None = None
    """What a better validation is; None = mcc, auroc or pearson, as the task calls for. "loss" may be asked for."""
    penalties: tuple[float, ...] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
    """L2 penalties that a probe tries, of weights on standardised states."""
    rank: int = 8
    """Of the low-rank changes."""
    seed: int = 0
    reverse_complement_at_test: bool = False
    """`predict` averages the scores of both strands."""
    dtype: Dtype = "float32"
    device: str = "auto"
    max_seconds: float | None = None
    """Save and stop after so long; the same call goes on."""
    save_every_seconds: float = 60.0

    def __post_init__(self) -> None:
        for name, choices in (("mode", get_args(Mode)), ("task", get_args(Task)), ("dtype", get_args(Dtype))):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {getattr(self, name)!r}")
        known = _SELECT_BY[self.task]
        if self.select_by is None:
            object.__setattr__(self, "select_by", known[0])
        if self.select_by not in known:
            raise ValueError(f"select_by: expected one of {', '.join(known)} for {self.task}, got {self.select_by!r}")
        for name in ("batch_size", "max_epochs", "patience", "rank"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected 1 or more, got {getattr(self, name)}")
        for name in ("learning_rate", "clip_norm"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: expected a number above 0, got {getattr(self, name)}")
        for name in ("weight_decay", "plateau_patience"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}: expected 0 or more, got {getattr(self, name)}")
        if not 0 < self.plateau_factor <= 1:
            raise ValueError(f"plateau_factor: expected above 0 and at most 1, got {self.plateau_factor}")
        object.__setattr__(self, "penalties", tuple(self.penalties))
        if not self.penalties or not all(penalty > 0 for penalty in self.penalties):
            raise ValueError(f"penalties: expected numbers above 0, got {self.penalties}")

    def to_json(self) -> str:
        """Canonical JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "FineTuneSettings":
        """Inverse of `to_json`. Raises ValueError where the text holds other settings than those of fine-tuning."""
        values = json.loads(text)
        if not isinstance(values, dict) or set(values) != {each.name for each in fields(cls)}:
            raise ValueError("expected the settings of a fine-tuning run, got those of something else")
        return cls(**values)

    def differences(self, earlier: "FineTuneSettings") -> dict[str, tuple[Any, Any]]:
        """What an earlier part of the run was told otherwise, as name -> (then, now); without `MAY_CHANGE`."""
        pairs = {each.name: (getattr(earlier, each.name), getattr(self, each.name)) for each in fields(self)}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1] and name not in MAY_CHANGE}
