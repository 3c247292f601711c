"""Floor 2, PyMC: a fitted gp and a point become values for the compiled functions."""
