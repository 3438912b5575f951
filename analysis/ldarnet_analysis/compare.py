"""What a comparison computes, in which order: segmenters, their common cuts, and four tables about them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from ldarnet.genome import Genome, Interval
from ldarnet_analysis.compare_axis import Axis, common_axis
from ldarnet_analysis.compare_cuts import CutsOnAxis, cuts_on_axis, shuffled_chunks, write_cuts
from ldarnet_analysis.compare_intervals import BlockDraws
from ldarnet_analysis.compare_lengths import HISTOGRAM_COLUMNS, LENGTH_COLUMNS, length_histogram, length_row
from ldarnet_analysis.compare_letters import kmer_size, kmers_around
from ldarnet_analysis.compare_motifs import find_occurrences, motif_rows, motif_table
from ldarnet_analysis.compare_overlap import TOLERANCES, agreement_matrix, overlap_table
from ldarnet_analysis.compare_sites import SiteClass, site_rows, site_table
from ldarnet_analysis.motifs import CountMatrix
from ldarnet_analysis.panel_sites import PanelSites
from ldarnet_analysis.result_tables import file_name
from ldarnet_analysis.segment_build import Built
from ldarnet_analysis.segment_specs import SegmenterSpec

SEGMENTER_COLUMNS = [
    *("segmenter", "kind", "source", "status", "reason", "own_rate", "matched_rate", "threshold", "num_drawn"),
]
_NAN = float("nan")


@dataclass
class Comparison:
    """A comparison under way: what it reads, and the tables that it has made so far."""

    genome: Genome
    regions: Sequence[Interval]
    built: list[Built]
    shuffled: Sequence[SegmenterSpec]
    matrices: Sequence[CountMatrix]
    motif_p: float
    sites: PanelSites | None
    rate: float | None
    block_bp: int | None
    seed: int
    say: Callable[[str], None]
    notes: list[str] = field(default_factory=list)
    cuts_folder: Path | None = None
    """Where the compared cuts of every segmenter go as tracks in `cuts_format` (a suffix); None: nowhere."""
    cuts_format: str = ""

    def run(self) -> tuple[dict[str, pd.DataFrame], dict[str, object]]:
        """The tables by the names of their files, and what was used, for run.json.

        Raises ValueError where no segmenter could be run, or the regions have nothing to compare.
        """
        axis, cuts = self._cuts()
        draws = BlockDraws(len(axis.blocks), self.seed)
        rate = self._common_rate(axis, cuts)
        cuts = [each.for_rate(rate) for each in cuts]
        cuts += self._shuffled(axis, cuts, rate)
        self._restore_order(cuts)
        names = [each.name for each in cuts]
        self.say(f"{len(cuts)} segmenters on {axis.size:,} cuts in {len(axis.blocks):,} blocks; rate {rate:.4f}")
        tables = {"segmenters": self._segmenter_table(axis, cuts, rate)}
        tables["overlap"] = overlap_table(axis, cuts, rate, draws)
        for tolerance in TOLERANCES:
            matrix = agreement_matrix(tables["overlap"], names, tolerance)
            tables[f"agreement.{tolerance}"] = matrix.rename_axis("segmenter").reset_index()
        tables |= self._lengths_and_motifs(axis, cuts, rate, draws)
        tables["sites"] = self._site_tests(axis, cuts, rate)
        if self.cuts_folder is not None:
            for each in cuts:
                write_cuts(axis, each.compared(rate), self.cuts_folder / f"{file_name(each.name)}.{self.cuts_format}")
        used: dict[str, object] = {
            "rate": rate,
            "cuts_compared": axis.size,
            "stretches": len(axis.stretches),
            "blocks": len(axis.blocks),
            "block_bp": axis.block_bp,
            "kmer_null": kmer_size(axis.size),
        }
        return tables, used

    def _cuts(self) -> tuple[Axis, list[CutsOnAxis]]:
        tracks = [each.segmenter for each in self.built if each.segmenter is not None and each.kind == "track"]
        for number, each in enumerate(self.built):
            if each.segmenter in tracks and not self._has_values(each):
                self.built[number] = each._replace(segmenter=None, reason="has no value in the regions")
        usable = [each for each in self.built if each.segmenter is not None]
        if not usable:
            reasons = "; ".join(f"{each.name}: {each.reason}" for each in self.built)
            raise ValueError(f"no segmenter could be run: {reasons or 'none was given'}")
        tracks = [each.segmenter for each in usable if each.segmenter is not None and each.kind == "track"]
        axis, notes = common_axis(self.genome, self.regions, tracks, self.block_bp)
        self.notes += notes
        cuts = []
        for each in usable:
            assert each.segmenter is not None, "only built ones are usable"
            self.say(f"{each.name}: cutting")
            cuts.append(cuts_on_axis(axis, each.segmenter, self.seed))
        return axis, cuts

    def _has_values(self, each: Built) -> bool:
        assert each.segmenter is not None, "asked of built ones"
        step = 1 << 20
        return any(
            not np.isnan(each.segmenter.values(chrom, low, min(low + step, end))).all()
            for chrom, start, end in self.regions
            for low in range(start, end, step)
        )

    def _common_rate(self, axis: Axis, cuts: Sequence[CutsOnAxis]) -> float:
        """The rate asked for, else that of the first segmenter with cuts of its own."""
        if self.rate is not None:
            if not 0 < round(self.rate * axis.size) < axis.size:
                raise ValueError(f"a rate of {self.rate:g} leaves no cut, or no chunk, among {axis.size:,} places")
            return self.rate
        own = [each for each in cuts if each.own is not None]
        graded = [each for each in own if each.is_graded]
        for each in graded + own:
            assert each.own is not None, "chosen for it"
            if num := np.count_nonzero(each.own):
                self.notes.append(f"the common rate is that of {each.name}")
                return float(num / axis.size)
        raise ValueError("no segmenter has cuts of its own in the regions: give a --rate")

    def _shuffled(self, axis: Axis, cuts: Sequence[CutsOnAxis], rate: float) -> list[CutsOnAxis]:
        by_name = {each.name: each for each in cuts}
        found = []
        for spec in self.shuffled:
            try:
                if spec.value not in by_name:
                    raise ValueError(f"expected the name of a segmenter that runs: {', '.join(by_name)}")
                moved = shuffled_chunks(axis, by_name[spec.value].compared(rate), self.seed)
            except ValueError as error:
                self.built.append(Built(spec.name, spec.kind, spec.value, None, str(error)))
                continue
            self.built.append(Built(spec.name, spec.kind, f"chunks of {spec.value}", None))
            found.append(CutsOnAxis(spec.name, moved, None))
        return found

    def _restore_order(self, cuts: list[CutsOnAxis]) -> None:
        place = {each.name: number for number, each in enumerate(self.built)}
        cuts.sort(key=lambda each: place[each.name])

    def _segmenter_table(self, axis: Axis, cuts: Sequence[CutsOnAxis], rate: float) -> pd.DataFrame:
        by_name = {each.name: each for each in cuts}
        rows = []
        for built in self.built:
            row: dict[str, object] = {"segmenter": built.name, "kind": built.kind, "source": built.source}
            each = by_name.get(built.name)
            if each is None:
                self.say(f"{built.name}: not run: {built.reason}")
                rows.append(row | {"status": "not run", "reason": built.reason})
                continue
            row |= {"status": "ok", "reason": ""}
            if each.own is not None:
                row["own_rate"] = np.count_nonzero(each.own) / axis.size
            if each.is_graded:
                matched = each.at_rate(rate)
                row |= {"matched_rate": np.count_nonzero(matched.cuts) / axis.size}
                row |= {"threshold": matched.threshold, "num_drawn": matched.num_drawn}
            elif built.segmenter is not None and built.segmenter.is_graded:
                row |= {"status": "own rate only", "reason": f"has too few places for {rate:.4f} cuts per base"}
            rows.append(row)
        return pd.DataFrame(rows, columns=SEGMENTER_COLUMNS)

    def _lengths_and_motifs(
        self, axis: Axis, cuts: Sequence[CutsOnAxis], rate: float, draws: BlockDraws
    ) -> Mapping[str, pd.DataFrame]:
        self.say("looking for motifs")
        found = find_occurrences(axis, self.genome, self.regions, self.matrices, self.motif_p)
        left_out = sum(found.dropped.values())
        self.notes.append(
            f"{found.left.size:,} motif occurrences; {left_out:,} more reach over what is compared or a block's end"
        )
        dinucleotides = kmers_around(axis, self.genome, 2)
        lengths, histograms, motifs = [], [], []
        for each in cuts:
            for version, flags in each.versions(rate).items():
                key: dict[str, object] = {"segmenter": each.name, "cuts": version}
                lengths.append(key | length_row(axis, flags, draws))
                histograms.append(length_histogram(axis, flags).assign(**key))
                motifs += [key | row for row in motif_rows(axis, flags, found, draws, dinucleotides, seed=self.seed)]
        return {
            "lengths": pd.DataFrame(lengths, columns=LENGTH_COLUMNS),
            "length_counts": pd.concat(histograms, ignore_index=True)[HISTOGRAM_COLUMNS],
            "motifs": motif_table(motifs),
        }

    def _site_tests(self, axis: Axis, cuts: Sequence[CutsOnAxis], rate: float) -> pd.DataFrame:
        if self.sites is None:
            return site_table([])
        k = kmer_size(axis.size)
        kmers = kmers_around(axis, self.genome, k)
        classes = {name: SiteClass(axis, table) for name, table in self.sites.by_class.items()}
        for name, sites in classes.items():
            self.notes.append(f"{name}: {sites.index.size:,} sites, {sites.num_elsewhere:,} not on compared cuts")
        rows: list[dict[str, object]] = []
        kind_of = {each.name: each.kind for each in self.built}
        for each in cuts:
            if kind_of[each.name] == "annotation":
                self.notes.append(f"{each.name} is not tested at sites: they are of the same annotation")
                continue
            self.say(f"{each.name}: sites")
            rows += site_rows(axis, each.name, each.compared(rate), classes, kmers, k, self.seed)
        for name, reason in self.sites.missing.items():
            rows.append({"segmenter": "", "class": name, "status": "no sites", "reason": reason})
        return site_table(rows)
