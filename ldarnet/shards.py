"""What the sidecar of a shard's track says of its place in the whole, for `ldarnet merge` to check."""

from typing import Any

from ldarnet.boundaries import Stretch
from ldarnet.census import Census
from ldarnet.genome import Shard
from ldarnet.sidecar import without_value


class Covered:
    """The bases that a run has come past: how many, and from where to where on each contig."""

    def __init__(self) -> None:
        self.num_bases = 0
        self.spans: dict[str, tuple[int, int]] = {}

    def add(self, stretch: Stretch) -> None:
        """Count a stretch; they come in the order of the genome."""
        num_bases = stretch.values.shape[-1]
        self.num_bases += num_bases
        first = self.spans.get(stretch.chrom, (stretch.start, 0))[0]
        self.spans[stretch.chrom] = first, stretch.start + num_bases

    def record(self, shard: Shard | None, census: Census, num_values: int) -> dict[str, Any]:
        """Entries of the sidecar: nothing for a whole run."""
        if shard is None:
            return {}
        return {
            "shard": str(shard),
            "covers": [[chrom, *span] for chrom, span in self.spans.items()],
            "without_value": {"N, IUPAC code, or first base of a contig": self.num_bases - num_values},
            "whole": {"bases": census.num_bases, "without_value": without_value(census, census.num_possible)},
        }
