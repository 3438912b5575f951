"""Boundaries around motifs and splice sites, against matched controls. Reads tracks; needs no torch."""
