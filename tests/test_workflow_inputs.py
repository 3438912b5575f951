"""The table of genomes and the settings: what is read, and what every mistake is told."""

import pytest

from ldarnet.workflow_inputs import GenomeRow, Settings, read_genomes, write_genomes


@pytest.fixture
def folder(tmp_path):
    for name in ("a.fa", "b.fa", "a.gtf", "m.safetensors"):
        (tmp_path / name).write_text("x")
    return tmp_path


def table(folder, *lines, header="name\tfasta\tannotation\tmodel\tshards"):
    path = folder / "genomes.tsv"
    path.write_text("\n".join((header, *lines)) + "\n")
    return path


def test_paths_are_relative_to_the_table_and_empty_cells_are_none(folder, monkeypatch):
    monkeypatch.chdir("/")
    rows = read_genomes(table(folder, "a\ta.fa\ta.gtf\tm.safetensors\t4", "# a comment", "b\tb.fa\t\towner/name\t"))
    paths = [str(folder / name) for name in ("a.fa", "a.gtf", "m.safetensors")]
    assert rows == {"a": GenomeRow("a", *paths, 4), "b": GenomeRow("b", str(folder / "b.fa"), None, "owner/name")}
    assert rows["a"].to_fetch == rows["b"].to_fetch == ()


def test_columns_may_stand_in_any_order_and_be_left_out(folder):
    rows = read_genomes(table(folder, "a.fa\ta", header="fasta\tname"))
    assert rows["a"].fasta == str(folder / "a.fa")


def test_a_table_comes_back_as_it_was_written(folder):
    rows = read_genomes(table(folder, "a\ta.fa\ta.gtf\t\t2", "b\tb.fa\t\tldarnet-2m\t"))
    write_genomes(folder / "again.tsv", rows.values())
    assert read_genomes(folder / "again.tsv") == rows


def test_a_name_of_the_manifests_is_fetched(folder):
    row = read_genomes(table(folder, "yeast\tsacCer3\ta.gtf\t\t"))["yeast"]
    assert row.to_fetch == ("sacCer3",)
    assert row.annotation == str(folder / "a.gtf")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("../x\ta.fa\t\t\t", r"line 2: expected a name of .* got '\.\./x'"),
        ("a/b\ta.fa\t\t\t", "got 'a/b'"),
        ("\ta.fa\t\t\t", "got ''"),
        ("-a\ta.fa\t\t\t", "begins with a letter or digit, got '-a'"),
        ("a\tnot.fa\t\t\t", r"line 2: fasta: expected a file or a name of the manifests, got 'not.fa': no such file"),
        ("a\t.\t\t\t", "got '.': a folder"),
        ("a\t\t\t\t", "fasta: expected a file, got none"),
        ("a\ta.fa\tnot.gtf\t\t", "annotation: expected a file.*got 'not.gtf'"),
        ("a\ta.fa\t\tnot.safetensors\t", "model: expected a file, got 'not.safetensors'"),
        ("a\ta.fa\t\t\t0", "shards: expected a whole number from 1 to 10000, got '0'"),
        ("a\ta.fa\t\t\ttwo", "got 'two'"),
        ("a\ta.fa", "line 2: expected 5 tab-separated columns as in the header, got 2"),
        ("b\tb.fa\t\t\t\nB\ta.fa\t\t\t", "line 3: expected every name once, got 'B', which line 2 has"),
        ("", "expected at least one genome below the header, got none"),
    ],
)
def test_a_bad_row_is_named(folder, line, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_genomes(table(folder, line))
    assert "genomes.tsv" in str(caught.value)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("name\tfile", "line 1: expected the tab-separated columns name, fasta .*; missing fasta, got 'name', 'file'"),
        ("name fasta", "missing name, fasta, got 'name fasta'"),
        ("name\tfasta\tgenes", "got 'genes' too"),
        ("name\tfasta\tname", "expected every column once"),
    ],
)
def test_a_bad_header_is_named(folder, header, message):
    with pytest.raises(ValueError, match=message):
        read_genomes(table(folder, "a\ta.fa", header=header))


def test_an_empty_or_missing_table_is_named(folder):
    (folder / "genomes.tsv").write_text("\n# nothing\n")
    with pytest.raises(ValueError, match=r"genomes\.tsv: expected a header line .* got an empty table"):
        read_genomes(folder / "genomes.tsv")
    with pytest.raises(ValueError, match=r"cannot read the table of genomes .*none\.tsv: No such file"):
        read_genomes(folder / "none.tsv")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"thread": 2}, "c.yaml: unknown setting 'thread'; did you mean 'threads'"),
        ({"threads": "2"}, "c.yaml: threads: expected a whole number, got '2'"),
        ({"threads": True}, "expected a whole number, got True"),
        ({"threads": 0}, "threads: expected 1 or more, got 0"),
        ({"shards": 20_000}, "shards: expected at most 10,000, got 20,000"),
        ({"designs": "no"}, "designs: expected true or false, got 'no'"),
        ({"strand": "both"}, r"strand: expected \+, - or both-mean, got 'both'"),
        ({"device": "gpu"}, "device: expected auto, cpu, cuda"),
        ({"panel": "not.toml"}, "panel: expected a file, got 'not.toml': no such file"),
        ({"model": "not.pt"}, "model: expected a file, got 'not.pt'"),
        ({"model": " "}, "model: expected some text, got none"),
        (["threads"], "c.yaml: expected lines `key: value`, got list"),
    ],
)
def test_a_bad_setting_is_named(tmp_path, values, message):
    with pytest.raises(ValueError, match=message):
        Settings.of(values, "c.yaml", tmp_path)


def test_files_in_settings_are_relative_to_their_folder(folder):
    settings = Settings.of({"model": "m.safetensors", "seed": 0}, "c.yaml", folder)
    assert settings.model == str(folder / "m.safetensors")
    assert settings.panel == "default"
