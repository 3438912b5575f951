"""What a reader types to go somewhere: a site, a gene, or a locus."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from ldarnet.genome import Contig
from ldarnet_app.sources.genes import GeneIndex
from ldarnet_app.sources.sites import Site, SiteIndex
from ldarnet_app.view import Located, View, centered, fitted, located

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
        return Located(at_site(view, site, contigs), "")
    models = genes.gene(text) if genes else []
    if models:
        start, end = min(model.start for model in models), max(model.end for model in models)
        margin = round(GENE_MARGIN * (end - start)) + 1
        shown = replace(view, chrom=models[0].chrom, start=start - margin, end=end + margin)
        return Located(fitted(shown, contigs), "")
    if ":" not in text and text not in dict(contigs):
        raise _not_found(text, contigs, genes)
    place = located(text, contigs)
    return Located(replace(view, chrom=place.view.chrom, start=place.view.start, end=place.view.end), place.note)


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
