"""Compiled functions of graphs: one cache, two linkers."""
