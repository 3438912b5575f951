"""What a training run is made of: frozen, validated, read from TOML and stored with every checkpoint (no torch).

A settings file has the tables `[model]` (a preset and changes to it), `[[genome]]` (one each) and `[train]` (the rest).
"""

import json
import math
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from reprlib import repr as short_repr
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Self, Union, get_args, get_origin, get_type_hints

from ldarnet.ablations import changes_of
from ldarnet.config import PRESETS, ModelConfig
from ldarnet.data.names import find_genome
from ldarnet.train.corpus import GenomeSource
from ldarnet.train.sequence_shards_corpus import find_sharded


class Limit(NamedTuple):
    """What a number must be beyond being one."""

    expected: str
    holds: Callable[[float], bool]


_MOST = (1 << 63) - 1
Count = Annotated[int, Limit("from 1 to 2^63 - 1", lambda x: 1 <= x <= _MOST)]
CountOrZero = Annotated[int, Limit("from 0 to 2^63 - 1", lambda x: 0 <= x <= _MOST)]
Positive = Annotated[float, Limit("above 0", lambda x: x > 0)]
NotNegative = Annotated[float, Limit("0 or more", lambda x: x >= 0)]
Share = Annotated[float, Limit("a share from 0 to 1", lambda x: 0 <= x <= 1)]
Decay = Annotated[float, Limit("from 0 to below 1", lambda x: 0 <= x < 1)]


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """Everything that decides a run's weights, and how it is watched and saved."""

    preset: str = "ldarnet-2m"
    model: dict[str, Any] = field(default_factory=dict)
    """Fields of the preset's ModelConfig to change."""
    genomes: tuple[GenomeSource, ...] = ()
    train_split: str = "train"
    valid_split: str = "valid"
    shards: tuple[str, ...] = ()
    dataset: str = ""
    """Of the Hugging Face hub, or a folder of its files; read as a stream instead of genomes and shards."""
    dataset_column: str = "sequence"
    dataset_split: str = "train"
    window_bp: Count = 1024
    tokens_per_step: Count = 131_072
    """Over all ranks and micro-batches."""
    micro_batch_tokens: Count = 16_384
    """What one rank holds at a time."""
    num_steps: Count = 20_000
    learning_rate: Positive = 5e-4
    learning_rate_rule: Literal["published", "hnet", "flat"] = "published"
    betas: tuple[Decay, Decay] = (0.9, 0.95)
    eps: Positive = 1e-8
    weight_decay: NotNegative = 0.01
    clip_norm: Positive = 1.0
    warmup_share: Share = 0.10
    warmup_steps: CountOrZero | None = None
    """Instead of the share, so that a run can be made longer."""
    decay_share: Share = 0.20
    decay_steps: CountOrZero | None = None
    decay_shape: Literal["inverse-sqrt", "one-minus-sqrt", "linear"] = "inverse-sqrt"
    floor_share: Share = 0.05
    mask_share: Annotated[float, Limit("between 0 and 1", lambda x: 0 < x < 1)] = 0.15
    """Of the letters; a causal model, which predicts each from those before it, has none."""
    repeat_weight: Positive = 1.0
    """How much a lower-case base of the FASTA (a repeat) counts in the loss, other bases counting 1."""
    ratio_weight: NotNegative = 0.03
    """Of the ratio loss, the same for all stages."""
    ratio_weights: tuple[NotNegative, ...] = ()
    """One per stage, instead of the same for all."""
    counts_forced_cuts: bool = False
    """Whether forced cuts around [MASK] count in the ratio loss, so that sequences without [MASK] get fewer cuts."""
    tokens_per_chunk: tuple[Annotated[float, Limit("above 1", lambda x: x > 1)], ...] = (4.0,)
    """Target of the ratio loss, one per stage."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    ema_decay: Decay = 0.0
    """Of the moving average of the weights; 0 = none is kept."""
    seed: CountOrZero = 0
    device: str = "auto"
    parallel: Literal["ddp", "fsdp"] = "ddp"
    log_every: Count = 10
    valid_every: Count = 500
    num_valid_windows: Count = 64
    save_every: Count = 500
    save_every_seconds: Positive = 300.0
    keep_checkpoints: Count = 3
    tensorboard: bool = False
    max_seconds: NotNegative = 0.0
    """Save and stop after so long; 0 = never."""

    def __post_init__(self) -> None:
        for name in _KINDS:
            object.__setattr__(self, name, _as(name, _KINDS[name], getattr(self, name)))
        config = self.model_config()
        object.__setattr__(self, "model", {key: getattr(config, key) for key in self.model})
        if len(self.tokens_per_chunk) != config.num_stages:
            got = f"{len(self.tokens_per_chunk)} {list(self.tokens_per_chunk)}"
            raise ValueError(f"tokens_per_chunk: expected {config.num_stages} values, one per stage, got {got}")
        if len(self.ratio_weights) not in (0, config.num_stages):
            got = f"{len(self.ratio_weights)} {list(self.ratio_weights)}"
            raise ValueError(f"ratio_weights: expected {config.num_stages} values, one per stage, or none, got {got}")
        if config.vocabulary != "dna":
            raise ValueError(
                f"preset {self.preset}: expected a model of bases to train, got one of {config.vocabulary}"
            )
        if self.repeat_weight != 1 and (self.shards or self.dataset):
            raise ValueError(
                "repeat_weight: expected 1 with shards or a data set, which do not keep lower case; train on FASTA"
            )
        if self.dataset and self.shards:
            raise ValueError("expected train.shards or train.dataset, got both")
        if self.micro_batch_tokens % self.window_bp:
            raise ValueError(
                f"micro_batch_tokens: expected a multiple of window_bp {self.window_bp:,}, "
                f"got {self.micro_batch_tokens:,}; {_multiples_near(self.micro_batch_tokens, self.window_bp)} would do"
            )
        self.accumulation(num_ranks=1)
        if (busy := self.num_warmup_steps + self.num_decay_steps) > self.num_steps:
            raise ValueError(f"num_steps: expected at least the {busy:,} of warm-up and decay, got {self.num_steps:,}")

    def model_config(self) -> ModelConfig:
        """The preset with its changes; its context is the window trained on. Raises ValueError."""
        if self.preset not in PRESETS:
            raise ValueError(f"preset: expected one of {', '.join(PRESETS)}, got {self.preset!r}")
        _check_keys((f"model.{key}" for key in self.model), MODEL_KEYS)
        return replace(PRESETS[self.preset], **self.model, context_bp=self.window_bp)

    def train_genomes(self) -> tuple[GenomeSource, ...]:
        """The genomes, cut down to their intervals of the training split; whole where they have no intervals."""
        return tuple(replace(g, split=self.train_split) if g.intervals else g for g in self.genomes)

    def valid_genomes(self) -> tuple[GenomeSource, ...]:
        """Those genomes that have intervals, cut down to the validation split."""
        return tuple(replace(g, split=self.valid_split) for g in self.genomes if g.intervals)

    @property
    def num_warmup_steps(self) -> int:
        """Steps over which the learning rate rises."""
        return round(self.warmup_share * self.num_steps) if self.warmup_steps is None else self.warmup_steps

    @property
    def num_decay_steps(self) -> int:
        """Steps over which the learning rate falls, the last ones of the run."""
        return round(self.decay_share * self.num_steps) if self.decay_steps is None else self.decay_steps

    def accumulation(self, num_ranks: int) -> int:
        """Micro-batches per rank and step. Raises ValueError where a step does not divide into whole ones."""
        tokens_at_once = self.micro_batch_tokens * num_ranks
        num_micro, rest = divmod(self.tokens_per_step, tokens_at_once)
        if rest:
            ranks = f" on {num_ranks} ranks" if num_ranks > 1 else ""
            raise ValueError(
                f"tokens_per_step: expected a multiple of {tokens_at_once:,} (micro_batch_tokens{ranks}), "
                f"got {self.tokens_per_step:,}; {_multiples_near(self.tokens_per_step, tokens_at_once)} would do"
            )
        return num_micro

    def fingerprint(self) -> dict[str, Any]:
        """What must be the same for a run to go on, JSON-able.

        Files count by their names, not their folders: a run may move to another machine. That they hold the same
        bases is for the corpus to say.
        """
        derived = {"preset", "model", "genomes", "shards", "warmup_share", "warmup_steps", "decay_share", "decay_steps"}
        values = {name: value for name, value in asdict(self).items() if name not in derived | MAY_CHANGE}
        values |= {"num_warmup_steps": self.num_warmup_steps, "num_decay_steps": self.num_decay_steps}
        values |= {f"model.{k}": v for k, v in self.model_config().as_stored().items() if k != "context_bp"}
        for number, genome in enumerate(self.genomes, start=1):
            names = {"fasta": Path(genome.fasta).name, "intervals": Path(genome.intervals or "").name}
            values[f"genome {number}"] = names | {"name": genome.name, "weight": genome.weight}
        values |= {f"shard {number}": Path(shard).name for number, shard in enumerate(self.shards, start=1)}
        return values

    def to_json(self) -> str:
        """Inverse of `from_json`."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Settings as stored with a run; keys of a later version are a ValueError that names them."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"the settings of the run are not JSON: {error}") from None
        if not isinstance(values, dict):
            raise ValueError(f"the settings of the run: expected an object, got {type(values).__name__}")
        _check_keys(values, _KINDS)
        return cls(**values)


