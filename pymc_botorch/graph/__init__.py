"""Floor 1, PyTensor: a gp becomes compiled functions."""
