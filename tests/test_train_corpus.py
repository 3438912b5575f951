"""Genomes, their intervals, and the windows drawn from them."""

import gzip
import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ldarnet import vocab
from ldarnet.train.corpus import (
    Corpus,
    GenomeSource,
    LoadedGenome,
    Stretch,
    load_corpus,
    load_genome,
    splits_of,
)
from ldarnet.train.draws import MAX_SEED, CorpusDraws
from tests.genome_files import gzip_bytes, twobit_bytes, write_bgzf

SEQUENCES = {"chr1": "ACGTTGCAAC" * 6, "chr2": "GGGATTNNAC" * 3}


def genome_of(*letters, name="g", weight=None):
    stretches = tuple(Stretch(f"c{i}", 10, 10 + len(text), vocab.encode(text)) for i, text in enumerate(letters))
    return LoadedGenome(name, stretches, weight)


def fasta_text(records=SEQUENCES):
    return "".join(f">{name}\n{letters}\n" for name, letters in records.items())


@pytest.fixture
def fasta(tmp_path):
    path = tmp_path / "toy.fa"
    path.write_text(fasta_text())
    return str(path)


def source(fasta, tmp_path, bed, split="train", name="x.bed"):
    path = tmp_path / name
    path.write_text(bed)
    return GenomeSource(fasta, intervals=str(path), split=split)


def spans(loaded):
    return [(stretch.contig, stretch.start, stretch.end) for stretch in loaded.stretches]


# Windows


@given(
    st.lists(st.text("ACGT", min_size=1, max_size=12), min_size=1, max_size=4),
    st.integers(1, 6),
    st.integers(0, MAX_SEED),
    st.integers(0, 2**40),
)
def test_a_window_lies_in_one_stretch_on_either_strand(letters, window_bp, seed, draw):
    genome = genome_of(*letters)
    if max(map(len, letters)) < window_bp:
        with pytest.raises(ValueError, match=f"g: expected a stretch of at least {window_bp} bases"):
            Corpus([genome], window_bp, seed)
        return
    window = Corpus([genome], window_bp, seed).window(draw)
    assert window.dtype == np.uint8
    allowed = {text[i : i + window_bp] for text in letters for i in range(len(text) - window_bp + 1)}
    assert {vocab.decode(window), vocab.decode(vocab.reverse_complement(window))} & allowed


def test_every_start_and_strand_is_as_likely():
    """Against a list of all windows made one by one."""
    letters = ("AACAGATCC", "CCGTGTA", "TTT")  # no window twice, on either strand
    windows = [text[i : i + 5] for text in letters for i in range(len(text) - 4)]
    both = [*windows, *(vocab.decode(vocab.reverse_complement(vocab.encode(each))) for each in windows)]
    assert len(set(both)) == len(both) == 2 * (5 + 3)
    corpus = Corpus([genome_of(*letters)], 5, seed=4)
    num = 8000
    counts = Counter(vocab.decode(corpus.window(draw)) for draw in range(num))
    assert set(counts) == set(both)
    chi_square = sum((count - num / 16) ** 2 / (num / 16) for count in counts.values())
    assert chi_square < 37.7, "15 degrees of freedom, p = 0.001"
    assert corpus.genomes[0].num_short_stretches == 1
    assert corpus.genomes[0].num_stretches == 2
    assert corpus.num_bases == 16


def test_a_window_is_a_function_of_seed_and_number():
    make = lambda seed: Corpus([genome_of("ACGTTGCAACGGT" * 9)], 20, seed)  # noqa: E731
    one, again, other = make(8), make(8), make(9)
    backwards = {draw: again.window(draw) for draw in reversed(range(50))}
    assert all((one.window(draw) == backwards[draw]).all() for draw in range(50))
    assert any((one.window(draw) != other.window(draw)).any() for draw in range(50))
    assert vocab.decode(one.window(31)) == "ACGTACCGTTGCAACGTACC"


def test_windows_are_the_callers_own():
    genome = genome_of("ACGT" * 5)
    corpus = Corpus([genome], 8, seed=0)
    for draw in range(10):
        corpus.window(draw)[:] = vocab.N
    assert vocab.decode(genome.stretches[0].ids) == "ACGT" * 5


