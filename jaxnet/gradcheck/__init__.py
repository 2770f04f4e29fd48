"""Numerical gradients, and checking a gradient against them.

Every coordinate is perturbed, in chunks that bound the memory, and beyond 100,000 of them random
directions are. Either way the outcome says how small an error would have been found: checks along
one direction, with a tolerance that nobody derived, accept gradients that are zero everywhere.
"""

from jaxnet.gradcheck.check import gradient_check
from jaxnet.gradcheck.differences import (
    central_differences,
    complex_step,
    default_eps,
    one_sided_differences,
    relative_distance,
)
from jaxnet.gradcheck.numpy_costs import check_numpy
from jaxnet.gradcheck.outcome import CORRECT, WRONG, GradientCheck, LeafCheck

__all__ = [
    "CORRECT",
    "WRONG",
    "GradientCheck",
    "LeafCheck",
    "central_differences",
    "check_numpy",
    "complex_step",
    "default_eps",
    "gradient_check",
    "one_sided_differences",
    "relative_distance",
]
