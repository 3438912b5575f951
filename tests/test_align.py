"""`ldarnet align` as a whole: a made-up genome whose track has a planted effect at donors and none at acceptors."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from ldarnet import vocab
from ldarnet.cli import app
from ldarnet.genome import Contig
from ldarnet.tracks import open_writer
from ldarnet_analysis import align_files
from ldarnet_analysis.panel import PANELS, read_panel
from ldarnet_analysis.sites import read_sites

NUM_GENES = 60
GENE_BP = 5_000
EFFECT = 0.3
# Four bases to either side of the cut, at the junctions and at as many places again that mean nothing.
LITERAL = {"donor": vocab.encode("ACAGGTAA"), "acceptor": vocab.encode("TCAGGAAC")}
DECOYS_PER_GENE = 20


def make_inputs(folder, *, names=("chr1", "chr2"), seed=0, without_values=()):
    """Genome, annotation with one intron per gene (both strands), and a track: noise, plus EFFECT at donors."""
    rng = np.random.default_rng(seed)
    length_bp = NUM_GENES // 2 * GENE_BP + 2_000
    lines, rows, contigs = [], [], [Contig(name, length_bp) for name in names]
    with open_writer(folder / "track.bw", contigs) as writer:
        for number, (name, length) in enumerate(contigs):
            ids = rng.integers(0, 4, length).astype(np.uint8)
            values = np.clip(rng.normal(0.3, 0.1, length), 0, 1)
            for gene in range(NUM_GENES // 2):
                start, strand = 1_000 + gene * GENE_BP, "+-"[gene % 2]
                first, last = start + 1_500, start + 2_500  # the intron, in the order of the genome
                donor, acceptor = (first, last) if strand == "+" else (last, first)
                for cut in rng.integers(start + 2_600, start + 4_900, DECOYS_PER_GENE):
                    write_literal(ids, int(cut), "+-"[cut % 2], rng.choice(["donor", "acceptor"]))
                write_literal(ids, donor, strand, "donor")
                write_literal(ids, acceptor, strand, "acceptor")
                values[donor - 3 : donor + 4] += EFFECT
                for exon_start, exon_end in ((start, first), (last, start + 4_000)):
                    note = f'gene_id "g{number}_{gene}"; transcript_id "t{number}_{gene}";'
                    row = [name, "x", "exon", exon_start + 1, exon_end, ".", strand, ".", note]
                    rows.append("\t".join(map(str, row)))
            values[0] = np.nan
            if name not in without_values:
                writer.write(name, 0, values.astype(np.float32))
            lines += [f">{name}", vocab.decode(ids)]
        writer.commit()
    (folder / "g.fa").write_text("\n".join(lines) + "\n")
    (folder / "a.gtf").write_text("\n".join(rows) + "\n")
    return ["--track", folder / "track.bw", "--fasta", folder / "g.fa", "--annotation", folder / "a.gtf"]


def write_literal(ids, cut, strand, site_class):
    letters = LITERAL[site_class]
    ids[cut - 4 : cut + 4] = letters if strand == "+" else vocab.reverse_complement(letters)


def run(*arguments):
    return CliRunner().invoke(app, ["align", *map(str, arguments)])


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("align")
    panel = folder / "panel.toml"
    panel.write_text('[[entry]]\nname = "donor"\nkind = "donor"\n\n[[entry]]\nname = "acceptor"\nkind = "acceptor"\n')
    done = run(*make_inputs(folder), "--panel", panel, "--out", folder / "out", "--flank", 100)
    assert done.exit_code == 0, done.output
    return folder / "out", done.output


def test_a_planted_effect_is_found_and_no_other(results):
    tests = pd.read_csv(results[0] / "tests.tsv", sep="\t")
    primary = tests[(tests["rung"] == "same-kmer") & (tests["signal"] == "residual")].set_index("class")
    assert primary.loc["donor", "effect"] == pytest.approx(EFFECT, abs=0.05)
    assert primary.loc["donor", "q"] < 0.01 and primary.loc["donor", "lo"] > 0.2
    assert abs(primary.loc["acceptor", "effect"]) < 0.05 and primary.loc["acceptor", "p"] > 0.001
    assert primary["n_loci"].min() > NUM_GENES // 2


def test_every_rung_is_a_row_with_a_status(results):
    tests = pd.read_csv(results[0] / "tests.tsv", sep="\t", keep_default_na=False)
    assert not tests.duplicated(["class", "rung", "signal"]).any()
    needs_model = tests[tests["status"] == "needs model"]
    assert set(needs_model["rung"]) == {"context-swap", "planted", "ablated", "shuffled"}
    assert needs_model["reason"].str.contains("--model").all()
    made = tests[tests["status"] == "ok"]
    assert {"random", "gc", "matched", "same-dinucleotide", "same-kmer"} == set(made["rung"])


def test_the_files_of_an_analysis(results):
    out, output = results
    assert "60 of 60 introns (100.00%) read GT..AG" in output
    sites = read_sites(out / "sites.tsv")
    assert sites["class"].value_counts().to_dict() == {"donor": NUM_GENES, "acceptor": NUM_GENES}
    profiles = pd.read_csv(out / "profiles.tsv", sep="\t")
    assert set(profiles["signal"]) == {"raw", "residual", "cut-rate"}
    donors = profiles[(profiles["class"] == "donor") & (profiles["rung"] == "sites") & (profiles["signal"] == "raw")]
    assert donors.set_index("offset")["mean"].idxmax() in range(-3, 4)
    balance = pd.read_csv(out / "balance.tsv", sep="\t")
    assert (balance[balance["rung"] != "random"]["smd_after"].abs() <= 0.1).all()
    record = json.loads((out / "run.json").read_text())
    assert record["inputs"]["track"]["name"] == "track.bw" and record["settings"]["flank_bp"] == 100
    names = {path.name for path in (out / "figures").iterdir()}
    assert {"donor.panel.pdf", "donor.panel.svg", "donor.panel.png", "donor.forest.png", "lookup-r2.png"} <= names
    page = (out / "report.html").read_text()
    assert "donor" in page and "http://" not in page.replace("http://www.w3.org", "")


def test_names_without_chr_are_resolved(tmp_path):
    inputs = make_inputs(tmp_path)
    gtf = tmp_path / "a.gtf"
    gtf.write_text(gtf.read_text().replace("chr", ""))
    panel = tmp_path / "panel.toml"
    panel.write_text('[[entry]]\nname = "donor"\nkind = "donor"\n')
    done = run(*inputs, "--panel", panel, "--controls", "random", "--out", tmp_path / "out", "--flank", 50)
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--controls", "gc,nearest"], 1, "got nearest"),
        (["--panel", "nothing.toml"], 1, "cannot read panel nothing.toml"),
        (["--sites", "s.bed"], 2, "expected one of --annotation, --sites and --aligned"),
        (["--anchor-index", "3"], 2, "--aligned and --anchor-index go together"),
        (["--lookup-track", "t.bw"], 1, "--lookup-track needs --lookup-fasta"),
        (["--lookup-track-minus", "t.bw"], 1, "--lookup-track-minus needs --lookup-track"),
        (["--lookup-track", "t.bw", "--lookup-fasta", "g.fa", "--track-minus", "t.bw"], 1, "expected one for each of"),
        (["--lookup-track", "t.bw", "--lookup-fasta", "g.fa"], 1, "no such file: t.bw"),
    ],
)
def test_bad_requests(tmp_path, arguments, status, message):
    done = run(*make_inputs(tmp_path), "--out", tmp_path / "out", *arguments)
    assert done.exit_code == status
    assert message in " ".join(done.output.replace("│", " ").split())


@pytest.mark.skipif(shutil.which("bedtools") is None, reason="bedtools is not installed")
def test_both_strands_with_lookups_from_elsewhere_and_a_shuffled_pool(tmp_path, monkeypatch):
    monkeypatch.setattr(align_files, "draw_results", lambda *_: None)  # drawn in other tests
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    for folder, names in ((elsewhere, ("chr3", "chr4")), (here, ("chr1", "chr2"))):
        folder.mkdir()
        inputs = make_inputs(folder, names=names)
        shutil.copy(folder / "track.bw", folder / "minus.bw")
    panel = tmp_path / "panel.toml"
    panel.write_text('[[entry]]\nname = "donor"\nkind = "donor"\n')
    lookups = ["--lookup-track", elsewhere / "track.bw", "--lookup-track-minus", elsewhere / "minus.bw"]
    choices = ["--panel", panel, "--controls", "random,same-kmer", "--flank", 50, "--lookup-fasta", elsewhere / "g.fa"]
    pairs = {}
    for pool in ("uniform", "bedtools"):
        out = tmp_path / pool
        done = run(*inputs, "--track-minus", here / "minus.bw", *lookups, *choices, "--pool", pool, "--out", out)
        assert done.exit_code == 0, done.output
        pairs[pool] = pd.read_csv(out / "pairs.tsv", sep="\t")
    record = json.loads((out / "run.json").read_text())
    assert {strand: each["track"] for strand, each in record["lookup"].items()} == {"+": "track.bw", "-": "minus.bw"}
    assert record["settings"]["pool"] == "bedtools"
    random, literal = ({k: v[v["rung"] == rung] for k, v in pairs.items()} for rung in ("random", "same-kmer"))
    assert len(random["bedtools"]) == NUM_GENES and not random["bedtools"]["cut"].equals(random["uniform"]["cut"])
    assert literal["bedtools"].reset_index(drop=True).equals(literal["uniform"].reset_index(drop=True))


def test_an_annotation_of_another_assembly_is_refused(tmp_path):
    inputs = make_inputs(tmp_path)
    gtf = tmp_path / "a.gtf"
    moved = [line.split("\t") for line in gtf.read_text().splitlines()]
    for row in moved:
        row[3], row[4] = str(int(row[3]) + 37), str(int(row[4]) + 37)
    gtf.write_text("\n".join("\t".join(row) for row in moved) + "\n")
    done = run(*inputs, "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert "most likely of different assemblies" in done.output


def test_a_track_of_some_contigs_is_read_there_only(tmp_path, monkeypatch):
    monkeypatch.setattr(align_files, "draw_results", lambda *_: None)
    panel = tmp_path / "panel.toml"
    panel.write_text('[[entry]]\nname = "donor"\nkind = "donor"\n')
    choices = ["--panel", panel, "--controls", "random,same-kmer", "--flank", 50, "--out", tmp_path / "out"]
    done = run(*make_inputs(tmp_path, without_values=["chr2"]), *choices)
    assert done.exit_code == 0, done.output
    assert f"donor: dropped {NUM_GENES // 2} of {NUM_GENES} sites: track.bw has no values there" in done.output
    for name in ("sites", "pairs"):
        assert set(pd.read_csv(tmp_path / "out" / f"{name}.tsv", sep="\t")["chrom"]) == {"chr1"}
    tests = pd.read_csv(tmp_path / "out" / "tests.tsv", sep="\t")
    assert set(tests["status"]) <= {"ok", "degenerate"} and tests["n_sites"].max() == NUM_GENES // 2


def test_sites_where_the_track_has_nothing_are_an_error(tmp_path):
    inputs = make_inputs(tmp_path, without_values=["chr2"])
    bed = tmp_path / "mine.bed"
    bed.write_text("chr2\t5000\t5001\tx\t0\t+\n")
    done = run(*inputs[:4], "--sites", bed, "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert "track.bw has no values at any of its 1 sites" in done.output


def test_a_track_of_another_genome_is_refused(tmp_path):
    inputs = make_inputs(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    make_inputs(other, names=("scaffold1", "scaffold2"))
    done = run("--track", other / "track.bw", *inputs[2:], "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert "scaffold1" in done.output and "chr1" in done.output


def test_panels_name_their_classes():
    assert [entry.name for entry in read_panel("default")] == [
        *("donor", "acceptor", "TATA-box", "CCAAT-box", "GC-box", "Inr"),
    ]
    for name, make in PANELS.items():
        assert read_panel(name) == make()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected [[entry]] tables, got none"),
        ('[[entry]]\nkind = "donor"', "entry 1: expected a name"),
        ('[[entry]]\nname = "x"\nkind = "enhancer"', "expected a kind of donor"),
        ('[[entry]]\nname = "x"\nkind = "donor"\ncolour = 3', "unknown keys colour"),
        ('[[entry]]\nname = "x"\niupac = "TATAWA"', "window: expected two whole numbers"),
        ('[[entry]]\nname = "x"\nmatrix = "MA1"\nwindow = [0, 9]', "no matrix 'MA1'; there are none"),
        ('[[entry]]\nname = "x"\nkind = "donor"\n[[entry]]\nname = "x"\nkind = "TSS"', "every name once, got x"),
        ('[[entry]]\nname = "a b"\nkind = "donor"\n[[entry]]\nname = "a/b"\nkind = "TSS"', "files called a_b"),
    ],
)
def test_broken_panels_say_where(tmp_path, text, message):
    path = tmp_path / "panel.toml"
    path.write_text(text)
    with pytest.raises(ValueError) as error:
        read_panel(str(path))
    assert str(path) in str(error.value) and message in str(error.value)
