"""Streamlit's command, with what the first page needs imported before anybody asks for it."""

import sys

from streamlit.web.cli import main

import ldarnet_app.pages.locus  # noqa: F401

sys.exit(main())
