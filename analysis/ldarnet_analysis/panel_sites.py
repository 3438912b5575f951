"""The sites of a panel: found in an annotation, on the contigs of a genome."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pandas as pd

from ldarnet.genome import Genome
from ldarnet_analysis.aligned_sequences import AlignedSequences
from ldarnet_analysis.annotations import Annotation
from ldarnet_analysis.dropped import Dropped
from ldarnet_analysis.panel import PanelEntry
from ldarnet_analysis.placing import on_genome
from ldarnet_analysis.promoters import motif_sites
from ldarnet_analysis.records import lift_sites, lift_to_records, records_in_names
from ldarnet_analysis.sites import SITE_COLUMNS
from ldarnet_analysis.splicing import intron_check, introns_of, splice_sites
from ldarnet_analysis.transcript_starts import start_codon_sites, tss_sites


@dataclass
class PanelSites:
    """Site tables by class, the TSS (None where there are none), and sentences for the user."""

    by_class: dict[str, pd.DataFrame] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    """Class -> why it has no sites."""
    tss: pd.DataFrame | None = None
    transcripts: pd.DataFrame | None = None
    """On the genome's contigs; None where the annotation has none."""
    notes: list[str] = field(default_factory=list)

    def table(self) -> pd.DataFrame:
        """All sites, with the columns of the contract."""
        tables = [sites[SITE_COLUMNS] for sites in self.by_class.values()]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=SITE_COLUMNS)


def annotated_sites(
    annotation: Annotation, genome: Genome, panel: Sequence[PanelEntry], *, records: pd.DataFrame | None = None
) -> PanelSites:
    """The sites of every entry in an annotation, on the contigs of a genome.

    `records` (RECORD_COLUMNS) says which part of which chromosome each contig is; without it, contigs are whole
    chromosomes, their first parts, or named like chr20:6000001-10000000. Introns are read on the genome first: under
    90 % GT..AG is a note, under half a ValueError. A class without sites is listed in `missing` with what took them.
    """
    found = PanelSites(notes=list(annotation.notes))
    if records is None and any(":" in contig.name for contig in genome.contigs):
        records = records_in_names(genome.contigs)
    if records is None:
        elsewhere = Dropped()
        annotation = on_genome(annotation, genome.contigs, partial=True, dropped=elsewhere)
        found.notes.append(f"{annotation.name}: {elsewhere}")
    if annotation.format != "bed6":
        placed = annotation if records is None else lift_to_records(annotation, records)
        found.transcripts = placed.transcripts
    place = _Placing(genome, records, found)
    kinds = {entry.kind for entry in panel}
    if kinds & {"donor", "acceptor"}:
        _check_introns(found, annotation, genome, records)
        splice = place.sites("splice sites", splice_sites, annotation)
        for kind in ("donor", "acceptor"):
            _put(found, panel, kind, None if splice is None else splice[splice["class"] == kind], "splice sites")
    if kinds & {"motif", "TSS"}:
        found.tss = place.sites("TSS", tss_sites, annotation)
        _put(found, panel, "TSS", found.tss, "TSS")
    if "start-codon" in kinds:
        starts = place.sites("start codons", start_codon_sites, annotation)
        _put(found, panel, "start-codon", starts, "start codons")
    for entry in panel:
        if entry.motif is not None:
            _add_motif_sites(found, entry, genome)
    return found


def aligned_sites(aligned: AlignedSequences, panel: Sequence[PanelEntry]) -> PanelSites:
    """The sites of sequences aligned at an anchor: motifs relative to it, or the anchor itself.

    Raises ValueError for a panel with several classes that would be the anchor.
    """
    found = PanelSites()
    classes = [entry.name for entry in panel if entry.motif is None]
    if len(classes) > 1:
        raise ValueError(
            f"all sequences are aligned at one anchor, which is of one class: expected a panel with one besides "
            f"motifs, got {', '.join(classes)}"
        )
    found.tss = aligned.anchor_sites("TSS")
    for entry in panel:
        if entry.motif is not None:
            _add_motif_sites(found, entry, aligned)
        else:
            found.by_class[entry.name] = aligned.anchor_sites(entry.name)
    return found


@dataclass(frozen=True)
class _Placing:
    """Finds sites in an annotation and places them on the contigs; failures go to `found.missing`."""

    genome: Genome
    records: pd.DataFrame | None
    found: PanelSites

    def sites(self, what: str, finder: Callable[..., pd.DataFrame], annotation: Annotation) -> pd.DataFrame | None:
        dropped = Dropped()
        try:
            sites = finder(annotation, dropped=dropped)
            if self.records is not None:
                sites = lift_sites(sites, self.records, dropped)
            length_of = dict(self.genome.contigs)
            sites = dropped.keep(sites, sites["chrom"].isin(list(length_of)), "sites on contigs without sequence")
            inside = sites["cut"].between(0, sites["chrom"].map(length_of))
            sites = dropped.keep(sites, inside, "sites beyond the end of their contig")
            dropped.require_some(sites, what)
        except ValueError as error:
            self.found.missing[what] = str(error)
            return None
        self.found.notes.append(f"{what}: {dropped}")
        return sites


def _check_introns(found: PanelSites, annotation: Annotation, genome: Genome, records: pd.DataFrame | None) -> None:
    if annotation.format != "bed6" and records is not None:
        annotation = lift_to_records(annotation, records)
    introns = introns_of(annotation)
    length_of = dict(genome.contigs)
    here = introns["chrom"].isin(list(length_of)) & (introns["end"] <= introns["chrom"].map(length_of))
    check = intron_check(introns[here], genome)
    found.notes.append(f"introns: {check.warning or check}")


def _put(found: PanelSites, panel: Sequence[PanelEntry], kind: str, sites: pd.DataFrame | None, what: str) -> None:
    for entry in panel:
        if entry.kind != kind:
            continue
        if sites is None or sites.empty:
            found.missing[entry.name] = found.missing.get(what, f"no {kind} in the annotation")
        else:
            # the kind's own ids begin with it, and two classes of one kind must not share them
            ids = sites["site_id"] if entry.name == kind else f"{entry.name}:" + sites["site_id"]
            renamed = sites.assign(**{"class": entry.name, "site_id": ids})
            found.by_class[entry.name] = renamed.reset_index(drop=True)


def _add_motif_sites(found: PanelSites, entry: PanelEntry, genome: Genome | AlignedSequences) -> None:
    assert entry.motif is not None
    if found.tss is None:
        found.missing[entry.name] = found.missing.get("TSS", "no TSS in the annotation")
        return
    sites = motif_sites(genome, found.tss, entry.motif)
    if sites.empty:
        window = "..".join(map(str, entry.motif.window))
        found.missing[entry.name] = f"no hit in {window} of {len(found.tss):,} TSS"
    else:
        found.by_class[entry.name] = sites
