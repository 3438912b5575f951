"""`ldarnet align --aligned`: what is asked about sequences that are aligned at an anchor."""

import json

import numpy as np
import pandas as pd
import pytest

from ldarnet import vocab
from ldarnet.genome import Contig
from ldarnet.tracks import open_writer
from ldarnet_analysis import align_files
from tests.test_align import run

LENGTH_BP, ANCHOR = 1301, 150


@pytest.fixture
def aligned(tmp_path, monkeypatch):
    """Sequences, half of them with a TATA box before the anchor, and a track of them."""
    monkeypatch.setattr(align_files, "draw_results", lambda *_: None)  # drawn in other tests
    rng = np.random.default_rng(0)
    contigs = [Contig(f"s{i}", LENGTH_BP) for i in range(50)]
    lines = []
    with open_writer(tmp_path / "track.npz", contigs) as writer:
        for number, (name, length_bp) in enumerate(contigs):
            letters = vocab.decode(rng.integers(0, 4, length_bp).astype(np.uint8))
            if number % 2:
                letters = f"{letters[:116]}TATAAAAGGCGC{letters[128:]}"
            lines += [f">{name}", letters]
            values = rng.random(length_bp).astype(np.float32)
            values[0] = np.nan
            writer.write(name, 0, values)
        writer.commit()
    (tmp_path / "s.fa").write_text("\n".join(lines) + "\n")
    return ["--aligned", tmp_path / "s.fa", "--track", tmp_path / "track.npz", "--out", tmp_path / "out"]


def test_the_anchors_are_one_class_beside_motifs(aligned, tmp_path):
    done = run(*aligned, "--anchor-index", ANCHOR, "--flank", 50, "--controls", "random,same-dinucleotide,planted")
    assert done.exit_code == 0, done.output
    tests = pd.read_csv(tmp_path / "out" / "tests.tsv", sep="\t")
    assert tests["class"].unique().tolist() == ["given", "TATA-box", "CCAAT-box", "GC-box", "Inr"]
    assert set(tests.loc[tests["class"] == "given", "rung"]) == {"random", "planted"}
    sites = pd.read_csv(tmp_path / "out" / "sites.tsv", sep="\t")
    assert not sites.duplicated(["chrom", "cut", "class"]).any() and (sites["class"] == "given").sum() == 50
    assert (sites.loc[sites["class"] == "given", "cut"] == ANCHOR).all()
    assert (sites["class"] == "TATA-box").sum() >= 20
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["panel"][0]["kind"] == "given"


@pytest.mark.parametrize(("anchor", "flank", "least"), [(150, 150, 150), (20, 20, 20), (1281, 20, 20)])
def test_a_flank_beyond_the_sequences_is_refused_at_once(aligned, tmp_path, anchor, flank, least):
    done = run(*aligned, "--anchor-index", anchor, "--flank", flank)
    assert done.exit_code == 1
    message = f"--flank {flank}: expected sequences with {flank + 1} bases or more on either side of the anchor, got at"
    assert f"{message} most {least}" in " ".join(done.output.split())
    assert not list((tmp_path / "out").glob("*.tsv")) and not list((tmp_path / "out").glob("residual*"))


def test_an_anchor_of_two_classes_is_refused(aligned):
    done = run(*aligned, "--anchor-index", ANCHOR, "--flank", 50, "--panel", "default")
    assert done.exit_code == 1
    assert "of one class: expected a panel with one besides motifs, got donor, acceptor" in done.output
