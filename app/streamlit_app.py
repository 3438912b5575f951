"""The boundary explorer as a Streamlit script; `ldarnet explore` starts it with the files to show."""

from ldarnet_app.main import main

main()
