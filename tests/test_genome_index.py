"""The kept index: used while the file is the same, never believed when it is not."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ldarnet import vocab
from ldarnet.genome import GenomeError, genome, indexed, open_genome
from tests.genome_files import write_bgzf

LETTERS = "ACGTNNRYGATTACA" * 40


def fasta(letters=LETTERS, width=60):
    lines = [letters[i : i + width] for i in range(0, len(letters), width)]
    return "\n".join([">a", *lines, ">b", "NNN", ""]).encode()


@pytest.fixture(autouse=True)
def keep_all(monkeypatch):
    monkeypatch.setattr(indexed, "KEPT_FROM_BYTES", 0)


@pytest.fixture
def path(tmp_path):
    folder = tmp_path / "genomes"
    folder.mkdir()
    (folder / "x.fa").write_bytes(fasta())
    return folder / "x.fa"


def read(path, cache_dir):
    """All that can be known of a genome."""
    with open_genome(path, cache_dir=cache_dir) as opened:
        return [
            (
                contig,
                opened.ids(contig.name, 0, contig.length_bp).tolist(),
                opened.survey(contig.name)[:3],
                opened.survey(contig.name).n_runs.tolist(),
            )
            for contig in opened.contigs
        ]


def refuse(*_args):
    raise AssertionError("the file was read through again")


@pytest.mark.parametrize("is_bgzip", [False, True])
def test_a_second_opening_reads_nothing_through(path, tmp_path, monkeypatch, is_bgzip):
    if is_bgzip:
        write_bgzf(path, fasta(), block_bytes=50)
    first = read(path, tmp_path / "cache")
    monkeypatch.setattr(indexed, "read_records", refuse)
    assert read(path, tmp_path / "cache") == first
    assert list(path.parent.iterdir()) == [path], "nothing is written beside the genome"


def test_the_cache_is_where_the_environment_says(path, tmp_path, monkeypatch):
    monkeypatch.setenv("LDARNET_CACHE", str(tmp_path / "root"))
    read(path, None)
    assert len(list((tmp_path / "root" / "fai").iterdir())) == 1


def test_small_files_leave_no_index(path, tmp_path, monkeypatch):
    monkeypatch.setattr(indexed, "KEPT_FROM_BYTES", 1 << 20)
    read(path, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_changed_file_is_read_anew_even_with_its_old_size_and_time(path, tmp_path):
    read(path, tmp_path / "cache")
    status = path.stat()
    path.write_bytes(fasta(LETTERS[::-1], width=60))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    assert read(path, tmp_path / "cache") == read(path, tmp_path / "other")


def test_a_damaged_index_is_not_believed(path, tmp_path):
    cache_dir = tmp_path / "cache"
    expected = read(path, cache_dir)
    (kept,) = cache_dir.iterdir()
    data = kept.read_bytes()
    for broken in [
        b"",
        data[:10],
        data[:-1],
        *(data[:i] + b"?" + data[i + 1 :] for i in range(40, len(data), 211)),
    ]:
        kept.write_bytes(broken)
        assert read(path, cache_dir) == expected
        assert kept.read_bytes() == data, "and is replaced"


def test_foreign_indexes_beside_the_file_are_not_read(path, tmp_path):
    expected = read(path, tmp_path / "cache")
    path.with_suffix(".fa.fai").write_text("a\t5\t9\t2\t3\n")
    assert read(path, tmp_path / "other") == expected


def test_a_cache_that_cannot_be_written_does_no_harm(path, tmp_path):
    (tmp_path / "file").write_text("")
    assert read(path, tmp_path / "file" / "cache") == read(path, tmp_path / "cache")


def test_many_may_index_the_same_file_at_once(path, tmp_path):
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: read(path, tmp_path / "cache"), range(24)))
    assert all(result == results[0] for result in results)
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_file_that_changes_while_open_is_noticed(path, tmp_path, monkeypatch):
    monkeypatch.setattr(genome, "BLOCK_BP", 64)
    with open_genome(path, cache_dir=tmp_path / "cache") as opened:
        opened.ids("a", 0, 10)
        path.write_bytes(fasta(LETTERS[::-1]) + b"A")
        with pytest.raises(GenomeError, match=r"x\.fa: expected the file to stay as it was .*changed file"):
            opened.ids("a", 500, 510)


def test_a_replaced_file_is_still_the_one_that_was_opened(path, tmp_path, monkeypatch):
    monkeypatch.setattr(genome, "BLOCK_BP", 64)
    with open_genome(path, cache_dir=tmp_path / "cache") as opened:
        path.with_suffix(".new").write_bytes(b">other\nA\n")
        path.with_suffix(".new").replace(path)
        assert np.array_equal(opened.ids("a", 100, 500), vocab.encode(LETTERS[100:500]))
