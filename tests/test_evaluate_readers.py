"""Benchmark tasks: what the registry says, and how files of each layout are found and read."""

import numpy as np
import pytest

from ldarnet.evaluate.coordinates import Region, cut_regions, open_genomes, read_regions
from ldarnet.evaluate.listing import as_table
from ldarnet.evaluate.locate import has_files, read_task
from ldarnet.evaluate.readers import read_rows
from ldarnet.evaluate.tasks import SUITES, TASKS, find_tasks
from ldarnet.genome import open_genome
from ldarnet.vocab import decode
from tests.evaluation_files import letters, toy_rows, write_csv, write_regions, write_toy


@pytest.fixture
def no_genomes():
    with open_genomes([]) as genomes:
        yield genomes


def test_the_suites_are_whole():
    num = {suite: sum(task.suite == suite for task in TASKS.values()) for suite in SUITES}
    assert num == {"nt": 18, "gb": 9, "gue": 28}
    assert all(task.num_classes == len(task.classes) for task in TASKS.values() if task.suite == "gb")
    assert all(task.published_as in (None, *TASKS) for task in TASKS.values())


def test_published_sizes_of_the_same_sequences_agree():
    """GUE divides the sequences of the first suite's yeast marks and promoters otherwise; their sum is the same."""
    pairs = [(task, TASKS[task.published_as]) for task in TASKS.values() if task.suite == "gue" and task.published_as]
    assert len(pairs) == 13
    assert all(sum(task.sizes.values()) == sum(other.sizes.values()) for task, other in pairs)


def test_tasks_are_found_by_name_short_name_and_suite():
    assert [task.name for task in find_tasks(["H3"])] == ["nt/H3", "gue/H3"]
    assert len(find_tasks(["gb", "gb/human_ocr_ensembl"])) == 9
    with pytest.raises(ValueError, match="no task 'H5'"):
        find_tasks(["H5"])


def test_the_list_says_what_is_there(tmp_path):
    write_toy(tmp_path)
    lines = as_table(tmp_path).splitlines()
    assert next(line for line in lines if line.startswith("gue/H4 ")).endswith("yes")
    assert next(line for line in lines if line.startswith("gue/H3 ")).endswith("no (EMP/H3)")


@pytest.mark.parametrize("columns", ["sequence,label", "label,sequence", "id,label,other,sequence"])
def test_columns_go_by_name(tmp_path, columns):
    cells = {"sequence": "ACGT", "label": "1"}
    path = tmp_path / "x.csv"
    path.write_text(f"{columns}\n{','.join(cells.get(name, '7') for name in columns.split(','))}\n")
    rows = read_rows(path, 2)
    assert decode(rows.sequences[0]) == "ACGT" and rows.labels.tolist() == [1]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.csv", "sequence,label\nACGT,0\nACGT,\n", "line 3: it has no label"),
        ("x.csv", "sequence,label\nACGT,0\nACGT,2\n", r"line 3: expected a class, 0\.\.1, got 2"),
        ("x.csv", "sequence,label\nACJT,1\n", "line 2: expected nucleotide letters .* got 'J' at position 2"),
        ("x.csv", "sequence,label\n,1\n", "line 2: expected bases, got an empty sequence"),
        ("x.csv", "sequence,label\n", "no sequences in it"),
        ("x.csv", "sequence,class\nACGT,1\n", "expected a header with columns 'sequence' and 'label'"),
        ("x.fna", ">a|0\nAC\n>b\nAC\n", "line 3, record 'b': it has no label"),
    ],
)
def test_wrong_files_are_named(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        read_rows(tmp_path / name, 2)


def test_fasta_has_the_label_at_the_end_of_the_header(tmp_path):
    path = tmp_path / "train.fna"
    path.write_text(">a|b|0\nAC\nGT\n\n>c|1\nNN\n")
    rows = read_rows(path, 2)
    assert [decode(each) for each in rows.sequences] == ["ACGT", "NN"] and rows.labels.tolist() == [0, 1]


def test_parquet_of_one_task_or_of_all(tmp_path, no_genomes):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    for split in ("train", "test"):
        table = {"label": [0, 1, 1], "task": ["H3", "H3", "H4"], "sequence": ["ACG", "GGT", "TTT"]}
        parquet.write_table(arrow.table(table), tmp_path / f"{split}-00000-of-00001.parquet")
    data = read_task(TASKS["nt/H3"], tmp_path, no_genomes)
    assert data.sizes() == {"train": 2, "test": 2} and decode(data.sequences[1]) == "GGT"
    for table, message in (
        ({"label": [0, None], "sequence": ["A", "C"]}, "row 2: it has no label"),
        ({"label": [0], "sequence": [None]}, "row 1: expected bases"),
        ({"label": [5], "sequence": ["A"]}, "row 1: expected a class"),
        ({"label": [0]}, "got label: no sequence"),
    ):
        parquet.write_table(arrow.table(table), tmp_path / "x.parquet")
        with pytest.raises(ValueError, match=message):
            read_rows(tmp_path / "x.parquet", 2)
    with pytest.raises(ValueError, match="expected columns sequence, label, task, got label: no"):
        read_rows(tmp_path / "x.parquet", 2, is_shared=True)
    (tmp_path / "x.parquet").write_bytes(b"PAR0")
    with pytest.raises(ValueError, match="no parquet file"):
        read_rows(tmp_path / "x.parquet", 2)


def test_a_table_of_one_task_is_not_that_of_all(tmp_path, no_genomes):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    folder = tmp_path / "H3"
    folder.mkdir()
    for split in ("train", "test"):
        parquet.write_table(arrow.table({"label": [0, 1], "sequence": ["ACG", "GGT"]}), folder / f"{split}.parquet")
    assert not has_files(TASKS["nt/H4"], folder)
    assert read_task(TASKS["nt/H3"], folder, no_genomes).sizes() == {"train": 2, "test": 2}


def test_parquet_without_its_reader_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("ldarnet.evaluate.readers.import_module", lambda name: __import__("no_such_module_at_all"))
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match="pip install pyarrow"):
        read_rows(tmp_path / "x.parquet", 2)


