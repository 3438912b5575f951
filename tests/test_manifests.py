import gzip
import hashlib
import re

import pytest

from ldarnet.manifests import KINDS, Checkpoint, Contig, Genome, load_manifest, read_manifest

GENOME = {
    "description": '"a yeast"',
    "url": '"https://example.org/x.fa.gz"',
    "assembly": '"GCF_1.1"',
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
    path = write(sha256=f'"{"0" * 64}"', num_bytes="9", checked="true")
    assert read_manifest(path, "genomes") == {
        "yeast": Genome(
            name="yeast",
            description="a yeast",
            licence="CC0",
            citation="A 2014",
            checked=True,
            sha256="0" * 64,
            num_bytes=9,
            url="https://example.org/x.fa.gz",
            assembly="GCF_1.1",
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
        ({"checked": "true"}, "key 'checked': true expects both sha256 and num_bytes"),
        ({"num_bytes": "9"}, "key 'checked': false expects neither sha256 nor num_bytes"),
        ({"num_bytes": "true"}, "key 'num_bytes': expected a whole number above 0, got True"),
        ({"sha256": '"ABC"'}, "key 'sha256': expected 64 hexadecimal digits in lower case, got 'ABC'"),
        (
            {"hub_id": '"a/b"'},
            "mine.toml, entry 'yeast': unknown key 'hub_id', expected one of assembly, checked",
        ),
        ({"name": '"x"'}, "entry 'yeast': unknown key 'name', expected one of"),
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
    with pytest.raises(ValueError, match="expected a manifest of genomes or checkpoints, got 'motifs'"):
        load_manifest("motifs")


@pytest.mark.parametrize("kind", KINDS)
def test_every_shipped_manifest_passes(kind):
    entries = load_manifest(kind)
    assert entries
    assert all(type(entry) is KINDS[kind] and entry.name == name for name, entry in entries.items())


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
