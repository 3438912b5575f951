"""Data: each call opens a file, reads what it was asked for and closes it; nothing here imports Streamlit."""
