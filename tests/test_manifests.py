import gzip
import hashlib
import re

import pytest

from ldarnet import manifests
from ldarnet.manifests import (
    KINDS,
    Checkpoint,
    Contig,
    Download,
    Genome,
    HubFiles,
    Located,
    find_entry,
    load_manifest,
    load_manifests,
    read_manifest,
)

GENOME = {
    "description": '"a yeast"',
    "url": '"https://example.org/x.fa.gz"',
    "assembly": '"R1"',
    "accession": '"GCF_1.1"',
    "licence": '"CC0"',
    "citation": '"A 2014"',
    "checked": "false",
    "contigs": f'[{{ name = "chrI", length_bp = 4, md5 = "{"a" * 32}" }}]',
}
ONE_CONTIG = GENOME["contigs"][1:-1]


@pytest.fixture
def write(tmp_path):
    """Write a genomes manifest with some keys replaced (None: left out) and give its path."""

    def write_with(**changes):
        keys = {key: value for key, value in {**GENOME, **changes}.items() if value is not None}
        path = tmp_path / "mine.toml"
        path.write_text("[yeast]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items()))
        return path

    return write_with


def test_a_good_entry_is_read_whole(write):
    path = write(sha256=f'"{"0" * 64}"', num_bytes="9", checked="true", checked_on='"2026-03-01"')
    assert read_manifest(path, "genomes") == {
        "yeast": Genome(
            name="yeast",
            description="a yeast",
            licence="CC0",
            citation="A 2014",
            checked=True,
            checked_on="2026-03-01",
            sha256="0" * 64,
            num_bytes=9,
            url="https://example.org/x.fa.gz",
            assembly="R1",
            accession="GCF_1.1",
            contigs=(Contig("chrI", 4, "a" * 32),),
        )
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"url": None}, "mine.toml, entry 'yeast': missing 'url'"),
        (
            {"url": '"ftp://x/y"'},
            "mine.toml, entry 'yeast', key 'url': expected an https:// address, got 'ftp://x/y'",
        ),
        ({"licence": '" "'}, "mine.toml, entry 'yeast', key 'licence': expected some text, got ' '"),
        ({"citation": "3"}, "key 'citation': expected some text, got 3"),
        ({"checked": '"no"'}, "key 'checked': expected true or false, got 'no'"),
        ({"checked": "true"}, "key 'checked': true expects all of sha256, num_bytes and checked_on"),
        ({"num_bytes": "9"}, "key 'checked': false expects none of sha256, num_bytes and checked_on"),
        ({"num_bytes": "true"}, "key 'num_bytes': expected a whole number above 0, got True"),
        ({"sha256": '"ABC"'}, "key 'sha256': expected 64 hexadecimal digits in lower case, got 'ABC'"),
        (
            {"hub_file": '"a/b"'},
            "mine.toml, entry 'yeast': unknown key 'hub_file', expected one of accession, ",
        ),
        ({"name": '"x"'}, "entry 'yeast': unknown key 'name', expected one of"),
        ({"checked_on": '"2026-03-01"'}, "key 'checked': false expects none of"),
        ({"checked_on": '"March"'}, "key 'checked_on': expected a day as text, YYYY-MM-DD, got 'March'"),
        ({"checksums": '"https://x/y"'}, "'checksums' and 'checksum_format' go together"),
        ({"checksum_format": '"crc"'}, "key 'checksum_format': expected md5sum or sha256sum or sum, got 'crc'"),
        ({"save_as": '"../x"'}, "key 'save_as': expected a file name, got '../x'"),
        ({"unpack": "1"}, "key 'unpack': expected true or false, got 1"),
        ({"contigs": "[]"}, "key 'contigs': expected a list of contigs, got []"),
        ({"contigs": "[3]"}, "entry 'yeast', contig 1: expected a table, got 3"),
        (
            {"contigs": f"[{ONE_CONTIG}, {ONE_CONTIG}]"},
            "contig 2, key 'name': 'chrI' is taken by an earlier contig",
        ),
        (
            {"contigs": f"[{ONE_CONTIG.replace('4', '0')}]"},
            "contig 1, key 'length_bp': expected a whole number above",
        ),
        (
            {"contigs": f"[{ONE_CONTIG.replace('a' * 32, 'A' * 32)}]"},
            "contig 1, key 'md5': expected 32 hexadecimal",
        ),
        ({"contigs": '[{ name = "chrI" }]'}, "contig 1: missing 'length_bp', 'md5'"),
    ],
)
def test_mistakes_are_named(write, changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        read_manifest(write(**changes), "genomes")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "m.toml: expected at least one [entry], found none"),
        (b"[a\n", "m.toml: expected TOML in UTF-8: "),
        (b"a = '\xff'\n", "m.toml: expected TOML in UTF-8: "),
        (b"a = 1\n", "m.toml, entry 'a': expected a table, got 1"),
    ],
)
def test_files_that_are_no_manifest(tmp_path, content, message):
    (tmp_path / "m.toml").write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(message)):
        read_manifest(tmp_path / "m.toml", "genomes")


