"""Ablations by name: what each changes of a preset and of how it is trained (no torch)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

from ldarnet.byte_pairs import read_merges
from ldarnet.config import PRESETS, ModelConfig
from ldarnet.layout import Layout, parse_stack

CHUNK_LENGTHS = (2, 4, 6, 8, 12)
LAYOUTS = ("mt-M-m", "m-M-m", "m-T-m", "mt-T-m", "t-M-t", "t-T-t")
BYTE_PAIR = "byte-pair:"

Changes = dict[str, Any]
"""Settings and their values, by keys such as "model.cuts" and "train.ratio_weight"."""


@dataclass(frozen=True)
class Ablation:
    """A named change of any preset that it fits."""

    name: str
    what: str
    changes: Callable[[ModelConfig], Changes]
    """ValueError where the preset has no such part."""


def changes_of(names: Sequence[str], preset: str, model: Mapping[str, Any] | None = None) -> Changes:
    """What several ablations together change of a preset that was changed by `model` already.

    Raises ValueError for a name that is none, for ablations that contradict each other, and where one does not fit.
    """
    if preset not in PRESETS:
        raise ValueError(f"preset: expected one of {', '.join(PRESETS)}, got {preset!r}")
    config = replace(PRESETS[preset], **(model or {}))
    changes: Changes = {}
    for name in names:
        found = find_ablation(name).changes(config)
        for key in changes.keys() & found.keys():
            if changes[key] != found[key]:
                raise ValueError(
                    f"ablation {name}: {key} {found[key]!r} contradicts {changes[key]!r} of {', '.join(names)}"
                )
        changes |= found
    return changes


def find_ablation(name: str) -> Ablation:
    """The ablation of that name; "byte-pair:FILE" reads a tokenizer. ValueError names the nearest there is."""
    if name.startswith(BYTE_PAIR):
        merges = read_merges(Path(name.removeprefix(BYTE_PAIR)))
        return Ablation(name, "", partial(_cuts, cuts="byte-pair", merges=merges))
    if name in ABLATIONS and not name.endswith(":FILE"):
        return ABLATIONS[name]
    (nearest, *_) = get_close_matches(name, ABLATIONS, n=1, cutoff=0)
    raise ValueError(f"no ablation {name!r}; the nearest is {nearest!r} (ldarnet model ablations lists all)")


def _cuts(config: ModelConfig, *, tokens_per_chunk: int | None = None, **values: Any) -> Changes:  # noqa: ANN401
    """Cuts of another kind; those that are not learned cannot be forced around [MASK] either."""
    changes = {f"model.{name}": value for name, value in values.items()}
    if values["cuts"] != "learned" and config.forced_cuts != "none":
        changes["model.forced_cuts"] = "none"
    if tokens_per_chunk is not None:
        changes["train.tokens_per_chunk"] = [float(tokens_per_chunk)] * config.num_stages
    return changes


def _layers(config: ModelConfig, *, letters: str) -> Changes:
    if config.num_stages != 1:
        raise ValueError(f"layout {letters}: expected a preset of 1 stage, got {config.num_stages} stages")
    return {"model.layout": with_letters(config.layout, letters)}


def with_letters(layout: Layout, letters: str) -> Layout:
    """The layout with as many layers of other kinds: "mt-T-m" is encoder, backbone and decoder.

    The t of an encoder "mt" is one layer of attention, the last. Raises ValueError where the encoder has one layer.
    """
    encoder, inner, decoder = letters.split("-")
    counts = [len(parse_stack(stack)) for stack in (layout[0], *layout[1], layout[2])]
    if encoder == "mt":
        if counts[0] < 2:
            raise ValueError(f"layout {letters}: expected an encoder of 2 layers or more, got {layout[0]!r}")
        first = f"m{counts[0] - 1}t1"
    else:
        first = f"{encoder}{counts[0]}"
    return (first, (f"{inner}{counts[1]}",), f"{decoder}{counts[2]}")


def _always(changes: Changes, _: ModelConfig) -> Changes:
    return dict(changes)


def _table() -> list[Ablation]:
    table = []
    for n in CHUNK_LENGTHS:
        cuts = partial(_cuts, tokens_per_chunk=n)
        grid = {"cuts": "fixed", "cut_every": n}
        table += [
            Ablation(f"learned-{n}", f"learned cuts, {n} tokens per chunk aimed at", partial(cuts, cuts="learned")),
            Ablation(f"fixed-{n}", f"a cut every {n} tokens, with probability 1", partial(cuts, **grid)),
            Ablation(
                f"fixed-{n}-soft",
                f"a cut every {n} tokens; the router's probability smooths and is trained",
                partial(cuts, **grid, cut_prob="router"),
            ),
            Ablation(
                f"random-{n}",
                f"random cuts, {n} tokens per chunk on average, with probability 1",
                partial(cuts, cuts="random", cut_every=n),
            ),
        ]
    no_chunks = partial(_cuts, cuts="fixed", cut_every=1)
    table.append(Ablation("no-chunk", "every token a chunk of its own, with probability 1", no_chunks))
    tokens = "cuts where byte-pair tokens of a file of `ldarnet model tokens` start, with probability 1"
    table.append(Ablation(f"{BYTE_PAIR}FILE", tokens, partial(_cuts, cuts="byte-pair")))
    for letters in LAYOUTS:
        what = f"encoder {letters.replace('-', ', backbone ', 1).replace('-', ', decoder ')}; as many layers"
        table.append(Ablation(letters, what, partial(_layers, letters=letters)))
    for name, what, changes in (
        ("fusion-mean", "mean of the two directions of a Mamba layer", {"model.fusion": "mean"}),
        ("fusion-sum", "sum of the two directions of a Mamba layer", {"model.fusion": "sum"}),
        ("mask-protection", "a cut before and after every [MASK]", {"model.forced_cuts": "mask"}),
        ("no-mask-protection", "no forced cuts", {"model.forced_cuts": "none"}),
        ("ratio-0", "no ratio loss", {"train.ratio_weight": 0.0, "train.ratio_weights": []}),
        ("ratio-0.03", "ratio loss of weight 0.03", {"train.ratio_weight": 0.03, "train.ratio_weights": []}),
    ):
        table.append(Ablation(name, what, partial(_always, changes)))
    return table


ABLATIONS: dict[str, Ablation] = {ablation.name: ablation for ablation in _table()}
"""Ablations by name, in the order of the table of the docs."""
