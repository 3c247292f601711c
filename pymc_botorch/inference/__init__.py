"""Floor 2, PyMC: gps and data become points, draws and fitted gps."""
