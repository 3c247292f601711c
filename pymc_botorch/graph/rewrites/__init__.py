"""Rewrites of expressions: equal values, at less cost or with exact derivatives; functions not registered with PyTensor."""