def test_windows_with_many_n_are_drawn_again():
    corpus = Corpus([genome_of("ACGTTGCAACN" + 200 * "N" + "NACCA")], 10, seed=1)
    windows = {vocab.decode(corpus.window(draw)) for draw in range(200)}
    assert windows == {"ACGTTGCAAC", "CGTTGCAACN", "GTTGCAACGT", "NGTTGCAACG"}
    assert corpus.num_bases == 14
    corpus = Corpus([genome_of("AN" * 30, name="holes")], 10, seed=1)
    with pytest.raises(ValueError, match=r"holes: expected windows of 10 bases with at most 1 N, got 1,000 with more"):
        corpus.window(0)
    with pytest.raises(ValueError, match="holes: expected letters A, C, G, T, got stretches of nothing but N"):
        Corpus([genome_of("N" * 30, name="holes")], 10, seed=1)


# Weights


def shares(corpus, num=4000):
    """Of genomes made of one letter each."""
    first = Counter(vocab.decode(np.minimum(ids := corpus.window(draw), 3 - ids))[0] for draw in range(num))
    return {letter: count / num for letter, count in first.items()}


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ((None, None), (0.25, 0.75)),
        ((3.0, 1.0), (0.75, 0.25)),
        ((0.6, None), (0.6, 0.4)),
        ((0.0, None), (0.0, 1.0)),
        ((1.0, 0.0), (1.0, 0.0)),
    ],
)
def test_weights_are_shares_of_the_draws(weights, expected):
    genomes = [genome_of("A" * 100, weight=weights[0]), genome_of("C" * 300, weight=weights[1])]
    corpus = Corpus(genomes, 10, seed=2)
    assert [genome.weight for genome in corpus.genomes] == pytest.approx(expected)
    drawn = shares(corpus)
    for letter, share in zip("AC", expected, strict=True):
        assert drawn.get(letter, 0) == pytest.approx(share, abs=5 * (share * (1 - share) / 4000) ** 0.5)


@pytest.mark.parametrize(
    ("weights", "match"),
    [
        ((-1.0, 1.0), "g: expected a weight of 0 or more, got -1.0"),
        ((float("nan"), 1.0), "got nan"),
        ((0.0, 0.0), "expected genomes with a weight above 0, got 2 of weight 0"),
        ((1.0, None), "expected given weights below 1, to leave a share to g, got 1 in all"),
    ],
)
def test_weights_refused(weights, match):
    with pytest.raises(ValueError, match=match):
        Corpus([genome_of("A" * 100, weight=weight) for weight in weights], 10, seed=2)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"window_bp": 0}, "windows of 1 base or more, got 0"),
        ({"seed": -1}, "expected a seed from 0 to 9223372036854775807, got -1"),
        ({"max_unknown_share": 1.0}, "from 0 to below 1, got 1.0"),
    ],
)
def test_settings_refused(changes, match):
    with pytest.raises(ValueError, match=match):
        Corpus([genome_of("ACGT")], **({"window_bp": 2, "seed": 0} | changes))


def test_sources_of_weight_zero_are_not_read(fasta):
    corpus = load_corpus([GenomeSource(fasta), GenomeSource("missing.fa", weight=0)], 10, seed=0)
    assert [genome.name for genome in corpus.genomes] == ["toy"]
    with pytest.raises(ValueError, match="expected a weight above 0, got 0 for all of missing"):
        load_corpus([GenomeSource("missing.fa", weight=0)], 10, seed=0)
    with pytest.raises(ValueError, match="expected at least one genome, got none"):
        load_corpus([], 10, seed=0)


# The fingerprint


def test_fingerprint_is_that_of_the_bases_and_not_of_the_file(tmp_path):
    (tmp_path / "plain.fa").write_text(fasta_text())
    (tmp_path / "packed.fa.gz").write_bytes(gzip_bytes(fasta_text().lower().encode()))
    write_bgzf(tmp_path / "blocks.fna.bgz", fasta_text().encode())
    (tmp_path / "two.2bit").write_bytes(twobit_bytes(SEQUENCES))
    corpora = [load_corpus([GenomeSource(str(path))], 12, seed=3) for path in sorted(tmp_path.iterdir())]
    assert {corpus.genomes[0].name for corpus in corpora} == {"plain", "packed", "blocks", "two"}
    assert len({corpus.fingerprint() for corpus in corpora}) == 1
    assert len({corpus.window(17).tobytes() for corpus in corpora}) == 1
    assert corpora[0].fingerprint()[:16] == "625a58d9d1716eb5"


