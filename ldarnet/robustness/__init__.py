"""How steady the cuts of a model are: under reversal, shifts, masks, edits, arithmetic, and between models."""
