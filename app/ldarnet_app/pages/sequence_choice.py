"""Which sequence, model and strand the sequence page runs."""

from pathlib import Path
from typing import NamedTuple

import streamlit as st

from ldarnet import vocab
from ldarnet_app.inputs import Inputs
from ldarnet_app.live_model import STRANDS, Strand
from ldarnet_app.pages.markdown import literal
from ldarnet_app.pages.sequence_state import asked, begin
from ldarnet_app.pasted import MAX_BP, MAX_UPLOAD_MB, Pasted, decode_upload, parse_sequence
from ldarnet_app.sources.genome import bases_of, contigs_of
from ldarnet_app.view import located

PASTE, UPLOAD, LOCUS = "Paste", "Upload", "Locus of the FASTA"


class Chosen(NamedTuple):
    """What to run, and the parts of the address that say so."""

    pasted: Pasted
    query: dict[str, str]


class Run(NamedTuple):
    """How to run it, and the parts of the address that say so.

    `model` was named on the command line, or is the shipped one.
    """

    model: str
    strand: Strand
    query: dict[str, str]


def choose_run(inputs: Inputs) -> Run:
    """Model and strand."""
    label = _label(inputs.model)
    # The shipped model must not stand in for another one that is called as it is.
    models = {inputs.model if label == "default" else label: inputs.model} | {"default": "default"}
    strand_place, model_place = st.columns(2)
    first = label = next(iter(models))
    if len(models) > 1:
        wanted = asked().get("model", label)
        if wanted not in models:
            st.warning(literal(f"No model {wanted[:60]!r} here; there are {', '.join(models)}."))
        begin("sequence model", wanted if wanted in models else label)
        label = model_place.selectbox("Model", list(models), key="sequence model")
    wanted = asked().get("strand", "+")
    if wanted not in STRANDS:
        st.warning(literal(f"No strand {wanted[:60]!r}: expected one of {', '.join(STRANDS)}."))
    begin("sequence strand", wanted if wanted in STRANDS else "+")
    strand = strand_place.selectbox(
        "Strand that the model reads", STRANDS, key="sequence strand", help="both-mean: the mean of both"
    )
    query = {"strand": strand if strand != "+" else "", "model": label if label != first else ""}
    return Run(models[label], strand, query)


def _label(model: str) -> str:
    return Path(model).name or model


def choose_sequence(inputs: Inputs) -> Chosen | None:
    """The sequence asked for, None where there is none yet; what was changed in it is said on the page.

    Raises ValueError or OSError for one that cannot be run.
    """
    begin("sequence source", LOCUS if "locus" in asked() and "seq" not in asked() else PASTE)
    source = st.radio("Sequence", [PASTE, UPLOAD, LOCUS], key="sequence source", horizontal=True)
    begin("sequence flip", asked().get("flip") == "1")
    query: dict[str, str] = {}
    with st.form("sequence form", border=False):
        if source == PASTE:
            pasted = _pasted()
        elif source == UPLOAD:
            pasted = _uploaded()
        else:
            pasted, query = _locus(inputs)
        flipped = st.checkbox("Take its reverse complement", key="sequence flip")
        st.form_submit_button("Run", type="primary")
    if pasted is None:
        return None
    query = query or {"seq": pasted.sequence}
    name, sequence, notes = pasted
    if flipped:
        sequence = vocab.decode(vocab.reverse_complement(vocab.encode(sequence)))
        query["flip"] = "1"
        notes = (*notes, "reverse complement: base 0 is the complement of its last base")
    st.markdown(literal(f"{name}: {len(sequence):,} bases") + "".join(f"; {literal(note)}" for note in notes) + ".")
    return Chosen(Pasted(name, sequence, notes), query)


def _pasted() -> Pasted | None:
    begin("sequence text", asked().get("seq", ""))
    text = st.text_area(
        f"Sequence, one FASTA or GenBank record, up to {MAX_BP:,} bases",
        key="sequence text",
        height=140,
        max_chars=MAX_UPLOAD_MB << 20,
        placeholder=">name\nACGT...",
    )
    return parse_sequence(text) if text.strip() else None


def _uploaded() -> Pasted | None:
    file = st.file_uploader(
        f"Text file with one sequence, up to {MAX_BP:,} bases", max_upload_size=MAX_UPLOAD_MB, key="sequence file"
    )
    return None if file is None else parse_sequence(decode_upload(file.getvalue()))


def _locus(inputs: Inputs) -> tuple[Pasted | None, dict[str, str]]:
    contigs = contigs_of(inputs.fasta)
    begin("sequence locus", asked().get("locus", ""))
    example = f"{contigs[0].name}:0-{min(1000, contigs[0].length_bp)}"
    text = st.text_input(
        f"Locus in {inputs.fasta.name}, chrom:start-end (0-based, half-open)", key="sequence locus", placeholder=example
    )
    if not text.strip():
        return None, {}
    view, note = located(text, contigs)
    if view.span_bp > MAX_BP:
        raise ValueError(f"{view.locus}: expected at most {MAX_BP:,} bases, got {view.span_bp:,}")
    parsed = parse_sequence(vocab.decode(bases_of(inputs.fasta, view.chrom, view.start, view.end)))
    notes = [
        *([note.rstrip(".")] if note else []),
        *parsed.notes,
        f"its base 0 is base {view.start:,} of {view.chrom}; read without the bases around it, so that values near "
        "its ends are not those of the genome's track",
    ]
    return Pasted(view.locus, parsed.sequence, tuple(notes)), {"locus": view.locus}
