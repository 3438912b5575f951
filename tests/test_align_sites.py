"""`ldarnet align` with sites, repeats and annotations that are not all on the genome, or that have no effect."""

import numpy as np
import pandas as pd
import pytest

from ldarnet import vocab
from ldarnet.genome import open_genome
from ldarnet_analysis import align_files
from ldarnet_analysis.positions import sense_bases
from ldarnet_analysis.report_sections import methods_section, summary_section
from ldarnet_analysis.result_tables import read_results
from tests.test_align import make_inputs, run


@pytest.fixture
def inputs(tmp_path, monkeypatch):
    """Options for track and FASTA of the made-up genome, whose annotation is a.gtf in tmp_path."""
    monkeypatch.setattr(align_files, "draw_results", lambda *_: None)  # drawn in other tests
    return make_inputs(tmp_path)[:4]


def bed(path, places, strand="+"):
    path.write_text("".join(f"{chrom}\t{at}\t{at + 1}\tx\t0\t{strand}\n" for chrom, at in places))
    return path


def table(folder, name):
    return pd.read_csv(folder / "out" / f"{name}.tsv", sep="\t")


def test_sites_and_repeats_off_the_genome_are_counted_and_the_rest_is_tested(inputs, tmp_path):
    places = [("1", at) for at in range(1000, 90_000, 2000)]
    sites = bed(tmp_path / "mine.bed", [*places, *places[:3], ("chr9", 5), ("chr2", 10**6), ("chr2", 10**6 + 1)])
    repeats = bed(tmp_path / "r.bed", [("1", 5000), ("chrUn_x", 7), ("2", 7000), ("2", 10**7)])
    done = run(
        *(*inputs, "--sites", sites, "--repeats", repeats, "--out", tmp_path / "out"),
        *("--controls", "random,matched", "--flank", 50),
    )
    assert done.exit_code == 0, done.output
    said = " ".join(done.output.split())
    assert (
        "mine.bed: dropped 1: sites on contigs that the genome lacks; 2: sites beyond the end of their contig; "
        "3: sites listed before" in said
    )
    dropped = "dropped 1: repeats on contigs that the genome lacks; 1: repeats beyond the end of their contig"
    assert f"r.bed: {dropped}" in said
    assert len(table(tmp_path, "sites")) == len(places) and set(table(tmp_path, "sites")["chrom"]) == {"chr1"}
    tests = table(tmp_path, "tests").set_index(["rung", "signal"])
    assert set(tests["status"]) == {"ok"} and set(tests.index.get_level_values("rung")) == {"random", "matched"}
    assert "repeat_share" in set(table(tmp_path, "balance")["covariate"])


