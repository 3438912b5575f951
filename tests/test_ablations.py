"""Ablations by name: what they change, in which order of settings, and that every one of them trains."""

from dataclasses import replace

import pytest
import torch
from typer.testing import CliRunner

from ldarnet import vocab
from ldarnet.ablations import ABLATIONS, CHUNK_LENGTHS, LAYOUTS, changes_of, find_ablation, with_letters
from ldarnet.cli import app
from ldarnet.config import PRESETS
from ldarnet.layout import parse_stack
from ldarnet.train import loop
from ldarnet.train.settings import load_settings

from .command_line import letters, write_fasta
from .sibling_models import tiny_model

NAMED = [name for name in ABLATIONS if not name.endswith(":FILE")]


def model_changes(names, preset):
    changes = changes_of(names, preset)
    return {key.removeprefix("model."): value for key, value in changes.items() if key.startswith("model.")}


def test_the_table_has_what_the_literature_asks_about():
    wanted = {"no-chunk", "fusion-mean", "fusion-sum", "mask-protection", "no-mask-protection", "ratio-0", "ratio-0.03"}
    wanted |= {"mt-M-m", "m-M-m", "m-T-m", "mt-T-m", "t-M-t", "t-T-t", "byte-pair:FILE"}
    for n in (2, 4, 6, 8, 12):
        wanted |= {f"learned-{n}", f"fixed-{n}", f"fixed-{n}-soft", f"random-{n}"}
    assert set(ABLATIONS) == wanted


@pytest.mark.parametrize("name", NAMED)
def test_every_ablation_trains(name):
    changes = model_changes([name], "ldarnet-nano") | {"layout": ("m2t1", ("M2",), "m2")}
    if name in LAYOUTS:
        changes["layout"] = with_letters(changes["layout"], name)
    model = tiny_model("ldarnet-nano", **changes)
    model.embedding.weight.data *= 20  # neighbours differ, so that there are chunks whatever the layers
    ids = torch.randint(0, 4, (4, 60), generator=torch.Generator().manual_seed(0))
    ids[:, ::7] = vocab.MASK
    out = model(ids)
    assert out.routing[0].cut.sum() > 2 * len(ids), "the inner layers have something to do"
    out.logits.square().mean().backward()
    router_learns = model.config.cuts == "learned" or model.config.cut_prob == "router"
    for parameter_name, parameter in model.named_parameters():
        if ".router." in parameter_name and not router_learns:
            assert parameter.grad is None, "a router that is not asked learns nothing"
        else:
            assert parameter.grad is not None and parameter.grad.any(), parameter_name


@pytest.mark.parametrize("preset", PRESETS)
def test_fixed_4_fits_every_preset_at_every_stage(preset):
    changes = changes_of(["fixed-4"], preset)
    config = replace(PRESETS[preset], **model_changes(["fixed-4"], preset))
    assert (config.cuts, config.cut_every, config.cut_prob) == ("fixed", 4, "certain")
    assert changes["train.tokens_per_chunk"] == [4.0] * config.num_stages


def test_cuts_that_are_not_learned_are_not_forced_either():
    assert PRESETS["dnachunker-small"].forced_cuts == "mask"
    assert changes_of(["no-chunk"], "dnachunker-small")["model.forced_cuts"] == "none"
    assert "model.forced_cuts" not in changes_of(["learned-4"], "dnachunker-small")
    assert "model.forced_cuts" not in changes_of(["no-chunk"], "ldarnet-2m")


def test_no_chunk_keeps_the_learning_rates_of_its_model():
    assert changes_of(["no-chunk"], "ldarnet-2m") == {"model.cuts": "fixed", "model.cut_every": 1}


@pytest.mark.parametrize("n", CHUNK_LENGTHS)
def test_learned_chunks_are_aimed_at_by_the_ratio_loss(n):
    assert changes_of([f"learned-{n}"], "ldarnet-2m") == {"model.cuts": "learned", "train.tokens_per_chunk": [float(n)]}


