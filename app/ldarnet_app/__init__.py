"""The boundary explorer. Reads tracks and analysis results; needs no torch."""
