"""Settings of a training run: reading, refusing, and what may change when a run goes on."""

import subprocess
import sys
from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ldarnet.train.corpus import GenomeSource
from ldarnet.train.optim import schedule
from ldarnet.train.settings import (
    MAY_CHANGE,
    TrainSettings,
    check_resume,
    differences,
    load_settings,
    parse_override,
)

TOML = """
[model]
preset = "ldarnet-2m"
d_state = 64

[[genome]]
fasta = "hg.fa"
name = "human"
intervals = "bed/human.bed"
weight = 2

[[genome]]
fasta = "/far/ce10.2bit"

[train]
learning_rate = 1
betas = [0.9, 0.99]
tokens_per_chunk = [6]
warmup_steps = 10
dtype = "bfloat16"
"""


@pytest.fixture
def toml(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(TOML)
    return path


def test_a_file_is_read_with_paths_relative_to_its_folder(toml, tmp_path):
    assert load_settings(toml, {}) == TrainSettings(
        model={"d_state": 64},
        genomes=(
            GenomeSource(f"{tmp_path}/hg.fa", "human", f"{tmp_path}/bed/human.bed", weight=2.0),
            GenomeSource("/far/ce10.2bit"),
        ),
        learning_rate=1.0,
        betas=(0.9, 0.99),
        tokens_per_chunk=(6.0,),
        warmup_steps=10,
        dtype="bfloat16",
    )


def test_overrides_win_over_the_file_and_their_paths_are_left_alone(toml):
    settings = load_settings(
        toml,
        {
            "model.d_conv": 3,
            "model.d_state": 32,
            "train.warmup_steps": 0,
            "genome": [{"fasta": "x.fa"}],
            "train.shards": ["a.fa"],
        },
    )
    assert settings.model == {"d_conv": 3, "d_state": 32}
    assert settings.genomes == (GenomeSource("x.fa"),)
    assert settings.shards == ("a.fa",)
    assert settings.num_warmup_steps == 0
    assert settings.learning_rate == 1.0


def test_shards_of_a_file_are_relative_to_its_folder(tmp_path):
    (tmp_path / "run.toml").write_text('[train]\nshards = ["a.fa", "/b.fa"]')
    assert load_settings(tmp_path / "run.toml", {}).shards == (f"{tmp_path}/a.fa", "/b.fa")


def test_model_config_is_the_preset_with_changes_and_the_window_as_context():
    nested = {
        "layout": ["m1", ["m1", ["M2"], "m1"], "m1"],
        "d_model": [64, 64, 128],
        "d_intermediate": [0, 0, 128],
        "num_heads": [2, 2, 2],
        "rotary_dim": [32, 32, 32],
        "attention_window": [-1, -1, -1],
    }
    config = TrainSettings(model=nested, window_bp=512, tokens_per_chunk=(3.0, 2.0)).model_config()
    assert config.num_stages == 2
    assert config.layout == ("m1", ("m1", ("M2",), "m1"), "m1")
    assert config.context_bp == 512


def test_genomes_are_cut_down_to_their_splits_where_they_have_intervals():
    with_bed, whole = GenomeSource("a.fa", intervals="a.bed"), GenomeSource("b.fa")
    settings = TrainSettings(genomes=(with_bed, whole), train_split="learn", valid_split="watch")
    assert settings.train_genomes() == (replace(with_bed, split="learn"), whole)
    assert settings.valid_genomes() == (replace(with_bed, split="watch"),)


BAD_FILES = {
    "unknown key": ("[train]\nlearning_rat = 1", "unknown key 'train.learning_rat'.*'train.learning_rate'"),
    "unknown table": ('[[genomes]]\nfasta = "x"', "unknown key 'genomes'.*'genome'"),
    "key in no table": ("num_steps = 5", "unknown key 'num_steps'.*'train.num_steps'"),
    "key in the wrong table": ("[model]\nnum_steps = 5", "unknown key 'model.num_steps'.*'train.num_steps'"),
    "context": ("[model]\ncontext_bp = 5", "unknown key 'model.context_bp'.*'train.window_bp'"),
    "unknown genome key": ('[[genome]]\nfasta = "x"\nwieght = 1', "unknown key 'genome.wieght'.*'genome.weight'"),
    "split of one genome": ('[[genome]]\nfasta = "x"\nsplit = "a"', "unknown key 'genome.split'.*'train.train_split'"),
    "no fasta": ('[[genome]]\nname = "x"', "genome.fasta: expected the name of a file, got none"),
    "fasta is a number": ("[[genome]]\nfasta = 3", "genome.fasta: expected text, got 3"),
    "weight": ('[[genome]]\nfasta = "x"\nweight = -1', r"genome.weight: expected 0 or more, got -1.0 for x"),
    "genome is no list": ('[genome]\nfasta = "x"', "genome: expected a list, got {'fasta': 'x'}"),
    "genome is no table": ("genome = [1]", "genome: expected a table, got 1"),
    "train is no table": ("train = 1", r"train: expected a table \[train\], got 1"),
    "text for a number": ('[train]\nlearning_rate = "x"', "train.learning_rate: expected a number, got 'x'"),
    "true for a number": ("[train]\nnum_steps = true", "train.num_steps: expected a whole number, got True"),
    "fraction for a count": ("[train]\nnum_steps = 1.5", "train.num_steps: expected a whole number, got 1.5"),
    "number for a switch": ("[train]\ntensorboard = 1", "train.tensorboard: expected true or false, got 1"),
    "not finite": ("[train]\nlearning_rate = inf", "train.learning_rate: expected a number, got inf"),
    "not a number": ("[train]\nlearning_rate = nan", "train.learning_rate: expected a number, got nan"),
    "no float": (f"[train]\nlearning_rate = {10**400}", "train.learning_rate: expected a number, got 1000"),
    "zero": ("[train]\nlog_every = 0", r"train.log_every: expected from 1 to 2\^63 - 1, got 0"),
    "negative": ("[train]\nweight_decay = -0.1", "train.weight_decay: expected 0 or more, got -0.1"),
    "share": ("[train]\ndecay_share = 1.5", "train.decay_share: expected a share from 0 to 1, got 1.5"),
    "one of a list": ("[train]\nbetas = [0.9, 1]", "train.betas: expected from 0 to below 1, got 1.0"),
    "too few": ("[train]\nbetas = [0.9]", r"train.betas: expected 2 values, got \[0.9\]"),
    "choice": ('[train]\ndtype = "float16"', "train.dtype: expected one of 'float32', 'bfloat16', got 'float16'"),
    "unhashable choice": ("[train]\ndtype = []", r"train.dtype: expected one of .*, got \[\]"),
    "not optional": ('[train]\nwarmup_steps = "no"', "train.warmup_steps: expected a whole number, got 'no'"),
    "preset": ('[model]\npreset = "big"', "preset: expected one of ldarnet-110m, ldarnet-2m.*, got 'big'"),
    "model field": ("[model]\nd_model = [64]", "d_model: expected 2 values"),
    "stages": ("[train]\ntokens_per_chunk = [4, 4]", r"tokens_per_chunk: expected 1 values, one per stage, got 2"),
    "window": (
        "[train]\nwindow_bp = 1000",
        "micro_batch_tokens: expected a multiple of window_bp 1,000, got 16,384; 16,000 or 17,000 would do",
    ),
    "step": (
        "[train]\ntokens_per_step = 10000",
        r"tokens_per_step: expected a multiple of 16,384 \(micro_batch_tokens\), got 10,000; 16,384 would do",
    ),
    "schedule": ("[train]\nwarmup_steps = 19000", "num_steps: expected at least the 23,000 of warm-up and decay"),
    "no TOML": ("[train", "expected TOML in UTF-8"),
    "no UTF-8": ("[train]\n#\udcff", "expected TOML in UTF-8"),
    "nothing to train on": ("", r"expected something to train on, got neither a \[\[genome\]\] nor train.shards"),
}


@pytest.mark.parametrize(("text", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_files_are_refused_with_file_and_key(tmp_path, text, message):
    path = tmp_path / "run.toml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=rf"{path}: {message}"):
        load_settings(path, {})


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"cannot read .*none\.toml: No such file"):
        load_settings(tmp_path / "none.toml", {})


def test_a_bad_override_is_not_blamed_on_the_file(toml):
    with pytest.raises(ValueError, match=r"^command line: train.seed: expected a whole number, got 'x'$"):
        load_settings(toml, {"train.seed": "x"})
    with pytest.raises(ValueError, match=r"^command line: genome.fasta: expected .* tables"):
        load_settings(toml, {"genome.fasta": "x.fa"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train.learning_rate=1e-3", ("train.learning_rate", 1e-3)),
        ("train.num_steps = 20_000", ("train.num_steps", 20_000)),
        ("train.betas=[0.9, 0.99]", ("train.betas", [0.9, 0.99])),
        ('genome=[{fasta="a=b.fa"}]', ("genome", [{"fasta": "a=b.fa"}])),
        ("train.tensorboard=true", ("train.tensorboard", True)),
        ("train.dtype=bfloat16", ("train.dtype", "bfloat16")),
        ('train.device="cuda:1"', ("train.device", "cuda:1")),
        ("train.device=cuda:1", ("train.device", "cuda:1")),
        ("train.seed=", ("train.seed", "")),
        ("train.seed=1\nx=2", ("train.seed", "1\nx=2")),
    ],
)
def test_overrides_are_toml_or_plain_text(text, expected):
    assert parse_override(text) == expected


@pytest.mark.parametrize("text", ["train.seed", "=1", ""])
def test_overrides_need_key_and_value(text):
    with pytest.raises(ValueError, match=r"--set: expected key=value such as train.learning_rate=1e-3, got"):
        parse_override(text)


@settings(deadline=None)
@given(
    micro=st.integers(1, 40).map(lambda n: 128 * n),
    num_ranks=st.integers(1, 9),
    num_micro=st.integers(1, 60),
)
def test_accumulation_divides_a_step_or_says_what_would(micro, num_ranks, num_micro):
    settings = TrainSettings(window_bp=128, micro_batch_tokens=micro, tokens_per_step=micro * num_micro)
    if num_micro % num_ranks == 0:
        assert settings.accumulation(num_ranks) * micro * num_ranks == settings.tokens_per_step
        return
    with pytest.raises(ValueError, match=r"would do$") as caught:
        settings.accumulation(num_ranks)
    advice = str(caught.value).rpartition("; ")[2].removesuffix(" would do")
    for tokens in advice.split(" or "):
        number = int(tokens.replace(",", ""))
        assert replace(settings, tokens_per_step=number).accumulation(num_ranks) >= 1
        assert abs(number - settings.tokens_per_step) < micro * num_ranks


OTHER_VALUES = {
    "preset": "ldarnet-110m",
    "model": {"d_state": 64},
    "genomes": (GenomeSource("b.fa", "human"),),
    "train_split": "a",
    "valid_split": "a",
    "shards": ("a.fa",),
    "dataset": "owner/name",
    "dataset_column": "dna",
    "dataset_split": "all",
    "window_bp": 512,
    "tokens_per_step": 16_384,
    "micro_batch_tokens": 8192,
    "num_steps": 10_000,
    "learning_rate": 1e-3,
    "learning_rate_rule": "hnet",
    "betas": (0.9, 0.999),
    "eps": 1e-7,
    "weight_decay": 0.0,
    "clip_norm": 2.0,
    "warmup_share": 0.2,
    "warmup_steps": 5,
    "decay_share": 0.1,
    "decay_steps": 5,
    "decay_shape": "linear",
    "floor_share": 0.0,
    "mask_share": 0.2,
    "repeat_weight": 0.1,
    "ratio_weight": 0.0,
    "ratio_weights": (0.02,),
    "counts_forced_cuts": True,
    "tokens_per_chunk": (6.0,),
    "dtype": "bfloat16",
    "ema_decay": 0.999,
    "seed": 1,
    "device": "cpu",
    "parallel": "fsdp",
    "log_every": 1,
    "valid_every": 1,
    "num_valid_windows": 8,
    "save_every": 1,
    "save_every_seconds": 1.0,
    "keep_checkpoints": 1,
    "tensorboard": True,
    "max_seconds": 5.0,
}
NAMED_AS = {"preset": "model.layout", "model": "model.d_state", "genomes": "genome 1", "shards": "shard 1"} | {
    f"{part}_{kind}": f"num_{part}_steps" for part in ("warmup", "decay") for kind in ("share", "steps")
}
BASE = TrainSettings(genomes=(GenomeSource("data/a.fa", "human", "data/a.bed"),))


def test_every_field_is_tried():
    assert OTHER_VALUES.keys() == {field.name for field in fields(TrainSettings)}


@pytest.mark.parametrize("name", OTHER_VALUES)
def test_what_decides_weights_may_not_change_when_a_run_goes_on(name):
    other = replace(BASE, **{name: OTHER_VALUES[name]})
    if name in MAY_CHANGE:
        assert differences(BASE, other) == []
        note = f"{name}: saved {getattr(BASE, name)!r}, now {OTHER_VALUES[name]!r}"
        assert check_resume(BASE, 17_000, other) == [note]
        return
    assert any(line.startswith(f"{NAMED_AS.get(name, name)}: saved ") for line in differences(BASE, other))
    with pytest.raises(
        ValueError, match=rf"saved at step 17,000 (.|\n)*\n  {NAMED_AS.get(name, name)}: saved .*, now "
    ):
        check_resume(BASE, 17_000, other)


def test_the_same_settings_go_on_without_a_word():
    assert check_resume(BASE, 19_000, TrainSettings.from_json(BASE.to_json())) == []
    same_shape = replace(BASE, model={"d_state": 128}, warmup_steps=2000)
    assert check_resume(BASE, 19_000, same_shape) == []


def test_a_run_may_move_to_another_folder_with_a_note():
    moved = replace(BASE, genomes=(GenomeSource("/gpu/a.fa", "human", "/gpu/a.bed"),))
    assert check_resume(BASE, 5, moved) == [
        "genome 1: saved ['data/a.fa', 'data/a.bed'], now ['/gpu/a.fa', '/gpu/a.bed']"
    ]


@settings(deadline=None)
@given(
    num_steps=st.integers(1, 40),
    grown_by=st.integers(-3, 20),
    warmups=st.tuples(st.integers(0, 6), st.integers(0, 6)),
    decays=st.tuples(st.integers(0, 10), st.integers(0, 10)),
    data=st.data(),
)
def test_a_run_of_another_length_goes_on_only_where_every_rate_so_far_is_the_same(
    num_steps, grown_by, warmups, decays, data
):
    now_steps = max(1, num_steps + grown_by)
    if sum(pair[0] for pair in (warmups, decays)) > num_steps or warmups[1] + decays[1] > now_steps:
        return
    saved, now = (
        replace(BASE, num_steps=n, warmup_steps=warmups[i], decay_steps=decays[i])
        for i, n in enumerate((num_steps, now_steps))
    )
    step = data.draw(st.integers(0, min(num_steps, now_steps)))

    def rates(settings):
        shape = settings.num_warmup_steps, settings.num_decay_steps, settings.floor_share, settings.decay_shape
        return [schedule(t, settings.num_steps, *shape) for t in range(step)]

    try:
        notes = check_resume(saved, step, now)
    except ValueError:
        before_decay = step <= min(num_steps - decays[0], now_steps - decays[1])
        assert not before_decay or warmups[0] != warmups[1]
    else:
        assert rates(saved) == rates(now)
        is_noted = any(note == f"num_steps: saved {num_steps}, now {now_steps}" for note in notes)
        assert is_noted == (now_steps != num_steps)


def test_a_refused_extension_says_how_to_extend():
    with pytest.raises(ValueError, match=r"before the decay began \(it begins after step 16,000\)") as caught:
        check_resume(BASE, 10_000, replace(BASE, num_steps=40_000))
    assert "train.warmup_steps=2000" in str(caught.value)
    extended = replace(BASE, num_steps=40_000, warmup_steps=2000)
    assert check_resume(BASE, 16_000, extended) == [
        "num_steps: saved 20000, now 40000",
        "num_decay_steps: saved 4000, now 8000",
    ]
    with pytest.raises(ValueError, match="num_steps: saved 20000, now 40000"):
        check_resume(BASE, 16_001, extended)


@settings(deadline=None)
@given(
    st.builds(
        TrainSettings,
        model=st.sampled_from([{}, {"d_state": 64}, {"d_model": [64, 192], "num_heads": (2, 4)}]),
        genomes=st.lists(
            st.builds(
                GenomeSource,
                st.text(min_size=1),
                st.text(),
                st.none() | st.text(min_size=1),
                weight=st.none() | st.floats(0, 9),
            ),
            max_size=2,
        ),
        learning_rate=st.floats(min_value=1e-300, max_value=1e300),
        warmup_steps=st.none() | st.integers(0, 99),
        seed=st.integers(0, 2**63 - 1),
    )
)
def test_json_brings_settings_back(settings):
    back = TrainSettings.from_json(settings.to_json())
    assert back == settings
    assert back.fingerprint() == settings.fingerprint()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "the settings of the run are not JSON"),
        ("[" * 100_000, "the settings of the run are not JSON"),
        ("[]", "the settings of the run: expected an object, got list"),
        ('{"num_stepz": 1}', "unknown key 'num_stepz'; the nearest known one is 'num_steps'"),
        ('{"num_steps": "1"}', "num_steps: expected a whole number, got '1'"),
        ('{"genomes": [null]}', "genomes: expected a table, got None"),
    ],
)
def test_bad_json_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        TrainSettings.from_json(text)


def test_settings_do_not_load_torch():
    modules = "ldarnet.train.settings, ldarnet.train.progress, ldarnet.train.curves"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
