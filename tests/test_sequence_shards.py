"""Corpora in shards on disk: the bases and draws of the FASTA they are of, resumable, and refused where damaged."""

import gzip
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ldarnet import vocab
from ldarnet.cli import app
from ldarnet.genome import open_genome
from ldarnet.train import sequence_shards_make
from ldarnet.train.corpus import GenomeSource, load_corpus
from ldarnet.train.sequence_shards import SequenceShard, pack_bases
from ldarnet.train.sequence_shards_corpus import ShardFolder
from ldarnet.train.sequence_shards_make import parse_source, write_shards
from ldarnet.train.settings import load_settings

from .command_line import letters, write_fasta
from .genome_files import twobit_bytes


def make(out, *files, shard_bp=500):
    return write_shards([parse_source(str(file)) for file in files], out, shard_bp=shard_bp, say=lambda line: None)


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("shard*"))}


@pytest.fixture
def files(tmp_path):
    a = {f"a{i}": letters(i, size, "ACGTACGTacgtNR") for i, size in enumerate((301, 7, 450, 64))}
    a["a4"] = "N" * 33 + letters(9, 90) + "N" * 5 + letters(8, 71)
    b = {"b0": letters(20, 1_000), "b1": letters(21, 222, "ACGTN")}
    return write_fasta(tmp_path / "a.fa", **a), write_fasta(tmp_path / "b.fna", **b)


@pytest.fixture
def shards(files, tmp_path):
    make(tmp_path / "shards", *files)
    return tmp_path / "shards"


def test_every_base_comes_back(files, shards):
    folder = ShardFolder(shards)
    number = 0
    for path in files:
        with open_genome(path) as genome:
            for name, length_bp in genome.contigs:
                shard, row = folder.place(number)
                assert shard.name(row) == name
                np.testing.assert_array_equal(folder.ids(number, 0, length_bp), genome.ids(name, 0, length_bp))
                assert shard.contigs[row]["md5"].tobytes().hex() == genome.survey(name).md5
                number += 1
    assert number == sum(shard.header.num_contigs for shard in folder.shards)
    assert len(folder.shards) == 3


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_stretch_comes_back(shards, files, data):
    folder = ShardFolder(shards)
    with open_genome(files[0]) as genome:
        number = data.draw(st.integers(0, 4))
        name, length_bp = genome.contigs[number]
        start = data.draw(st.integers(0, length_bp))
        end = data.draw(st.integers(start, length_bp))
        np.testing.assert_array_equal(folder.ids(number, start, end), genome.ids(name, 0, length_bp)[start:end])


