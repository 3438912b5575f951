"""The page that says what is shown: how each file was made, what its values mean, how to cite."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from ldarnet import __version__
from ldarnet.genome import Contig
from ldarnet.tracks import open_track
from ldarnet_app.inputs import Inputs, TrackFile
from ldarnet_app.pages.markdown import literal
from ldarnet_app.sources.genome import contigs_of
from ldarnet_app.sources.model_card import is_shipped, shipped_card
from ldarnet_app.sources.run_record import read_run, run_rows
from ldarnet_app.sources.sidecars import (
    changed_contigs,
    command_of,
    contig_table,
    disagreements,
    fasta_checksums,
    part,
    provenance_rows,
    read_sidecar,
    shortened,
    sidecar_of,
)

CHECKED_UNASKED_BP = 200_000_000
"""Genomes up to this size are compared by checksum without being asked."""

MEANING = """
- The value at base *i* is the probability that the model **cuts left of base *i***: that a chunk starts there. Bases
  are counted from 0, intervals are half-open; `chr1:100-200` is bases 100 to 199.
- A **hard cut** is taken where the value is above 0.5. A **chunk** reaches from one cut to the next and ends at N.
- **Base 0 of a contig has no value**: there is nothing left of it to be cut from. **N has none either**; IUPAC codes
  are read as N. A gap in a curve is a base without a value, not a 0.
- On the reverse complement of a sequence of length *L*, cut *i* is cut *L - i*. The model is not symmetric: the two
  strands have values of their own, and `both-mean` is their mean.
- A value depends on the window it was read in, not on the base alone. The cuts of the shipped model follow, on human
  sequence, mostly the letters next to them; whether cuts follow more is what an analysis (`ldarnet align`) asks.
"""
CITE = """
Cite the model's paper: Ledneva & Kuznetsov 2026, ICML, [arXiv:2606.04552](https://arxiv.org/abs/2606.04552); and this
software by its name and version, with the model's sha256 as above.
"""


def about_page(inputs: Inputs) -> None:
    """Draw the page; what is missing or broken is said and does not keep the rest from being shown."""
    st.header("About this data")
    try:
        contigs = contigs_of(inputs.fasta)
    except (ValueError, OSError) as error:
        st.error(literal(f"The FASTA cannot be read: {error}"))
        contigs = ()
    models = {}
    for track in inputs.tracks:
        st.subheader(literal(track.label), anchor=False)
        record = _draw_track(track, inputs.fasta, contigs)
        model = part(record, "model")
        if "sha256" in model:
            models[str(model["sha256"])] = str(model.get("name", "unnamed"))
    if contigs:
        _draw_genome(inputs.fasta, contigs)
    if inputs.results is not None:
        st.subheader("Analysis", anchor=False)
        _draw_run(inputs.results)
    st.subheader("What the values mean", anchor=False)
    st.markdown(MEANING)
    _draw_models(models)
    st.subheader("How to cite", anchor=False)
    st.markdown(CITE)
    st.code(f"ldarnet {__version__}", language=None)


def _draw_track(track: TrackFile, fasta: Path, contigs: tuple[Contig, ...]) -> Mapping[str, Any]:
    """Returns the sidecar's record, empty where there is none to read."""
    st.caption(literal(str(track.path)))
    record: Mapping[str, Any] | None = None
    try:
        record = read_sidecar(track.path)
        if record is None:
            st.warning(literal(f"There is no {sidecar_of(track.path).name} beside it: how it was made is not known."))
    except (ValueError, OSError) as error:
        st.error(literal(f"Its sidecar cannot be read, so how it was made is not known. {error}"))
    recorded = contig_table(record or {})
    if record is not None:
        _draw_rows(command_of(record), provenance_rows(record))
    try:
        with open_track(track.path) as opened:
            of_track = opened.contigs
    except (ValueError, OSError) as error:
        st.error(literal(f"The track cannot be read: {error}"))
        return record or {}
    if contigs:
        _draw_agreement(recorded, of_track, fasta, contigs, key=track.label)
    if len(recorded):
        with st.expander(f"Contigs of the FASTA it was made from ({len(recorded):,})"):
            st.dataframe(recorded, hide_index=True)
    return record or {}


def _draw_agreement(
    recorded: pd.DataFrame, of_track: tuple[Contig, ...], fasta: Path, contigs: tuple[Contig, ...], *, key: str
) -> None:
    differing = disagreements(recorded, of_track, contigs)
    for sentence in differing:
        st.warning(literal(f"Files disagree: {sentence}."))
    if not recorded["md5"].notna().any():
        st.caption("No checksum is recorded: that its bases are those of the FASTA shown cannot be verified.")
        return
    total_bp = sum(contig.length_bp for contig in contigs)
    if total_bp > CHECKED_UNASKED_BP and not st.button(f"Compare checksums of {total_bp:,} bases", key=f"md5 {key}"):
        return
    try:
        changed = changed_contigs(recorded, fasta_checksums(fasta))
    except (ValueError, OSError) as error:
        st.error(literal(f"The FASTA cannot be read through: {error}"))
        return
    if changed:
        st.warning(
            literal(
                f"Files disagree: the bases of {shortened(changed)} in {fasta.name} are not those that the track was "
                "made from (MD5). Its values belong to other bases."
            )
        )
    elif not differing:
        st.success("Names, lengths and checksums (MD5) of the contigs agree with the FASTA shown.")


def _draw_rows(command: str, rows: list[tuple[str, str]]) -> None:
    st.code(command, language="bash", wrap_lines=True)
    st.dataframe(
        pd.DataFrame(rows, columns=["what", "value"]),
        hide_index=True,
        height=38 + 35 * len(rows),
        column_config={"what": st.column_config.TextColumn(width="small"), "value": st.column_config.TextColumn()},
    )


def _draw_genome(fasta: Path, contigs: tuple[Contig, ...]) -> None:
    st.subheader("Genome", anchor=False)
    total_bp = sum(contig.length_bp for contig in contigs)
    st.caption(literal(f"{fasta}: {len(contigs):,} contigs, {total_bp:,} bases"))
    with st.expander("Contigs"):
        st.dataframe(pd.DataFrame(contigs, columns=["name", "length"]), hide_index=True)


def _draw_run(folder: Path) -> None:
    st.caption(literal(str(folder)))
    try:
        run = read_run(folder)
    except (ValueError, OSError) as error:
        st.error(literal(f"How the analysis was made is not known. {error}"))
        return
    _draw_rows(command_of(run), run_rows(run))
    notes = run.get("notes")
    if isinstance(notes, list) and notes:
        with st.expander(f"Notes of the analysis ({len(notes):,})"):
            st.markdown("\n".join(f"- {literal(str(note))}" for note in notes))


def _draw_models(models: Mapping[str, str]) -> None:
    st.subheader("Model", anchor=False)
    if not models:
        st.caption("No sidecar names the model, so its card cannot be shown.")
    for sha256, name in models.items():
        if is_shipped(sha256) and (card := shipped_card()):
            with st.expander(literal(f"Card of {name}, the shipped model"), expanded=False):
                st.markdown(card)
        else:
            st.caption(
                literal(
                    f"{name} ({sha256[:12]}...) is not the shipped model and has no card here; what its file says of "
                    f"itself is in the table of its track, or from: ldarnet model info {shlex.quote(name)}"
                )
            )
