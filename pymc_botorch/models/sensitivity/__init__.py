"""What raw data do to a model and to what it recommends."""
