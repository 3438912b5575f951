"""What the sequence page was asked for: in its address, and kept while a reader looks at other pages."""

from collections.abc import Mapping

import streamlit as st

MAX_ADDRESS_BP = 2_000
MAX_ADDRESS_EDITS = 500
_KEPT = "sequence asked"


def asked() -> Mapping[str, str]:
    """Of the address; without one, of the last visit in this session. Keys seq, locus, flip, strand, model, edits."""
    return st.query_params.to_dict() or st.session_state.get(_KEPT, {})


def begin(key: str, value: object) -> None:
    """The value that a widget has when a visit starts."""
    if key not in st.session_state:
        st.session_state[key] = value


def keep(wanted: Mapping[str, str]) -> list[str]:
    """Write what is wanted into the address, where it is short enough; returns the names of what was not.

    An empty value is left out.
    """
    wanted = {name: text for name, text in wanted.items() if text}
    st.session_state[_KEPT] = wanted
    limits = {"seq": MAX_ADDRESS_BP, "edits": MAX_ADDRESS_EDITS}
    too_long = [name for name, limit in limits.items() if len(wanted.get(name, "")) > limit]
    address = {name: text for name, text in wanted.items() if name not in too_long}
    if st.query_params.to_dict() != address:
        st.query_params.from_dict(address)
    return too_long