@given(st.lists(st.integers(0, 4), max_size=50))
def test_packing_holds_every_base(ids):
    packed = pack_bases(np.array(ids, dtype=np.uint8))
    assert len(packed) == -(-len(ids) // 4)
    unpacked = [int(packed[i // 4]) >> 2 * (i % 4) & 3 for i in range(len(ids))]
    assert unpacked == [0 if base == vocab.N else base for base in ids]


def test_windows_are_drawn_as_from_the_fasta(files, shards):
    fasta = [GenomeSource(str(files[0]), weight=0.3), GenomeSource(str(files[1]))]
    sharded = [replace(each, fasta=str(shards / name)) for each, name in zip(fasta, ("a", "b"), strict=True)]
    of_fasta, of_shards = (load_corpus(each, 64, seed=5, max_unknown_share=0.3) for each in (fasta, sharded))
    assert of_shards.genomes == of_fasta.genomes
    for draw in range(500):
        np.testing.assert_array_equal(of_shards.window(draw), of_fasta.window(draw))


def test_a_folder_is_one_genome_of_all_its_contigs(shards):
    corpus = load_corpus([GenomeSource(str(shards))], 64, seed=0, max_unknown_share=0.5)
    parts = load_corpus([GenomeSource(str(shards / name)) for name in "ab"], 64, seed=0, max_unknown_share=0.5)
    assert (len(corpus.genomes), corpus.num_bases) == (1, parts.num_bases)
    assert corpus.genomes[0].num_short_stretches == 1


def test_the_fingerprint_is_that_of_the_sequences(files, shards, tmp_path):
    def fingerprint(folder):
        return load_corpus([GenomeSource(str(folder))], 64, seed=0, max_unknown_share=0.5).fingerprint()

    make(tmp_path / "others", *files, shard_bp=10_000)
    assert fingerprint(tmp_path / "others") == fingerprint(shards)
    files[1].write_text(files[1].read_text().replace("ACG", "ACT", 1))
    make(tmp_path / "changed", *files)
    assert fingerprint(tmp_path / "changed") != fingerprint(shards)


def test_other_formats_give_the_same_shards(tmp_path):
    records = {"c0": letters(1, 301, "ACGTN"), "c1": "NN" + letters(2, 90) + "N"}
    write_fasta(tmp_path / "g.fa", **records)
    (tmp_path / "g.fa.gz").write_bytes(gzip.compress((tmp_path / "g.fa").read_bytes()))
    (tmp_path / "g.2bit").write_bytes(twobit_bytes(records))
    made = []
    for name in ("g.fa", "g.fa.gz", "g.2bit"):
        make(tmp_path / f"of-{name}", tmp_path / name)
        made.append((tmp_path / f"of-{name}/shard-00001.ldn").read_bytes())
    assert made[0] == made[1] == made[2]


def test_a_stopped_run_goes_on_and_ends_the_same(files, shards, tmp_path, monkeypatch):
    out = tmp_path / "again"
    real = sequence_shards_make.ShardSeries.end_contig
    for num_contigs in (2, 4, 2):  # within the first shard, behind it, within the second
        left = [num_contigs]

        def stop(self, *args, left=left):
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            return real(self, *args)

        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(sequence_shards_make.ShardSeries, "end_contig", stop)
            make(out, *files)
        assert not (out / "shards.json").exists()
        assert not list(out.glob(".shard-*"))
    first = out / "shard-00001.ldn"
    before = first.stat().st_mtime_ns
    make(out, *files)
    assert contents(out) == contents(shards)
    assert first.stat().st_mtime_ns == before


def test_a_finished_folder_is_left_alone_and_never_mixed(files, shards):
    before = contents(shards)
    make(shards, *files)
    assert contents(shards) == before
    with pytest.raises(ValueError, match="expected an empty folder, got the shards of other files or sizes"):
        make(shards, files[0])
    (shards / "shards.json").unlink()
    with pytest.raises(ValueError, match=r"expected an empty folder, got shards without shards\.json"):
        make(shards, *files)


def test_files_are_told_apart_by_names(files, tmp_path):
    copy = tmp_path / "more" / "a.fasta"
    copy.parent.mkdir()
    shutil.copy(files[0], copy)
    with pytest.raises(ValueError, match=r"a\.fa and .*a\.fasta are both called a: name one as NAME=FILE"):
        make(tmp_path / "out", files[0], copy)
    make(tmp_path / "out", files[0], f"other={copy}")
    assert list(ShardFolder(tmp_path / "out").sources) == ["a", "other"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda b: b"", "expected a shard, got an empty file"),
        (lambda b: b">chr1\nACGT\n" * 50, "expected a shard, as ldarnet data shard writes it, got b'>chr1"),
        (lambda b: b[:60], "expected a header of 128 bytes, got 60: the file is cut short"),
        (lambda b: b[:-1], r"expected \d+ bytes, got \d+: the file is cut short"),
        (lambda b: b + b"x", "longer than it was written"),
        (lambda b: b[:8] + b"\2" + b[9:], "expected version 1 of the format, got 2: update ldarnet"),
        (lambda b: b[:20] + bytes([b[20] ^ 1]) + b[21:], "the header is damaged"),
        (lambda b: b[:-3] + b"xyz", "the tables of contigs are damaged"),
    ],
)
def test_damaged_and_foreign_shards_are_named(shards, damage, message):
    path = shards / "shard-00002.ldn"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=message) as caught:
        load_corpus([GenomeSource(str(shards))], 64, seed=0)
    assert "shard-00002.ldn" in str(caught.value)


def test_damaged_bases_are_found_where_asked(shards):
    path = shards / "shard-00001.ldn"
    content = bytearray(path.read_bytes())
    content[130] ^= 3
    path.write_bytes(content)
    shard = SequenceShard(path)
    with pytest.raises(ValueError, match=r"shard-00001\.ldn: the bases are damaged: expected SHA-256"):
        shard.verify()
    done = CliRunner().invoke(app, ["data", "shards", str(shards), "--verify"])
    assert done.exit_code == 1
    assert "the bases are damaged" in done.output


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("{", "shards.json: expected JSON"),
        ("[]", "expected a JSON object, got list"),
        ('{"format": "x"}', "expected the index of ldarnet data shard"),
        ('{"format": "ldarnet shards", "version": 9}', "expected version 1, got 9: update ldarnet"),
        ('{"format": "ldarnet shards", "version": 1}', "it lacks 'sources'"),
        ('{"format": "ldarnet shards", "version": 1, "sources": [], "shards": []}', "at least one shard, got none"),
    ],
)
def test_a_bad_index_is_named(shards, index, message):
    (shards / "shards.json").write_text(index)
    with pytest.raises(ValueError, match=message):
        ShardFolder(shards)