def test_yeast_marks_of_two_suites_are_not_mixed_up(tmp_path, no_genomes):
    write_csv(tmp_path / "GUE" / "EMP" / "H3" / "test.csv", toy_rows(0, 4))
    write_csv(tmp_path / "GUE" / "EMP" / "H4" / "test.csv", toy_rows(0, 4))
    for split in ("train", "test"):
        path = tmp_path / "NT" / "H3" / f"{split}.fna"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f">{i}|{label}\n{sequence}\n" for i, (sequence, label) in enumerate(toy_rows(1, 6))))
    assert has_files(TASKS["gue/H4"], tmp_path) and not has_files(TASKS["nt/H4"], tmp_path)
    assert read_task(TASKS["nt/H3"], tmp_path, no_genomes).sizes() == {"train": 6, "test": 6}
    assert read_task(TASKS["gue/H3"], tmp_path, no_genomes).sizes() == {"test": 4}


def test_a_task_with_one_class_or_twice_is_refused(tmp_path, no_genomes):
    write_csv(tmp_path / "a" / "EMP" / "H4" / "test.csv", [("ACGT", 1)] * 3)
    with pytest.raises(ValueError, match="gue/H4: no sequence of class 0"):
        read_task(TASKS["gue/H4"], tmp_path / "a", no_genomes)
    write_csv(tmp_path / "b" / "EMP" / "H4" / "test.csv", toy_rows(0, 4))
    with pytest.raises(ValueError, match="gue/H4: found twice"):
        read_task(TASKS["gue/H4"], tmp_path, no_genomes)
    write_csv(tmp_path / "b" / "EMP" / "H4" / "test.tsv", toy_rows(0, 4))
    with pytest.raises(ValueError, match=r"expected one file per split, got test\.csv and test\.tsv"):
        read_task(TASKS["gue/H4"], tmp_path / "b", no_genomes)
    with pytest.raises(ValueError, match="gue/H3: expected EMP/H3"):
        read_task(TASKS["gue/H3"], tmp_path, no_genomes)


def test_what_differs_from_the_published_task_is_said(tmp_path, no_genomes):
    notes = read_task(TASKS["gue/H4"], write_toy(tmp_path, num=6), no_genomes).notes()
    assert notes == [
        "train: 0 sequences, published are 11,679",
        "dev: 6 sequences, published are 1,461",
        "test: 6 sequences, published are 1,461",
        "12 sequences are not 500 bases long, as published ones are",
    ]


