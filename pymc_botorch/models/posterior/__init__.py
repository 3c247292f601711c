"""Posteriors as torch functions: differentiable moments, processes, lazy covariances."""
