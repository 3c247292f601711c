"""Models of functions whose derivatives have signs."""
