"""Floor 1, PyTensor: a gp as compiled functions of arrays."""
