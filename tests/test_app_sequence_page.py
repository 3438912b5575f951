"""The sequence page as a reader meets it."""

import pytest
from streamlit.testing.v1 import AppTest

from ldarnet_app.inputs import Inputs, TrackFile

from .command_line import letters, reverse_complement, save_tiny, write_fasta

GENOME = {"chr1": letters(1, 1500).lower(), "chr2": letters(2, 60_000)}
SEQUENCE = letters(7, 400)


def _page(inputs):
    from ldarnet_app.inputs import Inputs
    from ldarnet_app.pages.sequence import sequence_page

    sequence_page(Inputs.from_json(inputs))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    fasta = write_fasta(folder / "g.fa", **GENOME)
    return Inputs((TrackFile("t", folder / "t.bw"),), fasta, model=str(save_tiny(folder)))


def opened(inputs, **query):
    app = AppTest.from_function(_page, args=(inputs.to_json(),), default_timeout=60)
    for name, text in query.items():
        app.query_params[name] = text
    app.run()
    assert not app.exception, app.exception
    return app


def texts(elements):
    return " ".join(each.value.replace("\\", "") for each in elements)


def metrics(app):
    return {each.label: each.value for each in app.metric}


def query(app):
    return {name: value[0] if isinstance(value, list) else value for name, value in app.query_params.items()}


def pasted(inputs, text, **kwargs):
    app = opened(inputs, **kwargs)
    app.text_area(key="sequence text").set_value(text)
    next(each for each in app.button if each.label == "Run").click()
    app.run()
    assert not app.exception, app.exception
    return app


def test_without_torch_the_page_says_how_to_install_it(inputs, monkeypatch):
    monkeypatch.setattr("ldarnet_app.live_model.importlib.util.find_spec", lambda name: None)
    app = opened(inputs)
    assert "pip install torch" in texts(app.error)
    assert not app.text_area


def test_a_pasted_sequence_is_run_and_goes_into_the_address(inputs):
    app = pasted(inputs, f">mine\n{SEQUENCE.lower()}")
    assert "mine: 400 bases; 400 lower-case letters read as capitals" in texts(app.markdown)
    assert metrics(app)["Bases with a value"] == "399"
    assert query(app) == {"seq": SEQUENCE}
    again = opened(inputs, seq=SEQUENCE)
    assert metrics(again) == metrics(app)


def test_a_long_sequence_stays_out_of_the_address_and_the_page_says_so(inputs):
    app = pasted(inputs, letters(8, 2001))
    assert query(app) == {}
    assert "more than 2,000 bases" in texts(app.caption)


@pytest.mark.parametrize(("text", "message"), [("MKLVEF", "protein"), (">a\nAC\n>b\nAC", "2 FASTA records")])
def test_what_cannot_be_run_is_said(inputs, text, message):
    app = pasted(inputs, text)
    assert message in texts(app.error)
    assert not app.metric


def test_a_locus_is_read_from_the_fasta(inputs):
    app = opened(inputs, locus="chr1:100-400")
    assert "its base 0 is base 100 of chr1" in texts(app.markdown)
    assert metrics(app)["Bases with a value"] == "299"
    same = opened(inputs, seq=GENOME["chr1"][100:400].upper())
    assert metrics(same) == metrics(app)
    flipped = opened(inputs, locus="chr1:100-400", flip="1")
    turned = opened(inputs, seq=reverse_complement(GENOME["chr1"][100:400]))
    assert metrics(flipped) == metrics(turned)
    assert query(flipped) == {"locus": "chr1:100-400", "flip": "1"}


@pytest.mark.parametrize(
    ("locus", "message"),
    [("chr3:1-100", "no contig"), ("chr2:0-50001", "at most 50,000 bases, got 50,001"), ("chr1:9-2", "start < end")],
)
def test_a_locus_that_cannot_be_read_is_said(inputs, locus, message):
    assert message in texts(opened(inputs, locus=locus).error)


def test_an_address_names_no_file(inputs, tmp_path):
    bed = tmp_path / "secret.bed"
    bed.write_text("chr1\t0\t100\n")
    app = opened(inputs, locus=str(bed), model=str(bed), strand=str(bed))
    assert "no contig" in texts(app.error)
    assert "No model" in texts(app.warning)
    assert "No strand" in texts(app.warning)
    assert app.selectbox(key="sequence model").options == ["tiny.safetensors", "default"]
    assert not app.metric


def test_strand_is_carried_and_changes_the_values(inputs):
    plus, minus = opened(inputs, seq=SEQUENCE), opened(inputs, seq=SEQUENCE, strand="-")
    assert metrics(plus) != metrics(minus)
    assert query(minus) == {"seq": SEQUENCE, "strand": "-"}


def test_the_model_not_offered_first_is_carried(inputs):
    app = opened(inputs, seq=SEQUENCE, model="default")
    assert query(app) == {"seq": SEQUENCE, "model": "default"}
    assert "Model ldarnet-nano" in texts(app.caption)


def test_links_to_the_view_hold_all_of_it(inputs):
    app = opened(inputs, seq=SEQUENCE, strand="both-mean", edits="del3-5")
    links = [each.value for each in app.code if "seq=" in each.value]
    assert len(links) == 2
    assert all("strand=both-mean" in link and "edits=del3-5" in link for link in links)


def test_edits_show_what_moves(inputs):
    app = opened(inputs, seq=SEQUENCE, edits="del100-110")
    assert {"Cuts gained", "Cuts lost", "Largest change of p"} <= set(metrics(app))
    app.text_area(key="sequence edits").set_value("Z1Y").run()
    assert "is no edit" in texts(app.error)
    assert "Cuts lost" not in metrics(app)


def test_a_motif_is_written_into_the_edits(inputs):
    app = opened(inputs, seq=SEQUENCE, edits="del3-5")
    next(each for each in app.selectbox if each.label == "Motif").set_value("TATA box")
    next(each for each in app.checkbox if "strand" in each.label).check()
    app.run()
    next(each for each in app.button if each.label == "Add to the edits").click()
    app.run()
    assert app.text_area(key="sequence edits").value == "del3-5\nput200TTTATA"
    assert not app.error


def test_every_base_is_mutated_when_asked(inputs):
    app = opened(inputs, seq=SEQUENCE)
    assert "Open circles" not in texts(app.caption)
    next(each for each in app.number_input if each.label == "Number of bases").set_value(3)
    app.run()
    next(each for each in app.button if each.label == "Mutate every base").click()
    app.run()
    assert not app.exception
    assert "Open circles" in texts(app.caption)


def test_a_model_that_cannot_be_loaded_is_said(inputs, tmp_path):
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"nothing of the kind")
    app = opened(Inputs(inputs.tracks, inputs.fasta, model=str(broken)), seq=SEQUENCE)
    assert "broken.safetensors" in texts(app.error)
