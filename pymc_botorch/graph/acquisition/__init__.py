"""Acquisition functions as PyTensor expressions: formulas, and functions of a posterior that are compiled whole."""