@pytest.fixture
def genome(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_text(">chr1\nACGTTGCAACGGTT\n>MT\nTTTTT\n>ENST01.3\nGGGGC\n>chr2\nNNNNNNNNAC\n")
    return path


def test_regions_are_cut_on_their_strand_and_in_order(genome):
    regions = [
        Region("chr1", 8, 12, True),
        Region("1", 0, 4, False),
        Region("chrMT", 1, 3, False),
        Region("ENST01", 2, 5, True),
    ]
    with open_genome(genome) as opened:
        cut = cut_regions(regions, opened)
    assert [decode(each) for each in cut.sequences] == ["CCGT", "ACGT", "TT", "GCC"] and not cut.missing


def test_regions_that_are_not_there_are_counted(genome):
    regions = [Region("chr9", 0, 3, False), Region("chr1", 12, 15, False), Region("chr2", 0, 10, False)]
    with open_genome(genome) as opened:
        cut = cut_regions([*regions, Region("chr1", 0, 14, False)], opened)
    assert len(cut.sequences) == 1 and cut.num_rows == 4
    assert dict(cut.missing) == {
        "contig chr9 is not in genome.fa": 1,
        "contig chr1 of genome.fa ends at 14": 1,
        "contig chr2 of genome.fa is N there": 1,
    }
    assert sum(cut_regions(regions, None).missing.values()) == 3


def test_tables_of_regions(tmp_path):
    path = write_regions(
        tmp_path / "x.csv.gz", [("-", "chr1", 5, 9, 1), ("", "chr1", 0, 2, 2)], "strand,region,start,end,id"
    )
    assert read_regions(path) == [Region("chr1", 5, 9, True), Region("chr1", 0, 2, False)]
    for row in ((1, "chr1", 5, 5, "+"), (1, "", 0, 5, "+"), (1, "chr1", "x", 5, "+"), (1, "chr1", 0, 5, "?")):
        write_regions(path, [row])
        with pytest.raises(ValueError, match="line 2: expected a contig, 0 <= start < end"):
            read_regions(path)
    write_regions(path, [], "id,region,start,end")
    with pytest.raises(ValueError, match="got id, region, start, end: no strand"):
        read_regions(path)
    write_regions(path, [])
    with pytest.raises(ValueError, match="expected regions, got none"):
        read_regions(path)
    path.write_bytes(path.read_bytes()[:-6])
    with pytest.raises(ValueError, match="damaged gzip data"):
        read_regions(path)


def test_a_task_is_cut_from_a_genome_for_each_class(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("human", "worm"):
        (tmp_path / f"{name}.fa").write_text(f">chr1\n{letters(rng, 100)}\n")
    folder = tmp_path / "data" / "demo_human_or_worm"
    for split in ("train", "test"):
        write_regions(folder / split / "human.csv.gz", [(1, "chr1", 0, 10, "+"), (2, "chr7", 0, 10, "+")])
        write_regions(folder / split / "worm.csv.gz", [(1, "I", 0, 10, "+"), (2, "1", 50, 60, "-")])
    task = TASKS["gb/demo_human_or_worm"]
    with open_genomes([str(tmp_path / "human.fa"), f"worm={tmp_path / 'worm.fa'}"]) as genomes:
        data = read_task(task, tmp_path / "data", genomes)
    assert data.sizes() == {"train": 2, "test": 2} and data.labels.tolist() == [0, 1, 0, 1]
    assert "cut from human.fa, worm.fa; coordinates are of GRCh38 and WBcel235" in data.notes()
    assert "2 regions left out: contig I is not in worm.fa" in data.notes()
    with open_genomes([]) as genomes, pytest.raises(ValueError, match="no genome was given for this class"):
        read_task(task, tmp_path / "data", genomes)
    (folder / "test" / "worm.csv.gz").unlink()
    with (
        open_genomes([]) as genomes,
        pytest.raises(ValueError, match=r"a table for each class \(human, worm\), got human"),
    ):
        read_task(task, tmp_path / "data", genomes)


def test_real_files_are_as_published(shared_data, tmp_path, no_genomes):
    import tarfile

    with tarfile.open(shared_data / "data" / "genomic_benchmarks" / "genomic_benchmarks_coordinates.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    for task in (TASKS["gb/human_nontata_promoters"], TASKS["gb/dummy_mouse_enhancers_ensembl"]):
        for split, expected in task.sizes.items():
            tables = [next(tmp_path.rglob(f"{task.folder}/{split}/{name}.csv.gz")) for name in task.classes]
            assert sum(len(read_regions(table)) for table in tables) == expected
