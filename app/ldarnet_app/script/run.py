"""The boundary explorer as a Streamlit script, with the inputs as its one argument."""

from ldarnet_app.main import main

main()
