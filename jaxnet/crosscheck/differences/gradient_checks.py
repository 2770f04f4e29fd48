"""Row 46: how wrong a gradient may be."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

import reference_numpy as ref
from jaxnet.crosscheck.backends import frameworks
from jaxnet.crosscheck.differences.difference import (
    CANNOT,
    Check,
    Difference,
    default,
    differ_as_predicted,
    is_default,
)

TOPIC = "schedules and stopping"


# Row 46: gradient checks of ½‖x‖², whose gradient x is given a factor 1 + δ.

POINT = np.array([1.0, -2.0, 0.5, 3.0, -1.5])


def _accepted_textbook(delta: float) -> bool:
    J = lambda theta: np.sum(theta**2) / 2  # noqa: E731
    outcome = ref.gradient_check.check(J, POINT, (1 + delta) * POINT)
    return outcome.verdict == ref.gradient_check.verdict(0.0)


def _accepted_torch(delta: float) -> bool:
    torch = frameworks.torch()

    class Half(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return (x**2).sum() / 2

        @staticmethod
        def backward(ctx, *grads):
            return grads[0] * (1 + delta) * ctx.saved_tensors[0]

    x = torch.tensor(POINT, requires_grad=True)
    return torch.autograd.gradcheck(Half.apply, (x,), raise_exception=False)


def _accepted_jax(delta: float) -> bool:
    from jax.test_util import check_grads

    @jax.custom_vjp
    def half(x):
        return jnp.sum(x**2) / 2

    half.defvjp(lambda x: (half(x), x), lambda x, g: (g * (1 + delta) * x,))
    try:
        check_grads(half, (jnp.asarray(POINT),), order=1, modes=("rev",))
    except AssertionError:
        return False
    return True


DELTAS = (0.0, 1e-9, 1e-6, 5e-4, 5e-2)


def _told(accepts: Callable[[float], bool]) -> list[float]:
    return [float(accepts(delta)) for delta in DELTAS]


# ‖Δ‖/(‖a‖ + ‖b‖) of a gradient (1 + δ)g is δ/(2 + δ), and 1e-7 passes. The differences' own error
# at ε = 1e-7 is 1e-16·J/ε = 1e-8, below that.
TEXTBOOK_TOLD = [float(delta / (2 + delta) <= 1e-7) for delta in DELTAS]


def _check_torch() -> list[Check]:
    gradcheck = frameworks.torch().autograd.gradcheck
    # |Δ| ≤ atol + rtol|n| in every coordinate.
    told = [float(np.all(delta * np.abs(POINT) <= 1e-5 + 1e-3 * np.abs(POINT))) for delta in DELTAS]
    return [
        differ_as_predicted(
            "accepts a factor 1+δ, δ = 0, 1e-9, 1e-6, 5e-4, 5e-2", _told(_accepted_torch),
            _told(_accepted_textbook), told, TEXTBOOK_TOLD,
        ),
        default("eps", gradcheck, "eps", 1e-6),
        default("atol", gradcheck, "atol", 1e-5),
        default("rtol", gradcheck, "rtol", 1e-3),
    ]  # fmt: skip


def _check_jax() -> list[Check]:
    from jax._src import public_test_util

    tolerance = public_test_util.default_gradient_tolerance
    # Along one direction v: |δ v·g| ≤ 1e-5 + 1e-5|v·g|. Whatever v, δ = 1e-6 is within and 5e-2
    # is not unless |v·g| < 2e-4.
    told = [float(delta <= 1e-5) for delta in DELTAS]
    return [
        differ_as_predicted(
            "accepts a factor 1+δ, δ = 0, 1e-9, 1e-6, 5e-4, 5e-2", _told(_accepted_jax),
            _told(_accepted_textbook), told, TEXTBOOK_TOLD,
        ),
        is_default("ε", float(public_test_util.EPS), 1e-4),
        is_default("tolerance, float32", float(tolerance[np.dtype(np.float32)]), 2e-3),
        is_default("tolerance, float64", float(tolerance[np.dtype(np.float64)]), 1e-5),
    ]  # fmt: skip


ROWS = (
    Difference(
        46, "a", TOPIC,
        {"textbook": "‖Δ‖/(‖a‖+‖b‖) ≤ 1e-7, ε = 1e-7", "torch": "|Δ| ≤ 1e-5 + 1e-3|n|, ε = 1e-6"},
        CANNOT, _check_torch, {"torch": "eps=1e-6, atol=1e-5, rtol=1e-3"},
        "rtol=1e-7, atol=0 and float64, if the ε can bear it", ("torch",),
    ),
    Difference(
        46, "b", TOPIC,
        {"textbook": "‖Δ‖/(‖a‖+‖b‖) ≤ 1e-7, ε = 1e-7",
         "jax check_grads": "|v·Δ| ≤ 1e-5 + 1e-5|v·n| (float64), ε = 1e-4"},
        CANNOT, _check_jax, {"jax": "eps=1e-4; 2e-3 in float32, 1e-5 in float64"},
        "atol, rtol and eps given; it stays one direction",
    ),
)  # fmt: skip
