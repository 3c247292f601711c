"""Fits: the log posterior density, its maximum, and draws from it."""
