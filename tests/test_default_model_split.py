"""The split of the default model: nothing of train near valid or test, checked base by base, and its packed form."""

import importlib.util
import tomllib
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import py2bit
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ldarnet import vocab
from ldarnet.genome import Interval, open_genome
from ldarnet.train.corpus import GenomeSource, load_corpus, load_genome, splits_of
from tests.conftest import REPO


def script(name):
    spec = importlib.util.spec_from_file_location(name, REPO / "benchmarks" / "default_model" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


split, pack = script("split"), script("pack")

SPANS = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(-5, 30), st.integers(1, 12)).map(
        lambda row: Interval(row[0], row[1], row[1] + row[2])
    ),
    max_size=6,
)


def bases_of(spans):
    return {(chrom, i) for chrom, start, end in spans for i in range(start, end)}


@given(SPANS, SPANS)
def test_interval_arithmetic_equals_that_of_sets(spans, others):
    assert bases_of(split.subtract(spans, others)) == bases_of(spans) - bases_of(others)
    assert bases_of(split.intersect(spans, others)) == bases_of(spans) & bases_of(others)
    assert all(start < end for _, start, end in split.subtract(spans, others))


@given(st.booleans(), st.integers(100, 120), st.integers(1, 30), st.integers(90, 160), st.integers(1, 20))
def test_a_region_on_a_record_holds_the_bases_that_lie_in_it(is_reverse, start, length_bp, region_start, region_bp):
    placement = split.Placement("r", Interval("chr1", start, start + length_bp), is_reverse, 0)
    region = Interval("chr1", region_start, region_start + region_bp)
    found = placement.on_record(region)
    position = [start + length_bp - 1 - i if is_reverse else start + i for i in range(length_bp)]
    inside = {i for i in range(length_bp) if region.start <= position[i] < region.end}
    assert inside == ({i for i in range(found.start, found.end)} & set(range(length_bp)) if found else set())
    assert placement.on_record(region._replace(chrom="chr2")) is None


@pytest.mark.parametrize("is_reverse", [False, True])
def test_a_region_is_wider_by_what_insertions_may_shift(is_reverse):
    exact, loose = (split.Placement("r", Interval("chr1", 100, 150), is_reverse, slack_bp) for slack_bp in (0, 3))
    _, start, end = exact.on_record(Interval("chr1", 110, 115))
    assert loose.on_record(Interval("chr1", 110, 115)) == Interval("r", start - 3, end + 3)
    assert exact.on_record(Interval("chr1", 151, 160)) is None
    assert loose.on_record(Interval("chr1", 151, 160)) is not None
    assert loose.on_record(Interval("chr1", 153, 160)) is None


def test_records_go_by_their_number():
    names = {name: split.split_of_record(f"LRG_{name}") for name in (1, 5, 6, 10, 11, 21, 25, 1312)}
    assert names == {1: "valid", 5: "test", 6: "train", 10: "test", 11: "valid", 21: "valid", 25: "test", 1312: "train"}


# The real split

HUMAN = [name for name in split.FASTA if name.startswith("human")]


@pytest.fixture(scope="module")
def data(shared_data):
    return shared_data / "data"


@pytest.fixture(scope="module")
def written(data, tmp_path_factory):
    """Folder of the BED files, and genome -> split -> bases."""
    out = tmp_path_factory.mktemp("split")
    return out, split.write_split(data, out)


@pytest.fixture(scope="module")
def genomes(data):
    with ExitStack() as stack:
        yield {name: stack.enter_context(open_genome(data / split.FASTA[name])) for name in HUMAN}


@pytest.fixture(scope="module")
def placements(data):
    """Record -> its places on GRCh38."""
    by_record = defaultdict(list)
    for placement in split.read_placements(data / split.LRG_MAPPING):
        by_record[placement.record].append(placement)
    return by_record


def rows_of(out, name):
    rows = [line.split("\t") for line in (out / f"{name}.bed").read_text().splitlines()]
    return [(chrom, int(start), int(end), which) for chrom, start, end, which in rows]


def test_records_lie_where_their_letters_are(genomes, placements):
    """On either strand: a wrong one would let test bases into train."""
    window_of = {
        contig.name: (genomes[name], contig.length_bp) for name in HUMAN[1:] for contig in genomes[name].contigs
    }
    seen = []
    for record, ((_, (chrom, start, end), is_reverse, slack_bp), *_) in placements.items():
        genome, length_bp = window_of.get(chrom, (None, 0))
        if end > length_bp or slack_bp:
            continue
        region = Interval(chrom, start + 1000, start + 3000)
        found = placements[record][0].on_record(region)
        ids = genomes[split.LRG].ids(*found)
        assert found.chrom == record
        assert (genome.ids(*region) == (vocab.reverse_complement(ids) if is_reverse else ids)).all()
        seen.append(is_reverse)
    assert sorted(seen) == [False, False, False, False, True, True]