_KINDS = get_type_hints(TrainSettings, include_extras=True)
_NAMES = {
    **{int: "a whole number", float: "a number", bool: "true or false", str: "text"},
    **{tuple: "a list", dict: "a table", GenomeSource: "a table"},
}

MAY_CHANGE = {
    *("device", "parallel", "log_every", "valid_every", "save_every", "save_every_seconds", "keep_checkpoints"),
    *("tensorboard", "max_seconds"),
}
"""Fields that a run may be resumed with other values of: none of them decides a weight."""

MODEL_KEYS = tuple(f"model.{each.name}" for each in fields(ModelConfig) if each.name != "context_bp")
GENOME_KEYS = tuple(f"genome.{each.name}" for each in fields(GenomeSource) if each.name != "split")
TRAIN_KEYS = tuple(f"train.{name}" for name in _KINDS if name not in ("preset", "model", "genomes"))
KEYS = ("model.preset", *MODEL_KEYS, "genome", *GENOME_KEYS, *TRAIN_KEYS)


def load_settings(toml: Path | None, overrides: Mapping[str, Any], ablations: Sequence[str] = ()) -> TrainSettings:
    """Settings of a TOML file, changed by ablations, then by overrides such as {"train.learning_rate": 1e-3}.

    Paths in the file are relative to its folder. "genome", a list of tables, replaces all genomes of the file. Raises
    ValueError naming file and key, and where there is nothing to train on.
    """
    values: dict[str, Any] = {"model": {}}
    if toml is not None:
        for key, value in _read_toml(toml):
            _put(values, key, value, str(toml), toml.parent)
    if ablations:
        preset = overrides.get("model.preset", values.get("preset", TrainSettings.preset))
        changes = changes_of(ablations, preset, values["model"])
        overrides = changes | dict(overrides)
    for key, value in overrides.items():
        _put(values, key, value, "command line", Path())
    where = "settings" if toml is None else str(toml)
    _place_sharded(values, where)
    try:
        settings = TrainSettings(**values)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    if not (settings.genomes or settings.shards or settings.dataset):
        raise ValueError(
            f"{where}: expected something to train on, got neither a [[genome]] nor train.shards nor train.dataset"
        )
    return settings


