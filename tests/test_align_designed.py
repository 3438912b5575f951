"""`ldarnet align` with a model at hand: rungs of designed sequences, and what becomes of the rest where they fail."""

import numpy as np
import pandas as pd
import pytest

from ldarnet.genome import open_genome
from ldarnet.tracks import open_writer
from ldarnet_analysis import align_files
from ldarnet_analysis.align_request import AlignRequest
from ldarnet_analysis.designs import design, local_span
from ldarnet_analysis.given_sites import read_bed_sites
from tests.test_align import NUM_GENES, make_inputs

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
