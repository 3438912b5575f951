"""What a reader types to go somewhere: a site, a gene, or a locus."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from ldarnet.genome import Contig
from ldarnet_app.sources.genes import GeneIndex, Model
from ldarnet_app.sources.sites import Site, SiteIndex
from ldarnet_app.view import MAX_SPAN_BP, Located, View, centered, fitted, located

GENE_MARGIN = 0.1
SITE_SPAN_BP = 400
WIDEST_AROUND_SITE_BP = 20_000


class Places(NamedTuple):
    """All that can be gone to; genes and sites where there are any."""

    contigs: tuple[Contig, ...]
    genes: GeneIndex | None
    sites: SiteIndex | None


class NotFound(ValueError):
    """Nothing goes by that name; `suggestions` are names like it."""

    def __init__(self, message: str, suggestions: Sequence[str]) -> None:
        super().__init__(message)
        self.suggestions = tuple(suggestions)


def found(text: str, view: View, places: Places) -> Located:
    """The view of what the text names, drawn as `view` is; sites and genes come before loci.

    Raises NotFound for names that are none, ValueError for loci that are malformed or outside their contig.
    """
    text, (contigs, genes, sites) = text.strip(), places
    site = sites.named(text) if sites else None
    if site is not None:
        if site.chrom not in dict(contigs):
            raise ValueError(f"site {text!r} lies on {site.chrom}, which the genome does not have")
        return Located(at_site(view, site, contigs), "")
    models = genes.gene(text) if genes else []
    if models:
        copies = _copies(models)
        start, end = copies[0]
        margin = round(GENE_MARGIN * (end - start)) + 1
        shown = replace(view, chrom=models[0].chrom, start=start - margin, end=end + margin)
        note = f"{text}: the first of {len(copies)} places on {shown.chrom}." if len(copies) > 1 else ""
        if end - start > MAX_SPAN_BP:
            note = f"{text} is longer than the {MAX_SPAN_BP:,} bases that can be shown at once: this is its middle."
        return Located(fitted(shown, contigs), note)
    if ":" not in text and text not in dict(contigs):
        raise _not_found(text, contigs, genes)
    place = located(text, contigs)
    return Located(replace(view, chrom=place.view.chrom, start=place.view.start, end=place.view.end), place.note)


def _copies(models: Sequence[Model]) -> list[tuple[int, int]]:
    """The stretches that the transcripts of a name cover: one, or several too far apart to be shown together."""
    spans = sorted((model.start, model.end) for model in models)
    if max(end for _, end in spans) - spans[0][0] <= MAX_SPAN_BP:
        return [(spans[0][0], max(end for _, end in spans))]
    copies = [spans[0]]
    for start, end in spans[1:]:
        if start <= copies[-1][1]:
            copies[-1] = copies[-1][0], max(end, copies[-1][1])
        else:
            copies.append((start, end))
    return copies


def at_site(view: View, site: Site, contigs: Sequence[Contig]) -> View:
    """The view about a site's cut, as wide as before unless that is too wide to see it."""
    if view.span_bp > WIDEST_AROUND_SITE_BP:
        view = replace(view, start=0, end=SITE_SPAN_BP)
    return centered(view, site.cut, contigs, chrom=site.chrom)


def _not_found(text: str, contigs: Sequence[Contig], genes: GeneIndex | None) -> NotFound:
    shown = repr(text if len(text) <= 60 else f"{text[:60]}...")
    expected = f"a locus such as {contigs[0].name}:1000-2000"
    if genes is None:
        return NotFound(f"no contig or site {shown}; expected one of these, or {expected}", ())
    near = genes.near(text)
    hint = "" if near else "; no gene has a name like it"
    return NotFound(f"no gene, contig or site {shown}; expected one of these, or {expected}{hint}", near)
