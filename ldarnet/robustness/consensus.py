"""The cuts that all models make, as a track of the genome or of regions of it."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import reduce
from pathlib import Path

import numpy as np

from ldarnet.boundaries import BatchRunner, RegionFilter, Stretch, TrackSettings, planned_batches, shows_cuts
from ldarnet.census import take_census
from ldarnet.genome import Genome, Interval
from ldarnet.model import LDARNet
from ldarnet.sidecar import contig_record, sidecar_path, versions, without_value, write_sidecar
from ldarnet.tracks import TrackError, format_of, open_writer
from ldarnet.tracks.atomic import STDOUT, check_inputs_stay, check_place


def check_consensus(out: Path, sources: Sequence[str], *, fasta: str, regions: str | None) -> None:
    """Raise ValueError, before any work is done, where no such track can be written, or only over an input.

    `sources` name the models.
    """
    if len(sources) < 2:
        raise ValueError(f"--consensus {out}: expected two models or more, got {len(sources)}: repeat --model")
    if out == STDOUT:
        raise TrackError("--consensus: expected the name of a file, got -")
    format_of(out)
    written = (out, sidecar_path(out))
    for path in written:
        check_place(path)
    models = [("--model", source) for source in sources]
    check_inputs_stay(written, [("--fasta", fasta), ("--regions", regions), *models])


def check_cuts(out: Path, models: Mapping[str, LDARNet]) -> None:
    """Raise ValueError where the probabilities of a model do not say where it cuts."""
    for name, model in models.items():
        if not shows_cuts(model):
            raise ValueError(
                f"--consensus {out}: {name} cuts by a rule whatever its router's probability, so that no track of "
                "probabilities shows the cuts that all models make"
            )


def consensus_stretches(
    models: Sequence[LDARNet], genome: Genome, settings: TrackSettings, regions: Sequence[Interval] | None
) -> Iterator[Stretch]:
    """The smallest probability of all models at every base, in order: above 0.5 exactly where all of them cut.

    NaN where a model has no value. One batch of windows is in memory at a time.
    """
    runners = [BatchRunner(model, genome, settings) for model in models]
    wanted = RegionFilter(regions)
    for batch in planned_batches(genome, settings, regions):
        for same in zip(*(runner.run(batch) for runner in runners), strict=True):
            values = reduce(np.minimum, (stretch.values for stretch in same))
            yield from wanted.parts(same[0]._replace(values=values))


def write_consensus(
    out: Path,
    models: Mapping[str, LDARNet],
    genome: Genome,
    settings: TrackSettings,
    regions: Sequence[Interval] | None,
    command: Sequence[str],
) -> int:
    """Write the track (.bed: the chunks between the cuts) and its sidecar; returns how many cuts all models make."""
    began, num_cuts = time.perf_counter(), 0
    with open_writer(out, genome.contigs) as writer:
        for chrom, start, values in consensus_stretches(list(models.values()), genome, settings, regions):
            writer.write(chrom, start, values[0])
            num_cuts += int((values[0] > 0.5).sum())
        num_values = writer.num_values
        writer.commit()
    census = take_census(genome, regions)
    origins = [model.provenance for model in models.values()]
    device = next(next(iter(models.values())).parameters()).device
    record = {
        "command": list(command),
        "versions": versions(),
        "value": "smallest probability of all models: above 0.5 where all of them cut",
        "models": [asdict(origin) for origin in origins if origin is not None],
        "fasta": {"name": genome.name, "contigs": contig_record(census)},
        "regions": [f"{r.chrom}:{r.start}-{r.end}" for r in regions] if regions else None,
        "settings": {**asdict(settings), "device": str(device)},
        "bases": census.num_bases,
        "values": num_values,
        "without_value": without_value(census, num_values),
        "notes": list(genome.notes),
        "cuts": num_cuts,
        "seconds": round(time.perf_counter() - began, 3),
    }
    write_sidecar(out, record)
    return num_cuts
