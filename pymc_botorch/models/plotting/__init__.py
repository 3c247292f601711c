"""Figures of models, by matplotlib."""
