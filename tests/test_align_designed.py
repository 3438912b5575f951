"""`ldarnet align` with a model at hand: rungs of designed sequences, and what becomes of the rest where they fail."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ldarnet.genome import open_genome
from ldarnet.tracks import open_writer
from ldarnet_analysis import align_files
from ldarnet_analysis.align_request import AlignRequest
from ldarnet_analysis.designs import design, local_span
from ldarnet_analysis.given_sites import read_bed_sites
from ldarnet_analysis.positions import sense_bases
from tests.test_align import NUM_GENES, make_inputs, run

ENTRY = '[[entry]]\nname = "{}"\nkind = "{}"\n'


def noise_model(fasta, out):
    """Writes a track of noise."""
    rng = np.random.default_rng(5)
    with open_genome(fasta) as genome, open_writer(out, genome.contigs) as writer:
        for name, length_bp in genome.contigs:
            values = rng.random(length_bp).astype(np.float32)
            values[0] = np.nan
            writer.write(name, 0, values)
        writer.commit()


@pytest.fixture
def request_of(tmp_path, monkeypatch):
    """Makes a request about the made-up genome, whose files are in tmp_path."""
    monkeypatch.setattr(align_files, "draw_results", lambda *_: None)  # drawn in other tests
    _, track, _, fasta, _, annotation = make_inputs(tmp_path)

    def request(panel="", **choices):
        (tmp_path / "panel.toml").write_text(panel)
        files = {"panel": str(tmp_path / "panel.toml")} if panel else {}
        if "sites" not in choices:
            files["annotation"] = annotation
        return AlignRequest(out=tmp_path / "out", track=track, fasta=fasta, flank_bp=50, **files, **choices)

    return request


def table(folder, name):
    return pd.read_csv(folder / "out" / f"{name}.tsv", sep="\t")


def test_what_is_done_with_a_class_follows_from_its_kind_not_its_name(request_of, tmp_path):
    rungs = ("gc", "same-dinucleotide", "context-swap", "planted", "ablated")
    panel = "".join(ENTRY.format(*each) for each in (("donor", "donor"), ("donor_5ss", "donor"), ("mine", "acceptor")))
    align_files.align_files(request_of(panel, rungs=rungs), print, noise_model)
    tests = table(tmp_path, "tests")
    assert len(tests) == 3 * 5 * 3 and set(tests["status"]) <= {"ok", "degenerate"}
    sites = table(tmp_path, "sites")
    assert sites["site_id"].is_unique and sites["class"].value_counts().to_dict() == dict.fromkeys(
        ["donor", "donor_5ss", "mine"], NUM_GENES
    )
    ids = set(table(tmp_path, "pairs")["site_id"])
    assert all(any(each.startswith(f"{name}:") for each in ids) for name in ("donor", "donor_5ss", "mine"))


def test_sites_of_ones_own_are_no_donors_whatever_their_file_is_called(request_of, tmp_path):
    request = request_of(rungs=("planted",), sites=tmp_path / "donor.bed")
    request.sites.write_text("".join(f"chr1\t{at}\t{at + 1}\tx\t0\t+\n" for at in range(1000, 90_000, 2000)))
    align_files.align_files(request, print, noise_model)
    sites = read_bed_sites(request.sites, "start", "donor")
    with open_genome(request.fasta) as genome:
        cuts = zip(sites["site_id"], sites["cut"], strict=True)
        window = {site: genome.ids("chr1", cut - 50, cut + 50) for site, cut in cuts}
    with open_genome(tmp_path / "out" / "designs" / "designs.fa") as records:
        designs = table(tmp_path, "designs/designs")
        for row in designs[designs["rung"] == "planted"].itertuples():
            ids = records.ids(row.record, 0, records.contigs[0].length_bp)[row.cut - 50 : row.cut + 50]
            assert (ids[46:54] == window[row.site_id][46:54]).all()
    with open_genome(request.fasta) as genome:
        assert local_span(sites, "given") == (-4, 4) and local_span(sites) == (-3, 6)
        assert local_span(sites.assign(**{"class": "x"}), "acceptor") == (-20, 3)
        one, other = (design("planted", sites, genome, 100, kind=kind, seed=1) for kind in ("given", "donor"))
    assert any((a != b).any() for (_, a), (_, b) in zip(one.records, other.records, strict=True))


DONOR = ENTRY.format("donor", "donor")


@pytest.mark.parametrize(
    ("panel", "choices", "message"),
    [
        (DONOR + "test_window = [-60, 3]\n", {}, "donor: expected a test window, and cut_at"),
        (DONOR + "test_window = [0, 51]\n", {}, "within the flank of 50 bp, got 0..51 and 0"),
        (DONOR + "cut_at = 50\n", {}, "got -3..3 and 50: give a larger --flank"),
        (DONOR, {"rungs": ("gc", "same-kmer", "gc")}, "expected every rung once, got gc again"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_done(request_of, tmp_path, panel, choices, message):
    with pytest.raises(ValueError) as error:
        align_files.align_files(request_of(panel, **choices), print, noise_model)
    assert message in str(error.value) and not (tmp_path / "out").exists()


def test_a_model_that_cannot_be_loaded_is_refused_before_anything_is_done(tmp_path):
    (tmp_path / "m.safetensors").write_text("no model")
    inputs = make_inputs(tmp_path)
    done = run(*inputs, "--model", tmp_path / "m.safetensors", "--out", tmp_path / "out", "--flank", 50)
    assert done.exit_code == 1 and "m.safetensors" in done.output
    assert not (tmp_path / "out").exists()


def failing_model(fasta, out):
    raise ValueError("no memory left")


@pytest.mark.parametrize("breaks", ["the model", "the test"])
def test_designed_rungs_that_fail_leave_the_others(request_of, tmp_path, monkeypatch, breaks):
    if breaks == "the test":

        def broken(*_):
            raise ValueError("no memory left")

        monkeypatch.setattr("ldarnet_analysis.align.read_rung", broken)
    model = failing_model if breaks == "the model" else noise_model
    align_files.align_files(request_of(DONOR, rungs=("gc", "planted", "ablated")), print, model)
    tests = table(tmp_path, "tests").set_index(["rung", "signal"])
    assert (tests.loc["gc", "status"] == "ok").all() and len(tests) == 9
    failed = tests.loc[["planted", "ablated"]]
    assert (failed["status"] == "failed").all() and failed["reason"].str.contains("no memory left").all()
    assert len(table(tmp_path, "odds")) == 1 and set(table(tmp_path, "profiles")["rung"]) == {"sites", "gc"}


def test_a_test_half_made_leaves_no_rows_of_its_own(request_of, tmp_path, monkeypatch):
    """A window that reaches beyond what designed sequences hold, but not beyond the flank."""
    panel = DONOR + "test_window = [-50, 50]\n"
    request = request_of(panel, rungs=("gc", "planted"))
    settings = align_files._settings
    monkeypatch.setattr(align_files, "_settings", lambda asked: replace(settings(asked), design_window_bp=60))
    align_files.align_files(request, print, noise_model)
    tests = table(tmp_path, "tests").set_index(["rung", "signal"])
    assert (tests.loc["gc", "status"] == "ok").all() and tests.index.is_unique
    assert (tests.loc["planted", "status"] == "failed").all()
    assert tests.loc["planted", "reason"].str.contains("expected a test window within the offsets -29..29").all()
    assert "planted" not in set(table(tmp_path, "profiles")["rung"])


def test_refused_controls_give_no_odds_no_offsets_and_no_contexts(request_of, tmp_path, monkeypatch):
    def refused(balance):
        return "gc differs by 0.30 SD" if (balance["rung"] == "matched").all() else ""

    monkeypatch.setattr("ldarnet_analysis.align.imbalance", refused)
    align_files.align_files(request_of(DONOR, rungs=("gc", "matched", "context-swap")), print, noise_model)
    tests, odds, max_t = (table(tmp_path, name) for name in ("tests", "odds", "max_t"))
    assert set(tests.loc[tests["rung"] == "matched", "status"]) == {"unbalanced"}
    row = odds[odds["rung"] == "matched"].iloc[0]
    assert row["status"] == "unbalanced" and row["n_loci"] > 0
    assert row[["odds_ratio", "lo", "hi", "site_share", "control_share"]].isna().all()
    assert set(max_t["rung"]) == {"gc", "context-swap"}
    pairs = table(tmp_path, "pairs")
    contexts = {rung: rows.set_index("site_id")[["chrom", "cut", "strand"]] for rung, rows in pairs.groupby("rung")}
    designs = table(tmp_path, "designs/designs")
    swapped = designs[designs["rung"] == "context-swap"].iloc[0]
    chrom, cut, strand = contexts["gc"].loc[swapped["site_id"]]
    with open_genome(tmp_path / "g.fa") as genome, open_genome(tmp_path / "out/designs/designs.fa") as records:
        got = records.ids(swapped["record"], 0, 512)
        assert (got[:250] == sense_bases(genome, chrom, cut, strand, 256, 256)[:250]).all()


def test_without_balanced_controls_there_are_no_contexts(request_of, tmp_path, monkeypatch):
    monkeypatch.setattr("ldarnet_analysis.align.imbalance", lambda balance: "too far off")
    with pytest.raises(ValueError, match="context-swap needs the pairs of balanced controls"):
        align_files.align_files(request_of(DONOR, rungs=("gc", "context-swap")), print, noise_model)
