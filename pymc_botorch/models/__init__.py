"""Floor 3, torch: compiled functions become BoTorch models."""