def test_fingerprint_tells_apart():
    genomes = [genome_of("ACGTACGT", "TTTTTTTT"), genome_of("CCCCCCCC", name="h")]
    variants = [
        (genomes, 4, 0.1),
        (genomes[::-1], 4, 0.1),
        (genomes, 5, 0.1),
        (genomes, 4, 0.3),
        ([genome_of("ACGTACGT", "TTTTTTTT", weight=0.5), genomes[1]], 4, 0.1),
        ([genome_of("ACGTACGA", "TTTTTTTT"), genomes[1]], 4, 0.1),
        ([genome_of("ACGTACGT"), genome_of("TTTTTTTT", "CCCCCCCC")], 4, 0.1),
        ([LoadedGenome("g", genomes[0].stretches[::-1]), genomes[1]], 4, 0.1),
    ]
    prints = [Corpus(each, window_bp, 0, share).fingerprint() for each, window_bp, share in variants]
    assert len(set(prints)) == len(variants)
    renamed = [genome_of("ACGTACGT", "TTTTTTTT", name="other"), genomes[1]]
    assert Corpus(renamed, 4, 99).fingerprint() == prints[0]


# Draws


def test_ranks_together_see_what_one_process_sees():
    corpus = Corpus([genome_of("ACGTTGCAACGGTTAACC" * 9)], 12, seed=1)
    alone = CorpusDraws(corpus)
    ranks = [CorpusDraws(corpus, rank, 3) for rank in range(3)]
    for num in (4, 1, 5):
        expected = [alone.take(num) for _ in range(3)]
        got = [rank.take(num) for rank in ranks]
        for one, other in zip(expected, got, strict=True):
            assert one.draws.tolist() == other.draws.tolist()
            assert (one.ids == other.ids).all()
    assert alone.state() == ranks[0].state() == ranks[2].state()
    assert one.ids.dtype == np.uint8
    assert one.draws.dtype == np.int64
    with pytest.raises(ValueError, match="expected a rank from 0 to 2 of 3, got 3"):
        CorpusDraws(corpus, 3, 3)
    with pytest.raises(ValueError, match="expected to take 1 window or more, got 0"):
        alone.take(0)


def test_going_on_from_a_state():
    corpus = Corpus([genome_of("ACGTTGCAACGGTTAACC" * 9)], 12, seed=1)
    draws, again = CorpusDraws(corpus), CorpusDraws(corpus)
    draws.take(7)
    again.restore(draws.state())
    assert (draws.take(5).ids == again.take(5).ids).all()
    other = CorpusDraws(Corpus([genome_of("ACGTTGCAACGGTTAACC" * 8)], 12, seed=1))
    with pytest.raises(ValueError, match=r"expected the corpus of the saved run, [0-9a-f]{64}, got"):
        other.restore(draws.state())


# Intervals


def test_whole_contigs_without_intervals(fasta):
    loaded = load_genome(GenomeSource(fasta))
    assert spans(loaded) == [("chr1", 0, 60), ("chr2", 0, 30)]
    assert [vocab.decode(stretch.ids) for stretch in loaded.stretches] == list(SEQUENCES.values())
    assert not loaded.stretches[0].ids.flags.writeable
    with pytest.raises(ValueError, match="toy: expected intervals to find split 'train' in, got none"):
        load_genome(GenomeSource(fasta, split="train"))


BED = "chr2\t3\t9\ttrain\nchr1\t5\t20\ttrain\nchr1\t20\t30\ttrain\nchr1\t40\t50\tvalid\nchr1\t8\t12\ttrain\n"


@pytest.mark.parametrize(
    "bed",
    [
        BED,
        BED.replace("\t", " ").replace("\n", "\r\n"),
        "track name=x\n# a comment\n\n" + BED,
        "\ufeffchrom\tstart\tend\tsplit\n" + BED,
        "#chrom\tchromStart\tchromEnd\tname\tsplit\n" + BED.replace("\ttrain", "\ta\ttrain").replace("\tva", "\tb\tva"),
    ],
)
def test_rows_of_a_split_merged_and_in_the_order_of_the_genome(fasta, tmp_path, bed):
    loaded = load_genome(source(fasta, tmp_path, bed))
    assert spans(loaded) == [("chr1", 5, 30), ("chr2", 3, 9)]
    assert vocab.decode(loaded.stretches[0].ids) == SEQUENCES["chr1"][5:30]
    assert spans(load_genome(source(fasta, tmp_path, bed, "valid"))) == [("chr1", 40, 50)]
    assert spans(load_genome(source(fasta, tmp_path, bed, None))) == [("chr1", 5, 30), ("chr1", 40, 50), ("chr2", 3, 9)]
    assert splits_of(tmp_path / "x.bed") == ("train", "valid")


