"""Populations of models. So far: spaces of hyperparameters and their samplers."""

from jaxnet.populations import samplers

__all__ = ["samplers"]
