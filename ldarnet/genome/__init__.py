"""Genomes and their coordinates; numpy only, so that the analysis can use it without torch."""

from ldarnet.genome.errors import GenomeError
from ldarnet.genome.fasta import open_genome
from ldarnet.genome.genome import Genome
from ldarnet.genome.intervals import Contig, Interval, reverse_cut
from ldarnet.genome.regions import Regions, merge_intervals, parse_regions
from ldarnet.genome.survey import ContigSurvey
from ldarnet.genome.windows import (
    Batch,
    Shard,
    Window,
    parse_shard,
    plan_batches,
    plan_windows,
    select_batches,
    shard_batches,
)

__all__ = [
    "Batch",
    "Contig",
    "ContigSurvey",
    "Genome",
    "GenomeError",
    "Interval",
    "Regions",
    "Shard",
    "Window",
    "merge_intervals",
    "open_genome",
    "parse_regions",
    "parse_shard",
    "plan_batches",
    "plan_windows",
    "reverse_cut",
    "select_batches",
    "shard_batches",
]
