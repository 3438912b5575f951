"""What must hold before the explorer opens: files that can be read, and that are about one genome."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from ldarnet.genome import Contig, open_genome
from ldarnet.genome.names import list_names
from ldarnet.tracks import Track, TrackError, format_of, open_track
from ldarnet_analysis.aliases import chromosome_of
from ldarnet_analysis.annotations import annotation_format
from ldarnet_analysis.lines import numbered_lines
from ldarnet_app.inputs import Inputs

RESULT_FILES = ("sites.tsv", "pairs.tsv", "balance.tsv", "profiles.tsv", "tests.tsv", "run.json")
NUM_DIFFERENCES_SHOWN = 5
PROBE_BP = 1000


def check_inputs(inputs: Inputs) -> tuple[str, ...]:
    """Notes for the user about inputs that fit together.

    Raises ValueError or OSError, naming the file, what was found and what was expected, for those that do not.
    """
    _check_labels(inputs)
    with open_genome(inputs.fasta) as genome:
        contigs, notes = genome.contigs, list(genome.notes)
    for each in inputs.tracks:
        notes += _check_track(each.path, inputs.fasta, contigs)
    if inputs.annotation is not None:
        _check_annotation(inputs.annotation, inputs.fasta, contigs)
    if inputs.results is not None:
        _check_results(inputs.results)
    return tuple(notes)


def _check_labels(inputs: Inputs) -> None:
    labels = [each.label for each in inputs.tracks]
    if twice := [label for label in labels if labels.count(label) > 1]:
        raise ValueError(
            f"two tracks are called {twice[0]!r}: expected every label once; give one, as in --track label=file.bw"
        )
    if not all(label.strip() for label in labels):
        raise ValueError("a track has an empty label: expected a name before the =, as in --track label=file.bw")


def _check_track(path: Path, fasta: Path, contigs: tuple[Contig, ...]) -> list[str]:
    if format_of(path) == "bigwig":
        _check_whole(path)
    with open_track(path) as track:
        shared = _shared_contigs(track, fasta, contigs)
        for name, length_bp in shared.items():  # a file damaged further inside opens without complaint
            track.values(name, 0, min(PROBE_BP, length_bp))
            track.values(name, max(length_bp - PROBE_BP, 0), length_bp)
            break
    notes = []
    if num_more := len(track.contigs) - len(shared):
        notes.append(f"{path.name}: {num_more:,} of {len(track.contigs):,} contigs are not in {fasta.name}: not shown")
    if num_less := len(contigs) - len(shared):
        notes.append(f"{path.name}: has nothing on {num_less:,} of {len(contigs):,} contigs of {fasta.name}")
    return notes


def _check_whole(bigwig: Path) -> None:
    """A bigWig begins and ends with the same four bytes; without its tail it opens, and wide views of it fail."""
    with bigwig.open("rb") as file:
        head = file.read(4)
        file.seek(-min(4, bigwig.stat().st_size), os.SEEK_END)
        if file.read(4) != head:
            raise TrackError(f"{bigwig}: starts as a bigWig, but is cut short or damaged: make or copy it again")


def _shared_contigs(track: Track, fasta: Path, contigs: tuple[Contig, ...]) -> Mapping[str, int]:
    """Lengths of the contigs of both. Raises TrackError with the first differences and both lists."""
    length_of = dict(contigs)
    # A bedGraph holds no lengths: its contigs end with their last line.
    may_be_shorter = format_of(track.path) == "bedgraph"
    shared = {contig.name: contig.length_bp for contig in track.contigs if contig.name in length_of}
    differ = [
        f"{name} has {length_bp:,} bases in the track and {length_of[name]:,} in the FASTA"
        for name, length_bp in shared.items()
        if length_bp > length_of[name] or (length_bp != length_of[name] and not may_be_shorter)
    ]
    if not shared:
        differ = [f"no contig name is in both{_hint(track.contigs, contigs)}"]
    if not differ:
        return shared
    shown = "; ".join(differ[:NUM_DIFFERENCES_SHOWN])
    num_more = len(differ) - NUM_DIFFERENCES_SHOWN
    raise TrackError(
        f"{track.path} is not a track of {fasta}: {shown}{f' and {num_more:,} more' if num_more > 0 else ''}\n"
        f"  contigs of the track: {_list(track.contigs)}\n"
        f"  contigs of the FASTA: {_list(contigs)}\n"
        "expected a track of this FASTA: make one with ldarnet-boundaries, or name the FASTA it was made of"
    )


def _hint(ours: Iterable[Contig], theirs: Iterable[Contig]) -> str:
    known = {chromosome_of(contig.name): contig.name for contig in theirs}
    for contig in ours:
        if other := known.get(chromosome_of(contig.name)):
            return f" ({contig.name} may be {other} under another name: a track must use the names of its FASTA)"
    return ""


def _list(contigs: Iterable[Contig]) -> str:
    return list_names([f"{contig.name} ({contig.length_bp:,})" for contig in contigs])


def _check_annotation(path: Path, fasta: Path, contigs: tuple[Contig, ...]) -> None:
    """Some line must be on a contig of the genome, be it under another name of it; reads up to the first such."""
    annotation_format(path)
    known = {chromosome_of(contig.name) for contig in contigs}
    others: dict[str, None] = {}
    for _, line in numbered_lines(path):
        words = line.split(maxsplit=1)
        if len(words) == 2 and not line.startswith(("#", "track", "browser")):
            if chromosome_of(words[0]) in known:
                return
            others[words[0]] = None
    raise ValueError(
        f"{path}: no chromosome of this annotation is in {fasta}\n"
        f"  names in the annotation: {list_names(list(others))}\n"
        f"  names in the FASTA: {list_names([contig.name for contig in contigs])}\n"
        "expected an annotation of the same assembly"
    )


def _check_results(folder: Path) -> None:
    if not folder.is_dir():
        raise ValueError(f"{folder}: expected the results folder of `ldarnet align`, got no folder")
    missing = [name for name in RESULT_FILES if not (folder / name).is_file()]
    if not (folder / "matrices").is_dir():
        missing.append("matrices/")
    if missing:
        raise ValueError(
            f"{folder}: expected the results of `ldarnet align`, but {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not there: run `ldarnet align --out {folder}` again"
        )
