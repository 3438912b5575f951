"""`ldarnet compare` as a whole, on the demo genome."""

import importlib
import json
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from ldarnet.cli import app
from ldarnet.demo import write_demo
from ldarnet.genome import Contig, Interval, open_genome
from ldarnet.tracks import open_track, open_writer
from ldarnet_analysis.compare_files import compare_files
from ldarnet_analysis.compare_request import CompareRequest
from ldarnet_analysis.segment_specs import parse_segmenter, parse_track
from tests.conftest import REPO


def compare(*arguments):
    return CliRunner().invoke(app, ["compare", *map(str, arguments)])


def read(folder, name):
    return pd.read_csv(folder / f"{name}.tsv", sep="\t")


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo genome, another one to fit on, and two tracks: noise, and the same with a peak at every donor."""
    folder = tmp_path_factory.mktemp("demo")
    files = write_demo(folder)
    write_demo(folder / "train", seed=5)
    sites = pd.read_csv(files.sites, sep="\t")
    donors = sites[sites["class"] == "donor"]
    with open_genome(files.fasta) as genome:
        for name in ("noise", "donors"):
            rng = np.random.default_rng(3)
            with open_writer(folder / f"{name}.npz", genome.contigs) as writer:
                for chrom, length_bp in genome.contigs:
                    values = rng.random(length_bp).astype(np.float32) * 0.66
                    if name == "donors":
                        values[donors.loc[donors["chrom"] == chrom, "cut"]] = 0.99
                    values[0] = np.nan
                    writer.write(chrom, 0, values)
                writer.commit()
    return folder


@pytest.fixture(scope="module")
def done(demo):
    pytest.importorskip("tokenizers")
    out = demo / "out"
    wanted = ["fixed:4", "bpe:64", "entropy:3", "random", "shuffled:donors", "annotation:exon", "annotation:CDS"]
    arguments = [word for text in wanted for word in ("--segmenter", text)]
    arguments += ["--track", f"donors={demo}/donors.npz", "--track", demo / "noise.npz", "--motif-p", 1e-3]
    arguments += ["--fasta", demo / "demo.fa", "--annotation", demo / "demo.genes.gtf", "--cuts-format", "bw"]
    run = compare(*arguments, "--train-fasta", demo / "train" / "demo.fa", "--out", out)
    assert run.exit_code == 0, run.output
    return out, run.output


def test_every_segmenter_is_a_row_and_the_one_that_cannot_run_has_the_reason(done):
    out, output = done
    table = read(out, "segmenters").set_index("segmenter")
    assert list(table.index) == [
        *("donors", "noise", "fixed:4", "bpe:64", "entropy:3", "random", "annotation:exon", "annotation:CDS"),
        "shuffled:donors",
    ]
    assert (
        table.loc["annotation:CDS", "status"] == "not run" and "no CDS edges" in table.loc["annotation:CDS", "reason"]
    )
    assert (table["status"].drop("annotation:CDS") == "ok").all()
    assert table.loc["donors", "own_rate"] == table.loc["donors", "matched_rate"]
    assert table.loc["entropy:3", "matched_rate"] == pytest.approx(table.loc["donors", "own_rate"], rel=1e-4)
    assert "annotation:CDS: not run" in output and "8 of 9 segmenters compared" in output


def test_two_tracks_that_differ_at_donors_agree_elsewhere(done):
    out, _ = done
    overlap = read(out, "overlap")
    assert len(overlap) == 3 * 8 * 7 / 2 and set(overlap["status"]) == {"ok"}
    rows = overlap.set_index(["a", "b", "tolerance"])
    assert rows.loc[("donors", "noise", 0), "agreement"] > 0.95 and rows.loc[("donors", "noise", 0), "ratio_lo"] > 3
    assert abs(rows.loc[("donors", "random", 0), "agreement"]) < 0.03
    matrix = read(out, "agreement.0").set_index("segmenter")
    assert matrix.loc["noise", "donors"] == pytest.approx(rows.loc[("donors", "noise", 0), "agreement"])


def test_planted_cuts_at_donors_are_found_and_no_others(done):
    sites = read(done[0], "sites").set_index(["segmenter", "class", "tolerance", "null"])
    found = sites.loc[("donors", "donor", 1, "same-kmer")]
    assert found["share"] == 1 and found["effect"] > 0.3 and found["q"] < 0.05 and found["num_loci"] >= 20
    for name in ("noise", "random", "shuffled:donors"):
        assert sites.loc[(name, "donor", 1, "same-kmer"), "lo"] < 0 < sites.loc[(name, "donor", 1, "same-kmer"), "hi"]
    assert "annotation:exon" not in sites.index, "its cuts are the sites"


def test_lengths_and_tokens_have_own_and_matched_cuts(done):
    lengths, motifs = read(done[0], "lengths"), read(done[0], "motifs")
    kinds = lengths.groupby("segmenter")["cuts"].agg(set).to_dict()
    assert kinds["donors"] == {"own", "matched"} and kinds["random"] == {"matched"} and kinds["fixed:4"] == {"own"}
    row = motifs[(motifs["segmenter"] == "random") & (motifs["motif"] == "all motifs")].iloc[0]
    assert row["num_occurrences"] > 300 and row["ratio_lo"] < 1 < row["ratio_hi"]
    counts = read(done[0], "length_counts")
    totals = counts.groupby(["segmenter", "cuts"])["num_chunks"].sum()
    assert totals.equals(lengths.set_index(["segmenter", "cuts"])["num_chunks"].sort_index())


def test_figures_report_record_and_tracks_are_written(done, demo):
    out, _ = done
    for name in ("agreement", "lengths", "motifs", "sites"):
        with Image.open(out / "figures" / f"{name}.png") as picture:
            assert picture.width > 1500 and "sha256" in picture.text["Provenance"]
        assert (out / "figures" / f"{name}.svg").stat().st_size > 1000
    page = (out / "report.html").read_text()
    assert page.count("<figure") == 4 and "annotation has no CDS edges" in page and "36.0" in page
    assert not re.search(r"(src|href)=\"?https?:", page) and str(demo) not in page
    record = json.loads((out / "run.json").read_text())
    assert record["settings"]["cuts_compared"] > 70_000 and record["inputs"]["track donors"]["name"] == "donors.npz"
    assert any("the common rate is that of donors" in note for note in record["notes"])
    with open_track(out / "cuts" / "fixed_4.bw") as track:
        assert np.flatnonzero(track.values("demo1", 0, 13) == 1).tolist() == [4, 8, 12]
    assert len(list((out / "cuts").glob("*.bw"))) == 8


def test_what_cannot_be_made_is_a_row_and_the_rest_runs(demo, tmp_path):
    with open_writer(tmp_path / "other.npz", [Contig("demo1", 50)]) as writer:
        writer.write("demo1", 0, np.ones(50, dtype=np.float32))
        writer.commit()
    texts = ("bpe:64", "entropy:2", "annotation:exon", "shuffled:gone", "random")
    request = CompareRequest(
        out=tmp_path / "out",
        fasta=demo / "demo.fa",
        tracks=(parse_track(f"other={tmp_path}/other.npz"), parse_track(f"noise={demo}/noise.npz")),
        segmenters=tuple(map(parse_segmenter, texts)),
        regions="demo1:1000-9000",
        rate=0.2,
    )
    said = []
    assert "2 of 7" in compare_files(request, said.append)
    table = read(tmp_path / "out", "segmenters").set_index("segmenter")
    reasons = table.loc[table["status"] == "not run", "reason"]
    assert reasons["other"].startswith(f"{tmp_path}/other.npz is not a track of demo.fa")
    assert "give --train-regions" in reasons["bpe:64"] and reasons["entropy:2"] == reasons["bpe:64"]
    assert reasons["annotation:exon"] == "needs --annotation" and "noise, random" in reasons["shuffled:gone"]
    assert table.loc["noise", "matched_rate"] == pytest.approx(0.2, abs=1e-3)
    assert read(tmp_path / "out", "sites").empty
    assert "No annotation was given" in (tmp_path / "out" / "report.html").read_text()
    # few blocks: estimates without intervals, and the reason
    overlap = read(tmp_path / "out", "overlap")
    assert overlap["overlap"].notna().all() and overlap["ratio_lo"].isna().all()
    assert set(overlap["status"]) == {"too few blocks"} and overlap["reason"].str.contains("at least 20").all()


def test_by_default_all_that_the_input_allows_is_compared(demo, tmp_path):
    request = CompareRequest(out=tmp_path / "out", fasta=demo / "demo.fa", regions="demo2")
    compare_files(request, lambda _: None)
    assert list(read(tmp_path / "out", "segmenters")["segmenter"]) == ["fixed:4", "kmer:6", "random"]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--segmenter", "fixed:x"], 2, "expected fixed:N"),
        (["--track", "=x.bw"], 2, "expected NAME=FILE"),
        (["--rate", "1.5"], 2, "between 0 and 1"),
        (["--track", "a=gone.bw"], 1, "no such file: gone.bw"),
        (["--regions", "chr7"], 1, "demo1, demo2"),
        (
            ["--segmenter", "entropy:2", "--regions", "demo1", "--train-regions", "demo1:0-500"],
            1,
            "share 500 bp of demo1",
        ),
        (["--segmenter", "entropy:2"], 1, "no segmenter could be run: entropy:2: is fitted"),
        (["--segmenter", "random"], 1, "give a --rate"),
        (["--segmenter", "random", "--rate", "1e-9"], 1, "leaves no cut"),
        (["--segmenter", "random", "--segmenter", "random"], 1, "random again"),
        (["--cuts-format", "xyz"], 1, "no track format"),
    ],
)
def test_bad_input_ends_with_a_message(demo, tmp_path, arguments, status, message):
    run = compare("--fasta", demo / "demo.fa", "--out", tmp_path / "out", *arguments)
    assert run.exit_code == status and message in " ".join(re.sub("[│\n]", " ", run.output).split())
    assert not (tmp_path / "out" / "report.html").exists()


def test_the_regions_of_the_comparison_are_those_that_no_model_has_seen(monkeypatch):
    monkeypatch.syspath_prepend(str(REPO / "benchmarks"))
    inputs = importlib.import_module("_comparison_inputs")
    split = importlib.import_module("default_model.split")
    placements = [
        split.Placement(record, Interval(chrom, 0, 500), False, 0)
        for record, chrom in (("LRG_5", "chr20"), ("LRG_10", "chr7"))
    ]
    wanted = {"chr19": (0, 900), "chr20:6000001-10000000": (2_000_000, 4_000_000), "LRG_5": (0, 0), "LRG_10": (0, 500)}
    lengths = {"chr19": 900, "chr20:6000001-10000000": 4_000_000, "LRG_5": 500, "LRG_10": 500}
    assert {name: inputs.unseen(name, length_bp, placements) for name, length_bp in lengths.items()} == wanted
