"""Charts: tables in, plotly figures out; nothing here imports Streamlit."""