def _place_sharded(values: dict[str, Any], where: str) -> None:
    """Folders of shards are genomes that windows are drawn from at random, not files read as a stream."""
    given = values.get("shards", ())
    sharded = [shard for shard in given if find_sharded(shard)]
    if not sharded:
        return
    if len(sharded) < len(given):
        others = [shard for shard in given if shard not in sharded]
        raise ValueError(f"{where}: shards: expected folders of shards or files, got both: {sharded[0]}, {others[0]}")
    values["shards"] = ()
    values["genomes"] = (*values.get("genomes", ()), *(GenomeSource(shard) for shard in sharded))


def parse_override(text: str) -> tuple[str, Any]:
    """Key and value of "train.learning_rate=1e-3"; the value is TOML, or plain text such as bfloat16."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ValueError(f"--set: expected key=value such as train.learning_rate=1e-3, got {text!r}")
    try:
        parsed = tomllib.loads(f"value = {value}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return key.strip(), value.strip()
    return key.strip(), parsed["value"] if len(parsed) == 1 else value


def differences(saved: TrainSettings, now: TrainSettings) -> list[str]:
    """What keeps a run from going on, as lines "field: saved X, now Y"."""
    return list(_differences(saved.fingerprint(), now.fingerprint()).values())


def check_resume(saved: TrainSettings, step: int, now: TrainSettings) -> list[str]:
    """Notes for the user on what changed; ValueError naming the fields that may not.

    A run may be made longer or shorter (num_steps, with the decay moved) while every step done so far is the same in
    both schedules: the same warm-up, and no decay yet.
    """
    changed = _differences(saved.fingerprint(), now.fingerprint())
    notes = list(_differences(_free_values(saved), _free_values(now)).values())
    stable_end = min(each.num_steps - each.num_decay_steps for each in (saved, now))
    if step <= stable_end and saved.num_warmup_steps == now.num_warmup_steps:
        notes += [changed.pop(name) for name in ("num_steps", "num_decay_steps") if name in changed]
    if not changed:
        return notes
    lines = [f"the run was saved at step {step:,} with other settings; use those, or start in another folder"]
    lines += changed.values()
    if "num_steps" in changed:
        lines.append(
            f"num_steps may change before the decay began (it begins after step {stable_end:,}) and with the "
            f"same warm-up (train.warmup_steps={saved.num_warmup_steps})"
        )
    raise ValueError("\n  ".join(lines))


def _free_values(settings: TrainSettings) -> dict[str, Any]:
    files = {f"genome {number}": [g.fasta, g.intervals] for number, g in enumerate(settings.genomes, start=1)}
    return {name: getattr(settings, name) for name in sorted(MAY_CHANGE)} | files | {"shards": settings.shards}


def _differences(saved: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, str]:
    lines = {}
    for key in dict.fromkeys((*saved, *now)):
        was, is_now = (repr(values[key]) if key in values else "not given" for values in (saved, now))
        if was != is_now:
            lines[key] = f"{key}: saved {was}, now {is_now}"
    return lines


def _multiples_near(number: int, unit: int) -> str:
    below = number // unit * unit
    return " or ".join(f"{each:,}" for each in (below, below + unit) if each)


def _read_toml(path: Path) -> Iterator[tuple[str, Any]]:
    """Dotted keys and their values; `genome` as a whole."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # broken TOML and broken UTF-8
        raise ValueError(f"{path}: expected TOML in UTF-8: {error}") from None
    for name, table in tables.items():
        if name in ("model", "train"):
            if not isinstance(table, dict):
                raise ValueError(f"{path}: {name}: expected a table [{name}], got {short_repr(table)}")
            yield from ((f"{name}.{key}", value) for key, value in table.items())
        else:
            yield name, table


