"""The workflow on pieces of three real genomes: killed in the middle, gone on with, nothing made twice."""

import gzip
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

pytestmark = pytest.mark.slow
pytest.importorskip("snakemake")

YEAST_CHROMS = ("chrI", "chrVI")
BACTERIUM_BP = 500_000


@pytest.fixture(scope="module")
def genomes(tmp_path_factory):
    if "LDARNET_SHARED" not in os.environ:
        pytest.skip("LDARNET_SHARED names no folder with real genomes")
    source = Path(os.environ["LDARNET_SHARED"]) / "data/other_species"
    folder = tmp_path_factory.mktemp("genomes")
    with gzip.open(source / "sacCer3.fa.gz", "rt") as file, (folder / "yeast.fa").open("w") as out:
        is_wanted = False
        for line in file:
            is_wanted = line[1:].split()[0] in YEAST_CHROMS if line[0] == ">" else is_wanted
            if is_wanted:
                out.write(line)
    with gzip.open(source / "sacCer3.ensGene.gtf.gz", "rt") as file:
        (folder / "yeast.gtf").write_text("".join(line for line in file if line.split("\t")[0] in YEAST_CHROMS))
    with gzip.open(source / "ecoli_K12_MG1655_U00096.2.fa.gz", "rt") as file:
        name, *lines = file
        (folder / "bacterium.fa").write_text(name + "".join(line.strip() for line in lines)[:BACTERIUM_BP] + "\n")
    for suffix in ("fa", "gff3"):
        text = gzip.decompress((source / f"korf_1pct_athaliana.{suffix}.gz").read_bytes())
        (folder / f"cress.{suffix}").write_bytes(text)
    return folder


def ldarnet(*args, **options):
    code = "from ldarnet.cli import main; main()"
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", code, *map(str, args)], **pipes, **options)


def finished(process):
    _, messages = process.communicate()
    assert process.returncode == 0, messages
    return messages


def wait_for(is_there, process, seconds=300):
    end = time.monotonic() + seconds
    while not is_there():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end, "nothing came"
        time.sleep(0.1)


def test_a_killed_workflow_goes_on_and_makes_nothing_twice(genomes, tmp_path):
    work = tmp_path / "work"
    given = (f"yeast={genomes}/yeast.fa,{genomes}/yeast.gtf", f"bacterium={genomes}/bacterium.fa")
    given = (*given, f"cress={genomes}/cress.fa,{genomes}/cress.gff3")
    finished(ldarnet("workflow", "init", *(word for each in given for word in ("--genome", each)), "--out", work))
    config = (work / "config.yaml").read_text()
    for line, changed in (("strand: 'both-mean'", "strand: '+'"), ("threads: 2", "threads: 1")):
        assert line in config
        config = config.replace(line, changed)
    (work / "config.yaml").write_text(config.replace("designs: true", "designs: false"))
    table = (work / "genomes.tsv").read_text().replace("cress.gff3\t\t", "cress.gff3\t\t3")
    (work / "genomes.tsv").write_text(table)
    tracks = work / "tracks"

    process = ldarnet("workflow", "run", work, "--cores", 2, start_new_session=True)
    journals = lambda: [path for path in tracks.rglob(".*.resume") if path.stat().st_size > 100_000]  # noqa: E731
    wait_for(lambda: list(tracks.rglob("*.bw.json")) and journals(), process)
    begun = [path.name[1:].removesuffix(".resume") for path in journals()]
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    written = {path: path.stat().st_mtime_ns for path in tracks.rglob("*.bw")}
    done = {path: time_ns for path, time_ns in written.items() if path.with_name(f"{path.name}.json").exists()}
    begun = [name for name in begun if name not in {path.name for path in written}]
    assert done and begun

    finished(ldarnet("workflow", "run", work, "--cores", 2))
    kept = {path: path.stat().st_mtime_ns for path in done if path.exists()}
    assert kept.items() <= done.items()
    logs = {path.name: path.read_text() for path in (work / "logs").glob("track.*.log")}
    for path in done:  # shards are removed once they are merged, but not made again
        assert logs[f"track.{path.name.removesuffix('.bw')}.log"].count(" values on ") == 1
    resumed = [logs[f"track.{name.removesuffix('.bw')}.log"] for name in begun]
    assert resumed and all("going on after" in text for text in resumed)

    effects = pd.read_csv(work / "report/effects.tsv", sep="\t")
    assert list(dict.fromkeys(effects["genome"])) == ["yeast", "cress"]
    assert (effects[effects["genome"] == "cress"]["status"] == "ok").any()
    assert effects.loc[effects["status"] == "ok", ["effect", "lo", "hi"]].notna().all(axis=None)
    summary = pd.read_csv(work / "report/tracks.tsv", sep="\t", index_col="genome")
    assert summary["bases"]["bacterium"] == BACTERIUM_BP
    assert list(summary["aligned"]) == ["yes", "no", "yes"]

    before = {
        path: path.stat().st_mtime_ns for path in work.rglob("*") if path.is_file() and ".snakemake" not in str(path)
    }
    finished(ldarnet("workflow", "run", work, "--cores", 2))
    assert before == {path: path.stat().st_mtime_ns for path in before}