def test_unknown_kind_names_the_kinds():
    with pytest.raises(ValueError, match=r"expected a manifest of genomes, annotations, .*, got 'fonts'"):
        load_manifest("fonts")


@pytest.mark.parametrize("kind", KINDS)
def test_every_shipped_manifest_passes(kind):
    entries = load_manifest(kind)
    assert entries
    assert all(type(entry) in KINDS[kind] and entry.name == name for name, entry in entries.items())


def test_every_name_is_in_one_manifest_only(monkeypatch):
    entries = load_manifests()
    assert sum(len(load_manifest(kind)) for kind in KINDS) == len(entries)
    of_kind = manifests.load_manifest
    monkeypatch.setattr(manifests, "load_manifest", lambda kind: of_kind("genomes"))
    with pytest.raises(ValueError, match=r"annotations.toml, entry 'hg38': the name is taken in genomes.toml"):
        load_manifests.__wrapped__()


def test_an_entry_is_found_by_its_name():
    assert find_entry("hg38").name == "hg38"
    with pytest.raises(ValueError, match=r"no entry 'HG38' in the manifests; similar names: hg38"):
        find_entry("HG38")
    with pytest.raises(ValueError, match=r"no entry 'qqq' in the manifests. `ldarnet data list` shows all"):
        find_entry("qqq")


def test_every_shipped_annotation_lies_on_an_assembly_and_says_how_it_counts():
    genomes = {entry.assembly for entry in load_manifest("genomes").values() if isinstance(entry, Genome)}
    for entry in load_manifest("annotations").values():
        assert isinstance(entry, Located)
        assert entry.assembly in genomes
        assert entry.coordinates == "1-based inclusive"  # GTF


def test_a_list_of_checksums_lies_beside_its_file():
    for _, entry in load_manifests().values():
        if isinstance(entry, Download) and entry.checksums:
            assert entry.url.rpartition("/")[0] == entry.checksums.rpartition("/")[0]


@pytest.mark.parametrize("name", ["../x", ".x", "a b", "a/b"])
def test_a_name_that_is_no_name_of_a_folder_is_refused(tmp_path, name):
    (tmp_path / "m.toml").write_text(f'["{name}"]\n')
    with pytest.raises(ValueError, match=r"expected a name of letters, digits"):
        read_manifest(tmp_path / "m.toml", "genomes")


def test_a_benchmark_is_a_file_or_files_of_the_hub(tmp_path):
    common = "description = 'd'\nlicence = 'l'\ncitation = 'c'\nchecked = false\n"
    hub = "hub_id = 'o/n'\nhub_kind = 'datasets'\nfiles = ['*.csv']\n"
    (tmp_path / "m.toml").write_text(f"[a]\nurl = 'https://x/y.zip'\nunpack = true\n{common}[b]\n{hub}{common}")
    entries = read_manifest(tmp_path / "m.toml", "benchmarks")
    assert [type(entry) for entry in entries.values()] == [Download, HubFiles]
    assert entries["b"].files == ("*.csv",)


def test_the_published_checkpoint():
    entry = load_manifest("checkpoints")["ldarnet-110m"]
    assert isinstance(entry, Checkpoint)
    assert (entry.hub_id, entry.file) == ("darlednik/LDARNet-110M", "model_ckpt_110m.pt")


def test_yeast_contigs_are_those_of_the_sequence(shared_data):
    entry = load_manifest("genomes")["sacCer3"]
    assert isinstance(entry, Genome)
    with gzip.open(shared_data / "data/other_species/sacCer3.fa.gz", "rt") as handle:
        records = handle.read().split(">")[1:]
    found = []
    for record in records:
        header, _, lines = record.partition("\n")
        bases = lines.replace("\n", "").upper()
        md5 = hashlib.md5(bases.encode(), usedforsecurity=False).hexdigest()
        found.append(Contig(header.split()[0], len(bases), md5))
    assert tuple(found) == entry.contigs