@pytest.fixture(scope="module")
def held_out(placements):
    """Split -> chromosome -> spans on GRCh38, written down anew."""
    spans = {
        "valid": defaultdict(list, {"chr9": [(0, 1_000_000)]}),
        "test": defaultdict(list, {"chr19": [(0, 2_378_552)], "chr20": [(6_000_000, 10_000_000)]}),
    }
    for record, places in placements.items():
        number = int(record[4:])
        if number % 5 == 0 or number % 10 == 1:
            for _, (chrom, start, end), *_ in places:
                spans["test" if number % 5 == 0 else "valid"][chrom].append((start, end))
    return spans


def positions(contig, length_bp, placements):
    """GRCh38 chromosome and position of every base; where insertions leave it open, as counted from either end."""
    bases = np.arange(length_bp, dtype=np.int32)
    for _, (chrom, start, end), is_reverse, _ in placements.get(contig, ()):
        upwards = length_bp - 1 - bases if is_reverse else bases
        yield chrom, start + upwards
        yield chrom, end - length_bp + upwards
    if contig not in placements:
        yield contig, bases


@pytest.mark.parametrize("name", HUMAN)
def test_no_base_of_train_is_within_5_kb_of_held_out_ones(name, written, genomes, placements, held_out):
    rows = defaultdict(list)
    for contig, *row in rows_of(written[0], name):
        rows[contig].append(row)
    for contig, length_bp in genomes[name].contigs:
        marked = {which: np.zeros(length_bp, dtype=np.int8) for which in split.SPLITS}
        for start, end, which in rows[contig]:
            marked[which][start:end] += 1
        near = {which: np.zeros(length_bp, dtype=bool) for which in held_out}
        for chrom, position in positions(contig, length_bp, placements):
            for which, spans in held_out.items():
                for start, end in spans[chrom]:
                    near[which] |= (position >= start - 5000) & (position <= end - 1 + 5000)
        assert not near["valid"][marked["train"] > 0].any(), contig
        assert not near["test"][(marked["train"] > 0) | (marked["valid"] > 0)].any(), contig
        times_used = sum(marked.values())
        assert times_used.max(initial=0) <= 1, contig
        slack_bp = sum(each.slack_bp for each in placements.get(contig, ()))
        left_out_for_nothing = (times_used == 0) & ~near["valid"] & ~near["test"]
        assert np.count_nonzero(left_out_for_nothing) <= 2 * slack_bp, contig


def test_totals(written):
    """The whole table, since every number reported of the default model rests on it."""
    _, bases = written
    assert {name: tuple(of_split.values()) for name, of_split in bases.items()} == {
        "human-lrg": (33_616_161, 4_695_784, 7_426_208),
        "human-chr20-21": (9_605_105, 0, 4_000_000),
        "human-chr19": (0, 0, 2_318_552),
        "human-chr9": (0, 990_000, 0),
        "ce10": (77_361_921, 2_000_000, 20_924_149),
        "sacCer3": (9_333_415, 784_333, 2_039_357),
        "ecoli": (4_639_675, 0, 0),
        "arabidopsis": (1_194_449, 0, 0),
        "fly": (1_357_505, 0, 0),
    }


def test_whole_records_are_test(genomes, written):
    expected = {(name, 0, length_bp) for name, length_bp in genomes[split.LRG].contigs if int(name[4:]) % 5 == 0}
    assert {row[:3] for row in rows_of(written[0], "human-lrg") if row[3] == "test"} == expected


def test_other_species_are_split_by_chromosome(written):
    splits = defaultdict(set)
    for chrom, start, _, which in rows_of(written[0], "ce10"):
        splits[which].add((chrom, start))
    assert splits["test"] == {("chrV", 0)}
    assert splits["valid"] == {("chrX", 0)}
    assert splits["train"] == {*((f"chr{each}", 0) for each in ("I", "II", "III", "IV", "M")), ("chrX", 2_000_000)}
    yeast = rows_of(written[0], "sacCer3")
    assert {row[0] for row in yeast if row[3] == "test"} == {"chrXV", "chrXVI"}
    assert {row[0] for row in yeast if row[3] == "valid"} == {"chrXIV"}
    assert len(yeast) == 17


def test_few_species_have_e_coli_held_out_too(data, tmp_path):
    bases = split.write_split(data, tmp_path, ["ecoli", "sacCer3"])
    assert {name: tuple(of_split.values()) for name, of_split in bases.items()} == {
        "sacCer3": (9_333_415, 784_333, 2_039_357),
        "ecoli": (4_000_000, 200_000, 439_675),
    }
    names = [table["name"] for table in tomllib.loads((tmp_path / "genomes.toml").read_text())["genome"]]
    assert names == ["sacCer3", "ecoli"]
    assert splits_of(tmp_path / "ecoli.bed") == ("train", "valid", "test")