@pytest.mark.parametrize("option", ["--sites", "--repeats"])
def test_files_of_another_genome_are_refused_with_both_lists(inputs, tmp_path, option):
    files = {"--sites": bed(tmp_path / "s.bed", [("chr1", 5000)]), "--repeats": bed(tmp_path / "r.bed", [("2", 9)])}
    bed(files[option], [("scaffold7", 5)])
    options = [word for pair in files.items() for word in pair]
    done = run(*inputs, *options, "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert "no chromosome name matches" in done.output and "scaffold7" in done.output and "chr1" in done.output


def test_a_file_of_repeats_that_is_not_there_is_named(inputs, tmp_path):
    sites = bed(tmp_path / "s.bed", [("chr1", 5000)])
    done = run(*inputs, "--sites", sites, "--repeats", tmp_path / "none.bed", "--out", tmp_path / "out")
    assert done.exit_code == 1 and "no such file" in done.output


def junctions(gtf):
    """(chrom, cut) of the introns' edges in the made-up annotation."""
    exons = pd.read_csv(gtf, sep="\t", header=None)
    return {(row[0], row[4]) for row in exons[::2].itertuples(index=False)} | {
        (row[0], row[3] - 1) for row in exons[1::2].itertuples(index=False)
    }


@pytest.fixture
def landmarks(monkeypatch):
    """What controls of each rung would keep away from; none is drawn."""
    seen = {}

    def drawn(rung, sites, genome, *, landmarks, **rest):
        seen[rung] = landmarks
        raise ValueError("enough is known")

    monkeypatch.setattr("ldarnet_analysis.align.draw_controls", drawn)
    return seen


def test_sites_of_an_annotation_to_avoid_are_no_controls_of_sites_of_ones_own(inputs, tmp_path, landmarks):
    sites = bed(tmp_path / "mine.bed", [("chr1", 700)])
    options = [*inputs, "--sites", sites, "--avoid", tmp_path / "a.gtf", "--flank", 50, "--out", tmp_path / "out"]
    done = run(*options, "--controls", "gc")
    assert "a.gtf: " in done.output and "sites are avoided by controls" in done.output
    annotated = {(row.chrom, row.cut) for row in landmarks["gc"].annotated.itertuples()}
    assert annotated >= junctions(tmp_path / "a.gtf") | {("chr1", 700), ("chr1", 1000)}, "donors, acceptors and a TSS"


def test_an_annotation_to_avoid_is_brought_onto_records(inputs, tmp_path):
    """The contigs are parts of chromosomes, 100 kb into them, which both annotations count on."""
    rows = [line.split("\t") for line in (tmp_path / "a.gtf").read_text().splitlines()]
    moved = ["\t".join([f"{r[0]}x", *r[1:3], str(int(r[3]) + 10**5), str(int(r[4]) + 10**5), *r[5:]]) for r in rows]
    half = len(moved) // 2 // 2 * 2
    (tmp_path / "b.gtf").write_text("\n".join(moved[:half]) + "\n")
    (tmp_path / "c.gtf").write_text("\n".join(moved[half:]) + "\n")
    ends = [f"chr{i}\tchr{i}x\t100000\t{100_000 + 152_000}\t+\n" for i in (1, 2)]
    (tmp_path / "records.tsv").write_text("contig\tchrom\tstart\tend\tstrand\n" + "".join(ends))
    (tmp_path / "panel.toml").write_text('[[entry]]\nname = "donor"\nkind = "donor"\n')
    done = run(
        *(*inputs, "--annotation", tmp_path / "b.gtf", "--avoid", tmp_path / "c.gtf", "--flank", 50),
        *("--records", tmp_path / "records.tsv", "--controls", "same-kmer", "--panel", tmp_path / "panel.toml"),
        *("--out", tmp_path / "out"),
    )
    assert done.exit_code == 0, done.output
    assert "c.gtf: 60 sites are avoided by controls" in done.output, "its 30 donors and 30 TSS"
    controls = {(row.chrom, row.cut) for row in table(tmp_path, "pairs").itertuples()}
    assert controls and not controls & junctions(tmp_path / "a.gtf")


def test_windows_of_motifs_about_avoided_tss_hold_no_controls(inputs, tmp_path, landmarks):
    rows = [line.split("\t") for line in (tmp_path / "a.gtf").read_text().splitlines()]
    for name, chrom in (("b.gtf", "chr1"), ("c.gtf", "chr2")):
        (tmp_path / name).write_text("\n".join("\t".join(row) for row in rows if row[0] == chrom) + "\n")
    (tmp_path / "panel.toml").write_text('[[entry]]\nname = "R"\niupac = "R"\nwindow = [-30, -20]\n')
    files = ["--annotation", tmp_path / "b.gtf", "--avoid", tmp_path / "c.gtf", "--panel", tmp_path / "panel.toml"]
    done = run(*inputs, *files, "--controls", "gc", "--flank", 50, "--out", tmp_path / "out")
    assert done.exit_code == 1 and "enough is known" in done.output
    windows = landmarks["gc"].exclude_regions
    about = windows[windows["end"] - windows["start"] == 10]
    assert about["chrom"].value_counts().to_dict() == {"chr1": 30, "chr2": 30}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sites", "s.bed", "--panel", "default"], "no effect of --panel with --sites"),
        (["--sites", "s.bed", "--records", "r.tsv"], "no effect of --records with --sites"),
        (["--sites", "s.bed", "--motifs", "m.meme", "--panel", "p"], "no effect of --panel, --motifs with --sites"),
        (["--annotation", "a.gtf", "--motifs", "m.meme"], "no effect of --motifs with a panel that is no file"),
        (["--aligned", "s.bed", "--anchor-index", 3, "--avoid", "a.gtf"], "no effect of --avoid, --fasta with --align"),
    ],
)
def test_options_without_effect_are_refused(inputs, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    for name in ("s.bed", "r.tsv", "m.meme"):
        (tmp_path / name).write_text("x")
    done = run(*inputs, *options, "--out", tmp_path / "out")
    assert done.exit_code == 1 and message in " ".join(done.output.split())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("motif", "alike"), [('iupac = "TATAWA"', "letters"), ('matrix = "M1"\np_value = 2e-3', "score")]
)
def test_decoys_share_the_letters_of_literals_and_the_score_of_matrices(inputs, tmp_path, motif, alike):
    """TATAAA and TATATA score alike as TATAWA."""
    rng = np.random.default_rng(1)
    lines = (tmp_path / "g.fa").read_text().split()
    for row in (1, 3):
        ids = bytearray(lines[row], "ascii")
        for at in range(1000, len(ids) - 100, 250):
            ids[at : at + 6] = [b"TATAAA", b"TATATA"][rng.integers(2)]
        lines[row] = ids.decode()
    (tmp_path / "g.fa").write_text("\n".join(lines) + "\n")
    (tmp_path / "m.meme").write_text(MEME)
    (tmp_path / "p.toml").write_text(f'[[entry]]\nname = "T"\n{motif}\nstrands = "sense"\nwindow = [-250, 250]\n')
    files = ["--panel", tmp_path / "p.toml", "--motifs", tmp_path / "m.meme", "--annotation", tmp_path / "a.gtf"]
    done = run(*inputs, *files, "--controls", "same-kmer", "--flank", 50, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    sites, pairs = table(tmp_path, "sites").set_index("site_id"), table(tmp_path, "pairs")
    with open_genome(tmp_path / "g.fa") as genome:

        def kmer(row):
            return vocab.decode(sense_bases(genome, row.chrom, row.cut, row.strand, 0, 6))

        same = [kmer(row) == kmer(sites.loc[row.site_id]) for row in pairs.itertuples()]
    assert len(same) > 20 and all(same) == (alike == "letters")
    results = read_results(tmp_path / "out")
    assert results.scored_classes == (frozenset("T") if alike == "score" else frozenset())
    page = summary_section(results)
    assert ("places with the same score of the matrix" in page) == ("same score</td>" in page) == (alike == "score")
    assert ("Controls of rung same-kmer share the score, not the letters, of T." in methods_section(results)) == (
        alike == "score"
    )


MEME = """MEME version 4

ALPHABET= ACGT

MOTIF M1 box
letter-probability matrix: alength= 4 w= 6 nsites= 100
0.01 0.01 0.01 0.97
0.97 0.01 0.01 0.01
0.01 0.01 0.01 0.97
0.97 0.01 0.01 0.01
0.49 0.01 0.01 0.49
0.97 0.01 0.01 0.01
"""
