"""BoTorch acquisition functions on our models, compiled."""
