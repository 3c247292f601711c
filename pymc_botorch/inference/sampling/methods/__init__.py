"""Methods that draw from a density, and their diagnostics."""