def _put(values: dict[str, Any], key: str, value: object, where: str, folder: Path) -> None:
    """Check one value and put it where it belongs among the arguments of TrainSettings."""
    try:
        _check_keys([key], KEYS)
        table, _, name = key.partition(".")
        if key == "genome":
            genomes = _as(key, _KINDS["genomes"], value)
            values["genomes"] = tuple(replace(g, **_moved(asdict(g), folder)) for g in genomes)
        elif table == "genome":
            raise ValueError(f"{key}: expected [[genome]] tables, one for each genome")
        elif table == "model" and name != "preset":
            values["model"][name] = value
        else:
            values[name] = _as(key, _KINDS[name], value)
            if name == "shards":
                values[name] = tuple(str(folder / shard) for shard in values[name])
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _moved(genome: dict[str, Any], folder: Path) -> dict[str, str]:
    moved = {"fasta": find_genome(genome["fasta"], folder)}
    return moved | ({"intervals": str(folder / genome["intervals"])} if genome["intervals"] else {})


def _check_keys(keys: Iterable[str], known: Iterable[str]) -> None:
    known = tuple(known)
    for key in keys:
        if key not in known:
            hint = {"model.context_bp": "train.window_bp", "genome.split": "train.train_split"}.get(key)
            misplaced = [each for each in known if each.rpartition(".")[2] == key.rpartition(".")[2]]
            nearest = hint or (misplaced or get_close_matches(key, known, n=1, cutoff=0))[0]
            raise ValueError(f"unknown key {key!r}; the nearest known one is {nearest!r}")


def _as(name: str, kind: Any, value: object) -> Any:  # noqa: ANN401 - as many types as fields
    """The value as this kind of value. Raises ValueError where it is none."""
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    if origin is Annotated:
        number, limit = _as(name, arguments[0], value), arguments[1]
        if limit.holds(number):
            return number
        raise ValueError(f"{name}: expected {limit.expected}, got {short_repr(number)}")
    if origin in (Union, UnionType):
        return None if value is None else _as(name, arguments[0], value)
    if origin is tuple and isinstance(value, list | tuple):
        kinds = arguments[:1] * len(value) if arguments[1] is ... else arguments
        if len(kinds) == len(value):
            return tuple(_as(name, *each) for each in zip(kinds, value, strict=True))
        expected = f"{len(kinds)} values"
    elif kind is GenomeSource and isinstance(value, GenomeSource | dict):
        return _genome(asdict(value) if isinstance(value, GenomeSource) else value)
    elif origin is Literal:
        if isinstance(value, str) and value in arguments:
            return value
        expected = f"one of {', '.join(map(repr, arguments))}"
    else:
        if origin is float and type(value) is int and abs(value) <= _MOST:
            value = float(value)
        if type(value) is origin and not (isinstance(value, float) and not math.isfinite(value)):
            return value
        expected = _NAMES[origin]
    raise ValueError(f"{name}: expected {expected}, got {short_repr(value)}")


def _genome(table: Mapping[str, Any]) -> GenomeSource:
    given = {key: value for key, value in table.items() if value is not None}
    _check_keys((f"genome.{key}" for key in given), GENOME_KEYS)
    if not given.get("fasta"):
        raise ValueError("genome.fasta: expected the name of a file, got none")
    kinds = get_type_hints(GenomeSource)
    genome = GenomeSource(**{key: _as(f"genome.{key}", kinds[key], value) for key, value in given.items()})
    if genome.weight is not None and genome.weight < 0:
        raise ValueError(f"genome.weight: expected 0 or more, got {genome.weight} for {genome.fasta}")
    return genome