def test_gzip_intervals_and_plain_bed(fasta, tmp_path):
    path = tmp_path / "x.bed.gz"
    path.write_bytes(gzip.compress(b"chr1\t1\t5\nchr1\t3\t9\n"))
    assert spans(load_genome(GenomeSource(fasta, intervals=str(path)))) == [("chr1", 1, 9)]
    assert splits_of(path) == ()
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"x\.bed\.gz: expected complete gzip data, got an early end"):
        load_genome(GenomeSource(fasta, intervals=str(path)))
    with pytest.raises(ValueError, match=r"none\.bed: expected a readable BED file, got: .*No such file"):
        load_genome(GenomeSource(fasta, intervals=str(tmp_path / "none.bed")))


@pytest.mark.parametrize(
    ("bed", "match"),
    [
        ("", r"x\.bed: expected rows of chrom, start, end and split, got an empty file"),
        ("# nothing\nchrom\tstart\tend\tsplit\n", "got an empty file"),
        ("chr1\t5\n", r"x\.bed, line 1: expected the columns chrom, start, end, got 2 of them"),
        ("\nchr1\t5\tx\ttrain\n", r"x\.bed, line 2: expected start and end as whole numbers of 0 or more, got 'x'"),
        ("chr1\t-5\t9\ttrain\n", "line 1: expected start and end as whole numbers of 0 or more, got '-5'"),
        ("chr1\t1\t9\ttrain\nchr1\t9\t9\ttrain\n", r"line 2: expected start < end, got 9 and 9"),
        ("chr1\t1\t61\ttrain\n", r"line 1: expected an end inside chr1 \(60 bases\), got 61"),
        ("1\t1\t9\ttrain\nchr2\t1\t5\n", "contigs that the FASTA does not have: 1; contigs in the FASTA: chr1, chr2"),
        ("chr1\t1\t9\ttest\nchr2\t1\t5\tvalid\n", "rows of split 'train'; splits in the file: test, valid"),
        ("chr1\t1\t9\ttrain\nchr1\t1\t5\n", r"line 2: expected a fourth column that names the split, got none"),
        (
            "chr1\t1\t9\ttrain\nchr1\t20\t30\ttrain\nchr1\t8\t12\tvalid\n",
            r"x\.bed: expected every base in one split, got chr1:8-9 in both train and valid",
        ),
        ("chr1\t1\t50\tvalid\nchr1\t8\t12\ttrain\n", "got chr1:8-12 in both valid and train"),
    ],
)
def test_intervals_refused(fasta, tmp_path, bed, match):
    with pytest.raises(ValueError, match=match):
        load_genome(source(fasta, tmp_path, bed))


INTERVALS = st.tuples(st.integers(0, 59), st.integers(1, 60), st.sampled_from(["train", "valid"])).filter(
    lambda row: row[0] < row[1]
)


@given(st.lists(INTERVALS, min_size=1, max_size=6))
def test_intervals_equal_bases_marked_one_by_one(tmp_path_factory, rows):
    folder = tmp_path_factory.getbasetemp()
    fasta = folder / "marked.fa"
    fasta.write_text(fasta_text())
    marked = {split: {i for start, end, each in rows if each == split for i in range(start, end)} for *_, split in rows}
    bed = "".join(f"chr1\t{start}\t{end}\t{split}\n" for start, end, split in rows)
    wanted = source(str(fasta), folder, bed, rows[0][2], "marked.bed")
    if len(marked) == 2 and marked["train"] & marked["valid"]:
        with pytest.raises(ValueError, match="expected every base in one split"):
            load_genome(wanted)
        return
    found = spans(load_genome(wanted))
    assert {i for _, start, end in found for i in range(start, end)} == marked[rows[0][2]]
    assert all(end < start for (_, _, end), (_, start, _) in itertools.pairwise(found))


# Real genomes


def test_a_real_genome(shared_data, tmp_path):
    fasta = str(shared_data / "data" / "other_species" / "sacCer3.fa.gz")
    loaded = load_genome(source(fasta, tmp_path, "chrXIV\t100000\t101000\tvalid\nchrI\t5\t900\ttrain\n", "valid"))
    assert loaded.name == "sacCer3"
    with gzip.open(fasta, "rt") as file:
        text = file.read()
    chromosome = text.partition(">chrXIV")[2].partition(">")[0].partition("\n")[2].replace("\n", "")
    assert vocab.decode(loaded.stretches[0].ids) == chromosome[100000:101000].upper()