def test_missing_and_swapped_shards_are_named(shards):
    first, second = (shards / f"shard-0000{number}.ldn" for number in (1, 2))
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    with pytest.raises(ValueError, match=r"shard-00001\.ldn: expected the shard that shards\.json names"):
        ShardFolder(shards)
    first.write_bytes(kept)
    second.unlink()
    with pytest.raises(ValueError, match=r"cannot read the shard .*shard-00002\.ldn: No such file"):
        ShardFolder(shards)


def test_wrong_sources_are_named(shards, tmp_path):
    with pytest.raises(ValueError, match="no source 'c' in its shards; there are a, b"):
        load_corpus([GenomeSource(str(shards / "c"))], 64, seed=0)
    with pytest.raises(ValueError, match=r"expected a FASTA, or a folder of shards with shards\.json"):
        load_corpus([GenomeSource(str(tmp_path))], 64, seed=0)
    with pytest.raises(ValueError, match="intervals go with a FASTA, not with shards"):
        load_corpus([GenomeSource(str(shards), intervals="x.bed")], 64, seed=0)
    with pytest.raises(ValueError, match="expected a contig of at least 5,000 bases, the window, got 7 contigs"):
        load_corpus([GenomeSource(str(shards))], 5_000, seed=0)


def test_windows_of_too_many_unknown_are_refused(tmp_path):
    make(tmp_path / "out", write_fasta(tmp_path / "n.fa", c=letters(1, 9) + "N" * 5_000))
    corpus = load_corpus([GenomeSource(str(tmp_path / "out"))], 100, seed=0)
    with pytest.raises(ValueError, match=r"expected windows of 100 bases with at most 10 N.*first stretch c:0-5009"):
        corpus.window(0)


def test_train_takes_folders_where_it_takes_shards(shards):
    found = load_settings(None, {"train.shards": [str(shards / "a")]})
    assert (found.shards, found.genomes) == ((), (GenomeSource(str(shards / "a")),))
    with pytest.raises(ValueError, match="expected folders of shards or files, got both"):
        load_settings(None, {"train.shards": [str(shards), "part.fa"]})


def test_the_command_says_what_it_made(files, tmp_path):
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["data", "shard", *map(str, files), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "2,243 bases of 7 contigs in 1 shards" in done.output
    listed = CliRunner().invoke(app, ["data", "shards", str(out), "--verify"])
    assert listed.stdout.splitlines() == ["a\t5\t1021", "b\t2\t1222"]
    assert json.loads((out / "shards.json").read_text())["plan"]["sources"][0]["file"] == "a.fa"
    bad = CliRunner().invoke(app, ["data", "shard", str(tmp_path / "none.fa"), "--out", str(tmp_path / "x")])
    assert (bad.exit_code, "none.fa" in bad.output) == (1, True)
