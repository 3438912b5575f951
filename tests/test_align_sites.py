"""`ldarnet align` with sites, repeats and annotations that are not all on the genome, or that have no effect."""

import pandas as pd
import pytest

from ldarnet_analysis import align_files
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
