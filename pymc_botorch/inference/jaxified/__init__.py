"""Expressions of a model as functions of JAX, whose derivatives are PyTensor's (extra ``jax``)."""
