"""PyMC's gps as arrays and posterior graphs."""