@pytest.mark.parametrize(
    ("letters_", "layout"),
    [
        ("mt-M-m", ("m3t1", ("M6",), "m3")),
        ("m-M-m", ("m4", ("M6",), "m3")),
        ("m-T-m", ("m4", ("T6",), "m3")),
        ("mt-T-m", ("m3t1", ("T6",), "m3")),
        ("t-M-t", ("t4", ("M6",), "t3")),
        ("t-T-t", ("t4", ("T6",), "t3")),
    ],
)
def test_layouts_keep_the_number_of_layers(letters_, layout):
    assert changes_of([letters_], "ldarnet-2m") == {"model.layout": layout}
    depth = [len(parse_stack(stack)) for stack in (layout[0], layout[1][0], layout[2])]
    assert depth == [4, 6, 3]


def test_a_layout_that_does_not_fit_says_why():
    with pytest.raises(ValueError, match="layout t-T-t: expected a preset of 1 stage, got 2 stages"):
        changes_of(["t-T-t"], "dnahnet-small")
    with pytest.raises(ValueError, match="layout mt-M-m: expected an encoder of 2 layers or more, got 'm1'"):
        with_letters(("m1", ("M1",), "m1"), "mt-M-m")


def test_ablations_go_together_unless_they_contradict_each_other():
    both = changes_of(["fixed-4", "t-T-t", "ratio-0"], "ldarnet-2m")
    assert both["model.layout"] == ("t4", ("T6",), "t3")
    assert both["model.cuts"] == "fixed"
    assert both["train.ratio_weight"] == 0
    with pytest.raises(ValueError, match=r"ablation no-chunk: model\.cut_every 1 contradicts 4 of fixed-4, no-chunk"):
        changes_of(["fixed-4", "no-chunk"], "ldarnet-2m")


@pytest.mark.parametrize(("name", "nearest"), [("fixd-4", "fixed-4"), ("byte-pair", "byte-pair:FILE")])
def test_an_unknown_name_gets_the_nearest_one(name, nearest):
    with pytest.raises(ValueError, match=f"no ablation '{name}'; the nearest is '{nearest}'"):
        find_ablation(name)


def test_an_unknown_preset_is_refused():
    with pytest.raises(ValueError, match=r"preset: expected one of ldarnet-110m, .*, got 'x'"):
        changes_of(["fixed-4"], "x")


def test_ablations_win_over_the_file_and_overrides_over_ablations(tmp_path):
    toml = tmp_path / "run.toml"
    toml.write_text(
        '[model]\npreset = "ldarnet-2m"\nfusion = "mean"\nd_state = 64\n'
        '[train]\nshards = ["a.fa"]\nratio_weight = 0.1\ntokens_per_chunk = [6.0]\n'
    )
    settings = load_settings(toml, {"model.cut_every": 5}, ["fixed-8", "fusion-sum", "ratio-0"])
    assert settings.model == {"fusion": "sum", "d_state": 64, "cuts": "fixed", "cut_every": 5}
    assert (settings.ratio_weight, settings.tokens_per_chunk) == (0.0, (8.0,))
    other = load_settings(toml, {"model.preset": "ldarnet-nano"}, ["t-T-t"])
    assert other.model_config().layout == ("t3", ("T3",), "t2"), "the layout is that of the preset asked for"


def test_the_ablation_is_the_same_run_as_its_settings_by_hand():
    shards = {"train.shards": ["a.fa"]}
    by_hand = load_settings(None, {**shards, "model.cuts": "fixed"})
    assert load_settings(None, shards, ["fixed-4"]).fingerprint() == by_hand.fingerprint()


def test_the_command_lists_them():
    listed = CliRunner().invoke(app, ["model", "ablations"]).stdout.splitlines()
    assert [line.split()[0] for line in listed] == list(ABLATIONS)


def test_train_takes_ablations(monkeypatch, tmp_path):
    taken = []

    def stop(settings, *_, **__):
        taken.append(settings)
        raise ValueError("enough")

    monkeypatch.setattr(loop, "train", stop)
    fasta = write_fasta(tmp_path / "x.fa", chr=letters(0, 50))
    command = ["train", "--out", str(tmp_path / "run"), "--fasta", str(fasta), "--preset", "ldarnet-nano"]
    CliRunner().invoke(app, [*command, "--ablation", "fixed-4-soft", "--ablation", "m-M-m"])
    config = taken[0].model_config()
    assert (config.cuts, config.cut_prob, config.layout) == ("fixed", "router", ("m3", ("M3",), "m2"))
