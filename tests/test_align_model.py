"""The model of `ldarnet align --model`: it must be that of the track, and reads as the track was read."""

import json
from types import SimpleNamespace

import pytest

from ldarnet import write_track
from ldarnet.align_command import model_runner
from ldarnet.checkpoint import load_model
from tests.command_line import TWO_STAGES, save_tiny
from tests.test_align import make_inputs, run


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return SimpleNamespace(one=save_tiny(folder), two=save_tiny(folder, TWO_STAGES, "two"))


@pytest.fixture
def requested(monkeypatch):
    """The requests for tracks; none is written."""
    seen = []
    monkeypatch.setattr(write_track, "write_track", lambda request, say: seen.append(request))
    return seen


def record_beside(track, **record):
    track.with_name(f"{track.name}.json").write_text(json.dumps(record))
    return track


def test_designs_are_read_as_the_track_was(models, tmp_path, requested):
    ours = load_model(models.two).provenance
    settings = {"strand": "both-mean", "window_bp": 512, "halo_bp": 64, "stage": 1, "dtype": "bfloat16"}
    track = record_beside(tmp_path / "t.bw", model={"name": "two", "sha256": ours.sha256}, settings=settings)
    model_runner(str(models.two), track)(tmp_path / "d.fa", tmp_path / "d.bw")
    assert {key: getattr(requested[0], key) for key in settings} == settings
    record_beside(track, settings={"strand": "-", "stage": None, "dtype": None, "window_bp": None})
    model_runner(str(models.two), track)(tmp_path / "d.fa", tmp_path / "d.bw")
    assert (requested[1].strand, requested[1].stage, requested[1].dtype) == ("+", 0, "float32")
    model_runner(str(models.two), tmp_path / "none.bw")(tmp_path / "d.fa", tmp_path / "d.bw")
    assert requested[2] == requested[1]


def test_another_model_than_the_tracks_is_refused_before_anything_is_done(models, tmp_path):
    inputs = make_inputs(tmp_path)
    theirs, ours = (load_model(each).provenance.sha256 for each in (models.one, models.two))
    record_beside(tmp_path / "track.bw", model={"name": "tiny one", "sha256": theirs}, settings={})
    done = run(*inputs, "--model", models.two, "--out", tmp_path / "out")
    assert done.exit_code == 1 and not (tmp_path / "out").exists()
    said = done.output.replace("\n", "")
    assert theirs in said and ours in said and "tiny one" in said and "is not the model of" in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "expected a JSON object, got list"),
        ("{", "expected JSON, as ldarnet boundaries writes it"),
        ('{"settings": []}', "expected a JSON object under 'settings', got list"),
        ('{"model": "x"}', "expected a JSON object under 'model', got str"),
        ('{"settings": {"window_bp": "512"}}', "expected window_bp of settings to be of type int, got '512'"),
    ],
)
def test_a_broken_record_of_a_track_is_named(models, tmp_path, text, message):
    (tmp_path / "t.bw.json").write_text(text)
    with pytest.raises(ValueError) as error:
        model_runner(str(models.one), tmp_path / "t.bw")
    assert f"{tmp_path}/t.bw.json: {message}" in str(error.value)


def test_a_record_that_is_a_list_is_named_without_a_model_too(tmp_path):
    inputs = make_inputs(tmp_path)
    (tmp_path / "track.bw.json").write_text("[]")
    done = run(*inputs, "--out", tmp_path / "out", "--flank", 50, "--controls", "gc")
    assert done.exit_code == 1 and "track.bw.json: expected a JSON object, got list" in done.output.replace("\n", "")
