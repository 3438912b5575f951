"""Names where a file is expected, and the command that fetches them."""

import gzip
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ldarnet import cli
from ldarnet.data.errors import DataError
from ldarnet.data.names import find_annotation, find_file, find_genome
from ldarnet.manifests import load_manifests
from ldarnet.train.settings import load_settings

from .command_line import letters, save_tiny, write_fasta
from .command_line import run as run_boundaries
from .data_server import serving

GENOME = "ecoli-k12"
FOLDER = "/ftp.ncbi.nlm.nih.gov/genomes/all/GCF/000/005/845/GCF_000005845.2_ASM584v2"
FILE = f"{FOLDER}/GCF_000005845.2_ASM584v2_genomic.fna.gz"
GTF = f"{FOLDER}/GCF_000005845.2_ASM584v2_genomic.gtf.gz"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("LDARNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache"


@pytest.fixture
def server(monkeypatch):
    with serving() as state:
        state.files[FILE] = gzip.compress(f">NC_000913.3\n{letters(1, 600)}\n".encode())
        state.files[GTF] = gzip.compress(b'NC_000913.3\tx\texon\t1\t9\t.\t+\t.\ttranscript_id "t";\n')
        lines = [f"{hashlib.md5(state.files[each]).hexdigest()}  ./{Path(each).name}\n" for each in (FILE, GTF)]
        state.files[f"{FOLDER}/md5checksums.txt"] = "".join(lines).encode()
        monkeypatch.setenv("LDARNET_MIRROR", state.url)
        yield state


def data(*args):
    result = CliRunner().invoke(cli.app, ["data", *map(str, args)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_get_prints_the_path_and_says_licence_and_citation(server, cache):
    ended = data("get", GENOME)
    path = cache / "data" / GENOME / Path(FILE).name
    assert (ended.exit_code, ended.stdout) == (0, f"{path}\n")
    assert "licence: NCBI places no restriction" in ended.stderr
    assert "cite: Blattner" in ended.stderr
    assert f"fetching {server.url}{FILE}" in ended.stderr


def test_list_and_info_say_what_is_here(server, cache):
    data("get", GENOME)
    rows = {row["name"]: row for row in json.loads(data("list", "--json", "--kind", "genomes").stdout)}
    assert rows[GENOME]["here"].endswith(" B")
    assert rows["hg38"]["here"] == ""
    known = json.loads(data("info", "--json", GENOME).stdout)
    assert known["path"].startswith(str(cache))
    assert known["held_against"][0].startswith("md5 ")
    shown = data("info", "gencode-hg38").stdout
    for words in ("coordinates      1-based inclusive", "assembly         GRCh38", "checked          no", "MD5SUMS"):
        assert words in shown


def test_list_keeps_to_an_assembly_and_is_never_silently_empty():
    shown = data("list", "--assembly", "grch38").stdout
    assert "gencode-hg38" in shown
    assert "mm39" not in shown
    ended = data("list", "--assembly", "hg99", "--kind", "motifs")
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "no entry is of motifs hg99: `ldarnet data list` without options shows all of them" in ended.stderr


def test_verify_tells_good_from_damaged(server, cache):
    data("get", GENOME)
    ended = data("verify")
    assert (ended.exit_code, ended.stdout) == (0, f"{GENOME}\tok\n")
    path = next((cache / "data" / GENOME).glob("*.fna.gz"))
    path.write_bytes(path.read_bytes()[::-1])
    ended = data("verify", GENOME)
    assert (ended.exit_code, ended.stdout) == (1, f"{GENOME}\tdamaged\n")
    assert f"run ldarnet data get --again {GENOME}" in ended.stderr


def test_nothing_to_verify_is_an_error(cache):
    ended = data("verify")
    assert ended.exit_code == 1
    assert f"nothing to verify: the cache {cache} holds no data yet" in ended.stderr


def test_an_unknown_name_shows_similar_ones_before_anything_is_fetched(server):
    ended = data("get", GENOME, "hg83")
    assert ended.exit_code == 1
    assert "no entry 'hg83' in the manifests; similar names: hg38" in ended.stderr
    assert server.asked == []


def test_network_trouble_is_status_1_with_the_address(server):
    server.files.clear()
    ended = data("get", "jaspar-core")
    assert ended.exit_code == 1
    address = "/jaspar.elixir.no/download/data/2024/CORE/JASPAR2024_CORE_non-redundant_pfms_jaspar.txt"
    assert f"error: {server.url}{address}: the server answers 404" in ended.stderr


@pytest.mark.parametrize("arguments", [("get",), ("get", GENOME, "--mirror", "ftp://x"), ("list", "--kind", "x")])
def test_wrong_flags_are_status_2(arguments):
    assert data(*arguments).exit_code == 2


def test_another_cache_than_that_of_the_environment_is_told(server, tmp_path, cache):
    ended = data("get", GENOME, "--cache", tmp_path / "other")
    assert f"other commands look for names in {cache}: set LDARNET_CACHE={tmp_path / 'other'}" in ended.stderr
    assert (tmp_path / "other/data" / GENOME / "receipt.json").exists()


def test_a_track_of_a_genome_by_its_name(server, tmp_path):
    model = save_tiny(tmp_path)
    command = ("--fasta", GENOME, "--model", model, "--out", tmp_path / "p.bw", "--quiet")
    ended = run_boundaries(*command)
    assert ended.exit_code == 1
    assert f"error: {GENOME} is not here yet: run ldarnet data get {GENOME}" in ended.stderr
    data("get", GENOME)
    assert run_boundaries(*command).exit_code == 0
    sidecar = json.loads((tmp_path / "p.bw.json").read_text())
    assert sidecar["fasta"]["name"] == Path(FILE).name


def test_a_file_wins_over_the_name(tmp_path):
    write_fasta(tmp_path / "hg38", chr1="ACGT")
    assert find_genome("hg38") == "hg38"
    assert find_genome("-") == "-"
    assert find_genome("no.fa", tmp_path / "runs") == str(tmp_path / "runs/no.fa")


def test_training_takes_names_in_settings_and_on_the_command_line(server, cache, tmp_path):
    config = tmp_path / "runs/run.toml"
    config.parent.mkdir()
    config.write_text(f'[[genome]]\nfasta = "{GENOME}"\nintervals = "a.bed"\n')
    with pytest.raises(ValueError, match=f"{GENOME} is not here yet: run ldarnet data get {GENOME}"):
        load_settings(config, {})
    data("get", GENOME)
    path = str(cache / "data" / GENOME / Path(FILE).name)
    found = load_settings(config, {}).genomes[0]
    assert (found.fasta, found.intervals) == (path, str(config.parent / "a.bed"))
    assert load_settings(None, {"genome": [{"fasta": GENOME}]}).genomes[0].fasta == path


def test_an_annotation_by_its_family_is_that_of_the_genome(server, cache, tmp_path):
    data("get", "refseq-ecoli-k12")
    path = cache / "data/refseq-ecoli-k12" / Path(GTF).name
    assert find_annotation(Path("refseq"), GENOME) == path
    assert find_annotation(Path("refseq-ecoli-k12"), "my.fa") == path
    write_fasta(tmp_path / GENOME, chr1="ACGT")  # a file, so its assembly is not known
    with pytest.raises(
        DataError, match=r"refseq could be refseq-hg38, .*name one of them, or give --fasta by its name"
    ):
        find_annotation(Path("refseq"), GENOME)


@pytest.mark.parametrize(
    ("name", "fasta", "message"),
    [
        ("gencode", "hg38", "gencode-hg38 is not here yet: run ldarnet data get gencode-hg38"),
        ("gencode", "hg38-ensembl", "gencode-hg38 is not here yet"),
        ("gencode", "dm6", r"there is no gencode of BDGP6 \(dm6\), only of GRCh38, GRCm39"),
        ("gencode-mm39", "hg38", "gencode-mm39 is of GRCm39, but hg38 is GRCh38: expected the same assembly"),
    ],
)
def test_annotations_that_are_not_to_be_had(name, fasta, message):
    with pytest.raises(DataError, match=message):
        find_annotation(Path(name), fasta)


def test_other_paths_stay_what_they_are(tmp_path):
    assert find_annotation(Path("genes.gtf"), None) == Path("genes.gtf")
    assert find_file(Path("own.jaspar")) == Path("own.jaspar")
    with pytest.raises(DataError, match="jaspar-core is not here yet"):
        find_file(Path("jaspar-core"))


def test_align_takes_names(tmp_path):
    write_fasta(tmp_path / "x.bw", a="A")
    command = ["align", "--track", "x.bw", "--fasta", "hg38", "--annotation", "gencode", "--out", "r"]
    ended = CliRunner().invoke(cli.app, command)
    assert ended.exit_code == 1
    assert "hg38 is not here yet: run ldarnet data get hg38" in ended.stderr


def test_every_family_has_one_entry_of_an_assembly():
    families = [(each.family, each.assembly) for _, each in load_manifests().values() if hasattr(each, "family")]
    assert len(families) == len(set(families))


def test_the_list_needs_neither_torch_nor_pandas_nor_the_network():
    code = (
        "import sys\nfrom ldarnet.cli import app\nsys.argv = ['ldarnet', 'data', 'list']\n"
        "try:\n    app()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'pandas', 'numpy', 'numba', 'requests', 'huggingface_hub'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.splitlines()[-1] == "[]"
