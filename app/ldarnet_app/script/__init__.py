"""What Streamlit runs. A folder of its own: Streamlit takes a folder `pages` beside its script for its own pages."""
