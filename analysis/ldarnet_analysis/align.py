"""An analysis from beginning to end: sites, controls, profiles, tests, files. `Analysis.run` is its contents page."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from ldarnet.genome import Genome
from ldarnet.tracks import Track, open_track
from ldarnet_analysis.align_settings import ALL_RUNGS, POSITION_RUNGS, Settings
from ldarnet_analysis.balance import imbalance
from ldarnet_analysis.comparisons import (
    TESTED_SIGNALS,
    Findings,
    Tracks,
    compare,
    site_profiles,
    untested,
)
from ldarnet_analysis.control_rules import DECOY_RUNGS, Landmarks
from ldarnet_analysis.controls import Controls, draw_controls
from ldarnet_analysis.coverage import keep_covered, uncovered_regions
from ldarnet_analysis.covered_blocks import covered_blocks, shared_regions
from ldarnet_analysis.crossfit import CrossFit, cross_fit
from ldarnet_analysis.density import DENSITY_COLUMNS, density_sums, density_table
from ldarnet_analysis.designed_rungs import ClassDesigns, RunModel, design_class, read_rung, run_designs
from ldarnet_analysis.designs import DESIGNED_RUNGS
from ldarnet_analysis.heatmaps import save_matrix
from ldarnet_analysis.kmer_table import KmerLookup
from ldarnet_analysis.locus_sums import MIN_LOCI
from ldarnet_analysis.logos import LOGO_COLUMNS, count_site_bases
from ldarnet_analysis.motif_scan import motif_hits
from ldarnet_analysis.panel import PanelEntry
from ldarnet_analysis.panel_sites import PanelSites
from ldarnet_analysis.peaks import Peak, peak, split_loci
from ldarnet_analysis.pools import regions_around
from ldarnet_analysis.primary import fill_q, tests_table
from ldarnet_analysis.profiles import Values, check_same_assembly
from ldarnet_analysis.promoters import outside_windows
from ldarnet_analysis.residual import write_residual
from ldarnet_analysis.result_files import finding_tables, joined, write_results
from ldarnet_analysis.result_tables import file_name

LOGO_REACH_BP = 30
SPLICE = ("donor", "acceptor")
CONTEXT_RUNGS = ("matched", "gc")


@dataclass
class Analysis:
    """Inputs of an analysis and what comes of it; `run` writes the result files into `out`."""

    panel: Sequence[PanelEntry]
    sites: PanelSites
    genome: Genome
    track: Path
    out: Path
    settings: Settings
    facts: dict[str, Any]
    say: Callable[[str], None]
    track_minus: Path | None = None
    lookups: tuple[KmerLookup, KmerLookup | None] | None = None
    """Fitted elsewhere, for track and track_minus; None = cross-fitted here."""
    landmarks: Landmarks = field(default_factory=Landmarks)
    annotated: pd.DataFrame | None = None
    """Sites of every class, any of which no decoy may be."""
    avoided_tss: pd.DataFrame | None = None
    """TSS of other annotations: no control of a motif lies in its window of one."""
    run_model: RunModel | None = None

    def run(self) -> pd.DataFrame:
        """Make the analysis and write its files; returns the tests.

        What goes wrong with rungs of designed sequences is the reason in their rows. Raises ValueError for test
        windows beyond the flank, before anything is written, and where nothing could be tested.
        """
        self.settings.check_panel(self.panel)
        started = time.monotonic()
        self.out.mkdir(parents=True, exist_ok=True)
        findings = Findings()
        controls: dict[tuple[str, str], Controls] = {}
        with ExitStack() as stack:
            tracks = self._open_tracks(stack)
            self._keep_covered(tracks["raw"].plus)
            # Two at a time, as candidates take memory; meanwhile this thread compares those that are there.
            pool = ThreadPoolExecutor(2)
            stack.callback(pool.shutdown, cancel_futures=True)
            being_drawn = self._start_drawing(pool)
            offsets = np.arange(-self.settings.flank_bp, self.settings.flank_bp + 1)
            peaks: list[tuple[Any, ...]] = []
            for entry in self.panel:
                if entry.name in self.sites.by_class:
                    self._position_rungs(entry, being_drawn, tracks, offsets, findings, controls, peaks)
                else:
                    reason = self.sites.missing.get(entry.name, "no sites")
                    for rung in self.settings.rungs:
                        untested(findings, entry, rung, "no sites", reason)
            self._designed_rungs(offsets, findings, controls)
            self.density = self._density(tracks)
        tests = fill_q(tests_table(self._in_order(findings)))
        if len(tests) and not (tests["status"] == "ok").any():
            reasons = "; ".join(sorted(set(tests["reason"]))[:5])
            self._write_tables(findings, tests, controls, peaks, time.monotonic() - started)
            (self.out / "report.html").unlink(missing_ok=True)  # of an earlier run: it would show other numbers
            raise ValueError(f"nothing could be tested ({reasons}); {self.out}/tests.tsv lists why")
        self._write_tables(findings, tests, controls, peaks, time.monotonic() - started)
        return tests

    def _open_tracks(self, stack: ExitStack) -> dict[str, Tracks]:
        """The raw track, and the residual of each strand's track, written beside the results."""
        plus = stack.enter_context(open_track(self.track))
        minus = stack.enter_context(open_track(self.track_minus)) if self.track_minus else None
        residuals: list[Track | None] = []
        r2 = []
        self.expectation: CrossFit | KmerLookup | None = None
        for number, (track, name) in enumerate(((plus, "residual.bw"), (minus, "residual-minus.bw"))):
            if track is None:
                residuals.append(None)
                continue
            check_same_assembly(track, self.genome)
            given = self.lookups[number] if self.lookups else None
            lookup: CrossFit | KmerLookup = given or cross_fit(track, self.genome)
            strand = "+-"[number]
            if isinstance(lookup, CrossFit):
                r2.append(lookup.r2.assign(track=strand))
            else:
                r2.append(self._r2_elsewhere(lookup, track).assign(track=strand))
            write_residual(track, self.genome, lookup, self.out / name)
            residuals.append(stack.enter_context(open_track(self.out / name)))
            self.facts.setdefault("lookup", {})[strand] = lookup.provenance()
            if number == 0:
                self.expectation = lookup
            last = r2[-1].iloc[-1]
            self.say(f"k-mer look-up of track {strand}: R2 {last['r2']:.3f} at k = {int(last['k'])}, held out")
        self.r2 = pd.concat(r2, ignore_index=True)
        assert residuals[0] is not None
        return {"raw": Tracks(plus, minus), "residual": Tracks(residuals[0], residuals[1])}

    def _keep_covered(self, track: Values) -> None:
        covered = covered_blocks(track, shared_regions(track, self.genome)).intervals
        self.uncovered = uncovered_regions(covered, self.genome.contigs)
        num_notes = len(self.sites.notes)
        self.sites = keep_covered(self.sites, covered, self.track.name)
        for note in self.sites.notes[num_notes:]:
            self.say(note)

    def _r2_elsewhere(self, lookup: KmerLookup, track: Track) -> pd.DataFrame:
        return lookup.r2(track, self.genome, shared_regions(track, self.genome))

    def _position_rungs(
        self,
        entry: PanelEntry,
        being_drawn: Mapping[tuple[str, str], Future[Controls]],
        tracks: Mapping[str, Tracks],
        offsets: np.ndarray,
        findings: Findings,
        controls: dict[tuple[str, str], Controls],
        peaks: list[tuple[Any, ...]],
    ) -> None:
        sites = self.sites.by_class[entry.name]
        loci = sites["locus"].to_numpy()
        seed = self.settings.seed
        matrices = {signal: each.matrix(sites, offsets) for signal, each in tracks.items()}
        site_profiles(findings, entry, matrices, offsets, loci, seed)
        self._save(entry, "sites", sites["site_id"], matrices, offsets)
        peaks += [(entry.name, signal, *found) for signal, found in self._peaks(matrices, loci, offsets)]
        row_of = pd.Series(np.arange(len(sites)), index=sites["site_id"])
        for rung in self._rungs_of(entry):
            try:
                drawn = being_drawn[entry.name, rung].result()
            except ValueError as error:
                untested(findings, entry, rung, "no sites", str(error))
                continue
            controls[entry.name, rung] = drawn
            if drawn.pairs.empty:
                reason = "; ".join(drawn.notes) or "no control could be matched"
                untested(findings, entry, rung, "no sites", reason)
                continue
            unbalanced = "" if self.settings.force else imbalance(drawn.balance)
            pair_rows = row_of.loc[drawn.pairs["site_id"]].to_numpy()
            found = {name: each.matrix(drawn.pairs, offsets) for name, each in tracks.items()}
            both = {name: (matrices[name], found[name]) for name in tracks}
            compare(findings, entry, rung, both, offsets, loci, pair_rows, unbalanced=unbalanced, seed=seed)
            self._save(entry, rung, drawn.pairs["pair_id"], found, offsets)
        num_loci = len(set(loci))
        self.say(f"{entry.name}: {len(sites):,} sites, {num_loci:,} loci")

    def _rungs_of(self, entry: PanelEntry) -> list[str]:
        """The rungs asked for that need positions only, as far as they make sense for the class."""
        return [
            rung
            for rung in self.settings.rungs
            if rung in POSITION_RUNGS and (rung != "same-dinucleotide" or entry.kind in SPLICE)
        ]

    def _start_drawing(self, pool: ThreadPoolExecutor) -> dict[tuple[str, str], Future[Controls]]:
        """Have the controls of every class and rung drawn, in the order in which they are asked for.

        What is drawn depends on seed, class and rung alone.
        """
        return {
            (entry.name, rung): pool.submit(self._draw, entry, rung, self.sites.by_class[entry.name])
            for entry in self.panel
            if entry.name in self.sites.by_class
            for rung in self._rungs_of(entry)
        }

    def _draw(self, entry: PanelEntry, rung: str, sites: pd.DataFrame) -> Controls:
        annotated = [table for table in (self.annotated, self.sites.tss) if table is not None]
        exclude = self.uncovered
        pool: Any = "uniform" if rung in DECOY_RUNGS else self.settings.pool
        all_tss = [table for table in (self.sites.tss, self.avoided_tss) if table is not None]
        if entry.motif is not None and all_tss:
            first, end = entry.motif.window
            tss = pd.concat(all_tss, ignore_index=True)
            exclude = pd.concat([exclude, regions_around(tss, first, end)], ignore_index=True)
            if rung == "same-kmer":
                pool = outside_windows(motif_hits(self.genome, None, entry.motif.scored), tss, entry.motif)
                if entry.motif.is_literal:  # its sites are told apart by their letters, which `score` would pass over
                    pool = pool.drop(columns="score")
        landmarks = Landmarks(
            annotated=pd.concat(annotated)[["chrom", "cut", "strand"]].drop_duplicates() if annotated else None,
            exclude_regions=exclude,
            tss=self.sites.tss,
            repeats=self.landmarks.repeats,
        )
        return draw_controls(
            rung,
            sites,
            self.genome,
            landmarks=landmarks,
            flank_bp=self.settings.flank_bp,
            pool=pool,
            kind=entry.kind,
            seed=self.settings.seed,
        )

    def _density(self, tracks: Mapping[str, Tracks]) -> pd.DataFrame:
        """Density of cuts over annotation classes, and of the residual, matched for the bases around the cut."""
        tables = []
        for signal, each in tracks.items() if self.sites.transcripts is not None else ():
            try:
                repeats = self.landmarks.repeats
                sums = density_sums(each.plus, self.genome, self.sites.transcripts, k=4, repeats=repeats)
                kind: Literal["raw", "residual"] = "raw" if signal == "raw" else "residual"
                tables.append(density_table(sums, value_signal=kind, seed=self.settings.seed))
            except ValueError as error:
                self.sites.notes.append(f"density: {error}")
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=DENSITY_COLUMNS)

    def _designed_rungs(
        self,
        offsets: np.ndarray,
        findings: Findings,
        controls: Mapping[tuple[str, str], Controls],
    ) -> None:
        rungs = [rung for rung in self.settings.rungs if rung in DESIGNED_RUNGS]
        entries = [entry for entry in self.panel if entry.name in self.sites.by_class]
        if not rungs or not entries:
            return
        if self.run_model is None:
            for entry in entries:
                for rung in rungs:
                    reason = "the sequences of this rung have to be read by a model: pass --model"
                    untested(findings, entry, rung, "needs model", reason)
            return
        classes = {}
        for entry in entries:
            sites = self._at_most(self.sites.by_class[entry.name])
            matched = self._contexts(controls, entry.name)
            classes[entry.name] = design_class(
                sites,
                self.genome,
                rungs,
                self.settings.design_window_bp,
                matched=matched,
                kind=entry.kind,
                seed=self.settings.seed,
            )
        try:
            path = run_designs(classes, self.out / "designs", self.run_model)
        except (ValueError, OSError) as error:
            for entry in entries:
                for rung in rungs:
                    untested(findings, entry, rung, "failed", f"the model could not read the sequences: {error}")
            return
        reach = min(self.settings.flank_bp, self.settings.design_window_bp // 2 - 1)
        inner = offsets[np.abs(offsets) <= reach]
        for entry in entries:
            self._compare_designs(entry, rungs, classes[entry.name], path, inner, findings)

    def _contexts(self, controls: Mapping[tuple[str, str], Controls], site_class: str) -> pd.DataFrame | None:
        """The pairs that context-swap takes contexts from: of the first such rung whose controls were not refused."""
        for rung in CONTEXT_RUNGS:
            drawn = controls.get((site_class, rung))
            if drawn is not None and len(drawn.pairs) and (self.settings.force or not imbalance(drawn.balance)):
                return drawn.pairs
        return None

    def _compare_designs(
        self,
        entry: PanelEntry,
        rungs: Sequence[str],
        made: ClassDesigns,
        path: Path | None,
        offsets: np.ndarray,
        findings: Findings,
    ) -> None:
        for rung in rungs:
            if rung not in made.by_rung or path is None:
                untested(findings, entry, rung, "no sites", made.impossible.get(rung, "no records"))
                continue
            mine = Findings()
            seed = self.settings.seed
            try:
                with open_track(path) as track:
                    found = read_rung(made.by_rung[rung], made.sites, track, offsets, self.expectation)
                loci = found.sites["locus"].to_numpy()
                compare(mine, entry, rung, found.signals, offsets, loci, found.pair_rows, unbalanced="", seed=seed)
            except (ValueError, OSError) as error:
                untested(findings, entry, rung, "failed", str(error))
            else:
                findings.add(mine)

    def _at_most(self, sites: pd.DataFrame) -> pd.DataFrame:
        most = self.settings.max_designed_sites
        if len(sites) <= most:
            return sites
        chosen = np.random.default_rng(self.settings.seed).choice(len(sites), most, replace=False)
        return sites.iloc[np.sort(chosen)].reset_index(drop=True)

    def _peaks(
        self, matrices: Mapping[str, np.ndarray], loci: np.ndarray, offsets: np.ndarray
    ) -> list[tuple[str, Peak]]:
        if len(set(loci)) < 2 * MIN_LOCI:
            return []
        split = split_loci(loci, seed=self.settings.seed)
        near = np.abs(offsets) <= LOGO_REACH_BP
        return [
            (signal, peak(matrix[:, near], loci, offsets[near], split, num=500, seed=self.settings.seed))
            for signal, matrix in matrices.items()
        ]

    def _save(
        self, entry: PanelEntry, rung: str, ids: pd.Series, matrices: Mapping[str, np.ndarray], offsets: np.ndarray
    ) -> None:
        folder = self.out / "matrices"
        folder.mkdir(exist_ok=True)
        provenance = {"class": entry.name, "rung": rung, "track": self.track.name}
        for signal, matrix in matrices.items():
            end = "" if signal == "raw" else f".{signal}"
            path = folder / f"{file_name(entry.name)}.{rung}{end}.npz"
            save_matrix(path, matrix, offsets, ids.to_numpy(), provenance | {"signal": signal})

    def _in_order(self, findings: Findings) -> list[Any]:
        names = [entry.name for entry in self.panel]
        return sorted(
            findings.tests,
            key=lambda row: (names.index(row.site_class), ALL_RUNGS.index(row.rung), TESTED_SIGNALS.index(row.signal)),
        )

    def _write_tables(
        self,
        findings: Findings,
        tests: pd.DataFrame,
        controls: Mapping[tuple[str, str], Controls],
        peaks: list[tuple[Any, ...]],
        seconds: float,
    ) -> None:
        logos = [
            count_site_bases(self.genome, sites, np.arange(-LOGO_REACH_BP, LOGO_REACH_BP)).assign(**{"class": name})
            for name, sites in self.sites.by_class.items()
        ]
        tables = finding_tables(findings, controls) | {
            "sites": self.sites.table(),
            "tests": tests,
            "peaks": pd.DataFrame(peaks, columns=["class", "signal", *Peak._fields]),
            "r2": self.r2,
            "density": self.density,
            "logos": joined([each[LOGO_COLUMNS] for each in logos], LOGO_COLUMNS),
        }
        notes = [*self.sites.notes, *(f"{n} {r}: {note}" for (n, r), d in controls.items() for note in d.notes)]
        record = self.facts | {
            "panel": [entry.provenance() for entry in self.panel],
            "settings": asdict(self.settings),
            "notes": notes,
            "seconds": round(seconds, 1),
        }
        write_results(self.out, tables, record)
