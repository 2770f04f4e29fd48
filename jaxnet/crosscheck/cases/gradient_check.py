"""Rows for numerical gradients and for the verdict on a gradient."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxnet import gradcheck
from jaxnet.crosscheck import bounds, layout
from jaxnet.crosscheck.bounds import Bounded
from jaxnet.crosscheck.cases.case import Args, Case, Results, sizes
from reference_numpy import gradient_check as reference

# Differences of one cost, J = 1/(2m) ‖tanh(W X) − Y‖². Both sides take the same wide step, so the
# truncation is the same and only rounding differs, which a narrow step would magnify.


def _draw(rng: np.random.Generator) -> Args:
    n_out, n_in, m = sizes(rng, 3)
    return {
        "W": rng.normal(size=(n_out, n_in)) / np.sqrt(n_in),
        "X": rng.normal(size=(n_in, m)),
        "Y": rng.normal(size=(n_out, m)),
        "eps": float(rng.uniform(0.1, 0.4)),
    }


def _complex_draw(rng: np.random.Generator) -> Args:
    return {**_draw(rng), "eps": float(10 ** rng.uniform(-20, -12))}


def _reference_cost(args: Args) -> Callable[[Any], Any]:
    def cost(W):
        apart = np.tanh(W @ args["X"]) - args["Y"]
        return np.sum(apart * apart) / (2 * args["X"].shape[1])

    return cost


def _jaxnet_cost(args: Args) -> Callable[[Any], Any]:
    x, y = layout.rows(args["X"]), layout.rows(args["Y"])

    def cost(w):
        apart = jnp.tanh(x @ w) - y
        return jnp.sum(apart * apart) / (2 * len(x))

    return cost


def _cost(W: Bounded, args: Args) -> Bounded:
    apart = bounds.activation("tanh", W @ args["X"]) - args["Y"]
    return (bounds.total(apart * apart) / (2 * args["X"].shape[1]))[0, 0]


def _moved(args: Args, index: tuple[int, ...], step: float) -> Bounded:
    """W with one entry moved, which rounds that one."""
    W = args["W"].copy()
    W[index] += step
    error = np.zeros_like(W)
    error[index] = np.abs(W[index])
    return Bounded(W, error)


def _central_errors(args: Args, index: tuple[int, ...]) -> Bounded:
    up, down = (_cost(_moved(args, index, step), args) for step in (args["eps"], -args["eps"]))
    return (up - down) / (2 * args["eps"])


def _one_sided_errors(args: Args, index: tuple[int, ...]) -> Bounded:
    up, here = _cost(_moved(args, index, args["eps"]), args), _cost(bounds.bounded(args["W"]), args)
    return (up - here) / args["eps"]


def _complex_errors(args: Args, index: tuple[int, ...]) -> Bounded:
    """The imaginary part carries ε times the derivative through the same operations.

    In Z it is one product and zeros, in tanh the product with its derivative, and in the square
    ad + bc, two products that are equal and added.
    """
    unit, feature = index
    W = bounds.bounded(args["W"][unit : unit + 1])
    Z = W @ args["X"]
    apart = bounds.activation("tanh", Z) - args["Y"][unit : unit + 1]
    x = args["X"][feature : feature + 1]
    dZ = bounds.rounded(args["eps"] * x)
    product = apart * (bounds.derivative("tanh", Z) * dZ)
    return (bounds.total(product + product) / (2 * args["X"].shape[1]) / args["eps"])[0, 0]


def _differences_row(name: str, draw: Any, one: Any) -> Case:
    def errors(args: Args) -> Results:
        each = [one(args, index).error for index in np.ndindex(args["W"].shape)]
        return {"dW": np.array(each).reshape(args["W"].shape)}

    # The two quotients are gradients only up to truncation, the complex step is one.
    exact = name == "complex_step"
    return Case(
        name=f"gradient_check/{name}",
        quantity=f"{name.replace('_', ' ')} of the cost of a tanh layer along every weight",
        draw=draw,
        reference=lambda args: {
            "dW": getattr(reference, name)(_reference_cost(args), args["W"], args["eps"])
        },
        jaxnet=lambda args: {
            "dW": layout.columns(
                getattr(gradcheck, name)(
                    _jaxnet_cost(args), layout.rows(args["W"]), eps=args["eps"]
                )
            )
        },
        errors=errors,
        cost=(lambda args: _reference_cost(args)(args["W"])) if exact else None,
        wrt=("W",) if exact else (),
        traced=False,
    )


def _norm(v: Bounded) -> Bounded:
    """‖v‖₂ of each row: it moves by at most the norm of the errors. n squares and n−1 additions
    round by n units of the sum, half that of its root, which rounds once more."""
    value = np.linalg.norm(v.value, axis=1)
    return Bounded(value, np.linalg.norm(v.error, axis=1) + (v.value.shape[1] / 2 + 1) * value)


def _distance(a: Bounded, b: Bounded) -> Bounded:
    """‖a − b‖ / (‖a‖ + ‖b‖) of every row, whether or not they are divided by a number first.

    That division rounds each entry, of a − b relative to a and b and not to their difference; the
    number itself cancels. Rows that are both 0 have the distance 0, exactly.
    """
    a, b = a * np.float64(1), b * np.float64(1)
    apart, size = _norm(a - b), _norm(a) + _norm(b)
    zero = size.value == 0
    return apart / Bounded(np.where(zero, 1.0, size.value), size.error)


def _distance_draw(rng: np.random.Generator) -> Args:
    pairs, n = 12, int(rng.integers(3, 9))
    scale = 10 ** rng.uniform(-25, 15, (pairs, 1))
    a = rng.normal(size=(pairs, n))
    b = a + 10 ** rng.uniform(-5, 1, (pairs, 1)) * rng.normal(size=(pairs, n))
    b[-2:] = 0
    a[-1] = 0
    return {"a": scale * a, "b": scale * b}


DISTANCE = Case(
    name="gradient_check/relative_distance",
    quantity="distance of two gradients of any size, of one and 0, and of two that are 0",
    draw=_distance_draw,
    reference=lambda args: {
        "distance": np.array(
            [reference.relative_distance(a, b) for a, b in zip(args["a"], args["b"], strict=True)]
        )
    },
    jaxnet=lambda args: {
        "distance": np.array(
            [
                gradcheck.relative_distance(layout.to_jax(a), layout.to_jax(b))
                for a, b in zip(args["a"], args["b"], strict=True)
            ]
        )
    },
    errors=lambda args: {
        "distance": _distance(bounds.bounded(args["a"]), bounds.bounded(args["b"]))
    },
    traced=False,
)

# A whole check, of J = ½ Σ c θ², whose two-sided differences are cθ without truncation. In float32
# jaxnet calls a gradient correct up to 2e-4, so the distances are far from that limit too. Near the
# other limit, 1e-3, they are on both sides. The right gradient is right to rounding: by the notes'
# rule one that is 1e-9 off is correct too, while jaxnet's check knows its own noise, which is far
# below that here, and finds it suspicious.

VERDICTS = ("correct", "suspicious", "wrong")
DISTANCES = ((0.0, 0.0), (4e-4, 5e-4), (8e-4, 9e-4), (1.1e-3, 1.2e-3), (0.05, 0.5))


def _check_draw(rng: np.random.Generator) -> Args:
    n = int(rng.integers(3, 9))
    shape = (len(DISTANCES), n)
    c, theta = rng.normal(size=shape), rng.choice([-1, 1], shape) * rng.uniform(0.5, 2, shape)
    grad = c * theta
    noise = rng.normal(size=shape)
    # ‖δ‖ = 2d‖g‖ makes the distance about d.
    distance = np.array([rng.uniform(*band) for band in DISTANCES])[:, None]
    length = np.linalg.norm(grad, axis=1, keepdims=True)
    noise = noise / np.linalg.norm(noise, axis=1, keepdims=True)
    return {
        "c": c,
        "theta": theta,
        "grad": grad + 2 * distance * length * noise,
        "eps": float(rng.uniform(0.1, 0.3)),
    }


def _check_reference(args: Args) -> Results:
    checks = [
        reference.check(lambda t, c=c: np.sum(c * t * t) / 2, theta, grad, eps=args["eps"])
        for c, theta, grad in zip(args["c"], args["theta"], args["grad"], strict=True)
    ]
    return {
        "distance": np.array([check.relative_distance for check in checks]),
        "verdict": np.array([VERDICTS.index(check.verdict) for check in checks]),
    }


def _check_jaxnet(args: Args) -> Results:
    checks = [
        gradcheck.gradient_check(
            lambda t, c=c: jnp.sum(c * t * t) / 2, theta, grads=grad, eps=args["eps"]
        )
        for c, theta, grad in zip(
            *(layout.to_jax(args[name]) for name in ("c", "theta", "grad")), strict=True
        )
    ]
    return {
        "distance": np.array([check.relative_distance for check in checks]),
        "verdict": np.array([VERDICTS.index(check.verdict) for check in checks]),
    }


def _check_errors(args: Args) -> Results:
    theta, c, eps = args["theta"], args["c"], args["eps"]
    pairs, n = theta.shape
    value, error = np.zeros((pairs, n)), np.zeros((pairs, n))
    for k in range(n):
        costs = []
        for step in (eps, -eps):
            moved, off = theta.copy(), np.zeros_like(theta)
            moved[:, k] += step
            off[:, k] = np.abs(moved[:, k])
            t = Bounded(moved, off)
            costs.append(0.5 * bounds.total(c * t * t, axis=1))
        slope = (costs[0] - costs[1]) / (2 * eps)
        value[:, k], error[:, k] = slope.value[:, 0], slope.error[:, 0]
    return {
        "distance": _distance(Bounded(value, error), bounds.bounded(args["grad"])),
        "verdict": 0,
    }


CHECK = Case(
    name="gradient_check/check",
    quantity="the distance of a gradient from two-sided differences, and the verdict's place in "
    "VERDICTS, right to wrong",
    draw=_check_draw,
    reference=_check_reference,
    jaxnet=_check_jaxnet,
    errors=_check_errors,
    traced=False,
)

CASES = (
    _differences_row("central_differences", _draw, _central_errors),
    _differences_row("one_sided_differences", _draw, _one_sided_errors),
    _differences_row("complex_step", _complex_draw, _complex_errors),
    DISTANCE,
    CHECK,
)
