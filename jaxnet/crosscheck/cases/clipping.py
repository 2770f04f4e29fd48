"""Rows for gradient clipping: by the norm of the whole gradient, and entry by entry.

The notes do not have it; the formula is written here, and optax is what jaxnet's users chain.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import optax

from jaxnet.crosscheck import bounds, layout
from jaxnet.crosscheck.bounds import Bounded
from jaxnet.crosscheck.cases.case import Args, Case, Results, Transform, sizes


def _draw(rng: np.random.Generator) -> Args:
    """Two gradients of one shape: the first is longer than the limit, the second shorter."""
    n_in, n_out = sizes(rng, 2)
    args: Args = {"limit": float(rng.uniform(0.5, 2))}
    for which, length in (("long", rng.uniform(1.5, 9)), ("short", rng.uniform(0.1, 0.9))):
        dW, db = rng.normal(size=(n_out, n_in)), rng.normal(size=(n_out, 1))
        scale = length * args["limit"] / np.sqrt(np.sum(dW**2) + np.sum(db**2))
        args |= {f"dW_{which}": scale * dW, f"db_{which}": scale * db}
    return args


def gradients(args: Args, which: str) -> tuple[Any, Any]:
    """(dW, db) of the "long" or the "short" gradient."""
    return args[f"dW_{which}"], args[f"db_{which}"]


def both(args: Args, clip: Callable[[tuple[Any, Any]], tuple[Any, Any]]) -> Results:
    """Both gradients, each clipped by (dW, db) ↦ (dW, db)."""
    results = {}
    for which in ("long", "short"):
        results[f"dW_{which}"], results[f"db_{which}"] = clip(gradients(args, which))
    return results


def _by_global_norm(args: Args) -> Results:
    def clip(grads):
        norm = np.sqrt(sum(np.sum(g**2) for g in grads))
        return tuple(g * min(1.0, args["limit"] / norm) for g in grads)

    return both(args, clip)


def global_norm_values(args: Args, eps: float = 0.0) -> dict[str, Bounded]:
    """g · min(1, c/(‖g‖ + ε)) in Bounded numbers; torch has ε = 1e-6, the others none."""
    results = {}
    for which in ("long", "short"):
        grads = gradients(args, which)
        factor = _factor(grads, args["limit"], eps)
        for letter, g in zip(("dW", "db"), grads, strict=True):
            results[f"{letter}_{which}"] = _scaled(g, factor)
    return results


def norm_of_each_values(args: Args) -> dict[str, Bounded]:
    """The same with the norm of every array by itself, keras' clipnorm."""
    return {
        f"{letter}_{which}": _scaled(g, _factor([g], args["limit"], 0.0))
        for which in ("long", "short")
        for letter, g in zip(("dW", "db"), gradients(args, which), strict=True)
    }


def _factor(grads: Sequence[Any], limit: float, eps: float) -> Bounded:
    squares = np.concatenate([np.ravel(g) ** 2 for g in grads])
    norm = bounds.root(bounds.total(bounds.rounded(squares)))[0] + eps
    return limit / norm if norm.value > limit else bounds.bounded(1.0)


def _scaled(g: Any, factor: Bounded) -> Bounded:
    # c · g/‖g‖ or g · (c/‖g‖) or c · min(1/‖g‖, 1/c) · g: two more roundings at most.
    clipped = factor * g
    return Bounded(clipped.value, clipped.error + 2 * np.abs(clipped.value))


def _jaxnet(transformation: Callable, args: Args, transform: Transform = jax.jit) -> Results:
    def clip(grads):
        optimizer = transformation(args["limit"])
        update = transform(lambda grads: optimizer.update(grads, optimizer.init(grads))[0])
        return layout.pairs(update(layout.layers([grads])))[0]

    return both(args, clip)


GLOBAL_NORM = Case(
    name="clipping/global_norm",
    quantity="a gradient longer than the limit and a shorter one, clipped by the norm of all",
    draw=_draw,
    reference=_by_global_norm,
    jaxnet=lambda args, transform=jax.jit: _jaxnet(optax.clip_by_global_norm, args, transform),
    errors=global_norm_values,
)


def _value_draw(rng: np.random.Generator) -> Args:
    """The limit cuts a part of the entries of either gradient."""
    args = _draw(rng)
    entries = np.abs(np.concatenate([args["dW_long"].ravel(), args["dW_short"].ravel()]))
    return {**args, "limit": float(np.median(entries))}


VALUE = Case(
    name="clipping/value",
    quantity="two gradients, each entry clipped to the limit",
    draw=_value_draw,
    reference=lambda args: both(
        args, lambda grads: tuple(np.clip(g, -args["limit"], args["limit"]) for g in grads)
    ),
    jaxnet=lambda args, transform=jax.jit: _jaxnet(optax.clip, args, transform),
    errors=lambda args: {
        f"{letter}_{which}": 0 for letter in ("dW", "db") for which in ("long", "short")
    },
)

CASES = (GLOBAL_NORM, VALUE)
