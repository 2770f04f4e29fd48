"""The registry of what is compared: every algorithm that exists on both sides is one row."""

from jaxnet.crosscheck.cases import (
    activations,
    batch_norm,
    batch_norm_network,
    clipping,
    data,
    decisions,
    gradient_check,
    losses,
    networks,
    optimizers,
    regularizers,
    sampling,
    schedules,
)
from jaxnet.crosscheck.cases.case import (
    Case,
    bound,
    compare_twins,
    complex_step_gradient,
    draw,
    jaxnet_results,
    numerical_gradient,
)

CASES: tuple[Case, ...] = (
    *activations.CASES,
    *losses.CASES,
    *networks.CASES,
    *regularizers.CASES,
    *optimizers.CASES,
    *clipping.CASES,
    *schedules.CASES,
    *batch_norm.CASES,
    *batch_norm_network.CASES,
    *data.CASES,
    *decisions.CASES,
    *gradient_check.CASES,
    *sampling.CASES,
)

__all__ = [
    "CASES",
    "Case",
    "bound",
    "compare_twins",
    "complex_step_gradient",
    "draw",
    "jaxnet_results",
    "numerical_gradient",
]
