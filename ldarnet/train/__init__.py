"""Losses of the training objective."""
