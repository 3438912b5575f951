"""Annotations, transcripts and genomes written out in tests."""

import numpy as np
import pandas as pd

from ldarnet import vocab
from ldarnet_analysis.aligned_sequences import AlignedSequences
from ldarnet_analysis.annotations import Annotation
from ldarnet_analysis.bed import FEATURE_COLUMNS
from ldarnet_analysis.records import RECORD_COLUMNS
from ldarnet_analysis.transcripts import Transcript, transcript_table


def annotation_of(*transcripts, format="gtf"):
    return Annotation("a.gtf", format, transcript_table(transcripts), pd.DataFrame(columns=FEATURE_COLUMNS))


def transcript(name, strand, exons, cds=(np.nan, np.nan), chrom="chr1", gene=None, **known):
    exons = np.array(exons, dtype=np.int64).reshape(-1, 2)
    start, end = int(exons[0, 0]), int(exons[-1, 1])
    return Transcript(name, gene or name, gene or name, chrom, strand, start, end, exons, *map(float, cds), **known)


def genome_of(**letters):
    return AlignedSequences([*letters], [vocab.encode(each) for each in letters.values()], 0)


def rows(sites, *columns):
    return set(sites[list(columns)].itertuples(index=False, name=None))


def records_of(*records):
    return pd.DataFrame(records, columns=RECORD_COLUMNS)