def test_the_written_tables_make_a_corpus(written):
    out, bases = written
    tables = tomllib.loads((out / "genomes.toml").read_text())["genome"]
    weight = defaultdict(float)
    for table in tables:
        weight[table["name"].partition("-")[0]] += table["weight"]
    assert weight == pytest.approx(split.WEIGHTS, abs=1e-5)
    small = [table for table in tables if table["name"] in ("human-chr19", "fly", "ecoli")]
    sources = [GenomeSource(**table | {"intervals": str(out / table["intervals"])}, split="train") for table in small]
    corpus = load_corpus(sources, 1024, seed=0)
    assert {genome.name: genome.num_bases for genome in corpus.genomes} == {
        name: bases[name]["train"] for name in ("fly", "ecoli")
    }
    assert splits_of(out / "human-chr19.bed") == ("test",)


# Packing


def test_packed_genomes_are_the_same(tmp_path):
    records = {"chr1": "NNACGTRTGCAANNNNNC" * 3 + "AC", "two": "T", "x" * 255: "ACGTN", "n": "NNN"}
    fasta = "".join(f">{name}\n{letters}\n" for name, letters in records.items())
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    out.mkdir()
    (source / "g.fa").write_text(fasta)
    (source / "g.bed").write_text("chr1\t3\t40\ttrain\n")
    (source / "genomes.toml").write_text(
        f'[[genome]]\nname = "g-1"\nfasta = "g.fa"\nintervals = "g.bed"\nweight = 0.5\n\n'
        f'[[genome]]\nname = "h"\nfasta = {str(source / "g.fa")!r}\n'
    )
    sizes = pack.pack(source, out)
    assert sorted(sizes) == sorted(path.name for path in out.iterdir() if path.name != "genomes.toml")
    assert all((out / name).stat().st_size == size for name, size in sizes.items())
    tables = tomllib.loads((out / "genomes.toml").read_text())["genome"]
    assert tables == [
        {"name": "g-1", "fasta": "g-1.2bit", "intervals": "g-1.bed", "weight": 0.5},
        {"name": "h", "fasta": "h.2bit"},
    ]
    with pytest.raises(ValueError, match="expected another folder than that of the genomes, got the same"):
        pack.pack(source, source / ".." / "source")
    oracle = py2bit.open(str(out / "g-1.2bit"))
    assert {name: oracle.sequence(name) for name in oracle.chroms()} == {
        name: letters.replace("R", "N") for name, letters in records.items()
    }
    oracle.close()
    sources = [
        GenomeSource(str(folder / name), intervals=str(source / "g.bed"))
        for folder, name in ((source, "g.fa"), (out, "g-1.2bit"))
    ]
    plain, packed = (load_genome(each).stretches[0].ids for each in sources)
    assert (plain == packed).all()


def test_packing_across_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(pack, "BLOCK_BP", 8)
    letters = vocab.decode(np.random.default_rng(1).integers(0, 5, 101).astype(np.uint8))
    (tmp_path / "g.fa").write_text(f">a\n{letters}\n>b\n{letters[:24]}\n")
    with open_genome(tmp_path / "g.fa") as genome:
        pack.write_twobit(genome, tmp_path / "g.2bit")
        with open_genome(tmp_path / "g.2bit") as packed:
            pack.check_same(genome, packed)
            assert vocab.decode(packed.ids("a", 0, 101)) == letters


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (">a\nACGTACGTACGA\n", r"other\.fa: expected the bases of g\.fa in a:0-12, got others"),
        (">a\nACGTACGTACG\n", r"other\.fa: expected the contigs of g\.fa, got others"),
        (">b\nACGTACGTACGT\n", r"expected the contigs of g\.fa"),
    ],
)
def test_a_difference_is_found(tmp_path, text, match):
    (tmp_path / "g.fa").write_text(">a\nACGTACGTACGT\n")
    (tmp_path / "other.fa").write_text(text)
    with (
        open_genome(tmp_path / "g.fa") as genome,
        open_genome(tmp_path / "other.fa") as other,
        pytest.raises(ValueError, match=match),
    ):
        pack.check_same(genome, other)


def test_names_too_long_for_the_format_are_refused(tmp_path):
    Path(tmp_path / "g.fa").write_text(f">{'x' * 256}\nACGT\n")
    with (
        open_genome(tmp_path / "g.fa") as genome,
        pytest.raises(ValueError, match="names of at most 255 bytes, got b'xx"),
    ):
        pack.write_twobit(genome, tmp_path / "g.2bit")
