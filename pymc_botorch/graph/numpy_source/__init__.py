"""Graphs as straight-line source of NumPy: what the tier "numpy" runs."""
