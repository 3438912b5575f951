"""Real genomes, whose numbers are known."""

import gzip
import time

import pyfaidx
import pytest

from ldarnet import vocab
from ldarnet.genome import open_genome, plan_windows


def totals(path, cache_dir):
    with open_genome(path, cache_dir=cache_dir) as opened:
        surveys = [opened.survey(contig.name) for contig in opened.contigs]
        return (
            len(opened.contigs),
            sum(contig.length_bp for contig in opened.contigs),
            sum(survey.num_n_bp for survey in surveys),
            sum(survey.num_iupac_bp for survey in surveys),
        )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("other_species/sacCer3.fa.gz", (17, 12_157_105, 0, 0)),
        ("human/grch38.chr20_and_21_10M.fa.gz", (2, 20_000_000, 6_370_726, 0)),
        ("human/lrg_genomic.fa.gz", (562, 46_135_879, 0, 0)),
    ],
)
def test_counts_of_real_genomes(shared_data, tmp_path, name, expected):
    path = shared_data / "data" / name
    assert totals(path, tmp_path) == expected
    assert totals(path, tmp_path) == expected, "from the kept index, where there is one"


def test_yeast_window_by_window_equals_pyfaidx(shared_data, tmp_path):
    path = tmp_path / "yeast.fa"
    path.write_bytes(gzip.decompress((shared_data / "data/other_species/sacCer3.fa.gz").read_bytes()))
    oracle = pyfaidx.Fasta(str(path), as_raw=True)
    with open_genome(path, cache_dir=tmp_path / "cache") as opened:
        assert [contig.name for contig in opened.contigs] == list(oracle.keys())
        for contig in opened.contigs:
            for window in plan_windows(contig, 50_000, 512):
                expected = vocab.encode(oracle[contig.name][window.start : window.end])
                assert (opened.ids(contig.name, window.start, window.end) == expected).all()
    oracle.close()


def test_a_genome_of_many_scaffolds_opens_in_seconds(tmp_path):
    path = tmp_path / "scaffolds.fa"
    path.write_text("".join(f">s{i}\n{'ACGTTGCATG' * 20}\n" for i in range(20_000)))
    started = time.perf_counter()
    assert totals(path, tmp_path / "cache") == (20_000, 4_000_000, 0, 0)
    assert time.perf_counter() - started < 5
