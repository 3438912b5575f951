"""Pages: functions of the inputs that draw with Streamlit."""
