"""Rows for L2 and L1 penalties, the proximal step and weight decay."""

from typing import Any

import jax
import numpy as np
import optax

from jaxnet import optimizers, regularizers
from jaxnet.crosscheck import bounds, layout
from jaxnet.crosscheck.cases.case import Args, Case, Results, Transform, sizes
from reference_numpy import regularizers as reference


def _draw(rng: np.random.Generator) -> Args:
    n0, n1, n2, m = sizes(rng, 4)
    args: Args = {"lam": float(rng.uniform(0.5, 3)), "m": m}
    for layer, (n_in, n_out) in enumerate(((n0, n1), (n1, n2)), start=1):
        signs = rng.choice([-1, 1], (n_out, n_in))
        # Away from 0, where |w| has its kink.
        args[f"W{layer}"] = signs * rng.uniform(0.01, 2, (n_out, n_in))
        args[f"b{layer}"] = rng.normal(size=(n_out, 1))
        args[f"dW{layer}"] = rng.normal(size=(n_out, n_in))
        args[f"db{layer}"] = rng.normal(size=(n_out, 1))
    return args


def _pairs(args: Args, prefix: str = "") -> list[tuple[Any, Any]]:
    return [(args[f"{prefix}W{layer}"], args[f"{prefix}b{layer}"]) for layer in (1, 2)]


def _named(pairs: list[tuple[Any, Any]], prefix: str = "") -> dict[str, Any]:
    return {
        f"{prefix}{letter}{layer}": array
        for layer, pair in enumerate(pairs, start=1)
        for letter, array in zip("Wb", pair, strict=True)
    }


def _draw_with_zeros(rng: np.random.Generator) -> Args:
    """A first row of weights that are exactly 0, where |w| has no derivative but a convention."""
    args = _draw(rng)
    for layer in (1, 2):
        args[f"W{layer}"][0] = 0.0
    return args


def _penalty_row(name: str, *, at_zero: bool = False) -> Case:
    cost, gradient = getattr(reference, f"{name}_cost"), getattr(reference, f"{name}_gradient")
    penalty = getattr(regularizers, name)

    def run_jaxnet(args: Args, transform: Transform = jax.jit) -> Results:
        value_and_grad = transform(jax.value_and_grad(penalty(args["lam"], m=args["m"])))
        value, grads = value_and_grad(layout.layers(_pairs(args)))
        return {"J": np.asarray(value), **_named(layout.pairs(grads), "d")}

    def errors(args: Args) -> Results:
        lam, m = args["lam"], args["m"]
        weights = [W for W, _ in _pairs(args)]
        if name == "l2":
            # (λ/m) W, or λ/(2m)·2W: λ/m rounded, and multiplied.
            slopes = [bounds.bounded(lam) / m * W for W in weights]
            total = bounds.l2_penalty(weights, lam, m)[0]
        else:
            slopes = [bounds.bounded(lam) / (2 * m) * np.sign(W) for W in weights]
            sizes_of = np.concatenate([np.abs(W).ravel() for W in weights])
            total = (bounds.total(bounds.bounded(sizes_of)) * bounds.rounded(lam / (2 * m), 2))[0]
        return {"J": total, **_named([(slope, 0) for slope in slopes], "d")}

    return Case(
        name=f"regularizers/{name}" + "_at_zero" * at_zero,
        quantity=f"{name} penalty of two layers and its gradient, none of it by biases"
        + ", where weights are 0" * at_zero,
        draw=_draw_with_zeros if at_zero else _draw,
        reference=lambda args: {
            "J": cost(_pairs(args), args["lam"], args["m"]),
            **_named(gradient(_pairs(args), args["lam"], args["m"]), "d"),
        },
        jaxnet=run_jaxnet,
        errors=errors,
        cost=None if at_zero else lambda args: cost(_pairs(args), args["lam"], args["m"]),
        wrt=() if at_zero else ("W1", "W2"),
        analytic=not at_zero,
    )


def _step_draw(rng: np.random.Generator) -> Args:
    return {**_draw(rng), "learning_rate": float(rng.uniform(0.1, 0.5))}


def _step(
    args: Args, transform: Transform, transformation: optax.GradientTransformation
) -> Results:
    """One step of gradient descent followed by the transformation, from given gradients."""
    optimizer = optax.chain(optimizers.gradient_descent(args["learning_rate"]), transformation)

    @transform
    def step(params, grads):
        updates, _ = optimizer.update(grads, optimizer.init(params), params)
        return optax.apply_updates(params, updates)

    params, grads = layout.layers(_pairs(args)), layout.layers(_pairs(args, "d"))
    return _named(layout.pairs(step(params, grads)))


def _numbers(args: Args) -> dict[str, Any]:
    return {name: args[name] for name in ("learning_rate", "lam", "m")}


def _stepped(args: Args) -> list[tuple[bounds.Bounded, bounds.Bounded]]:
    alpha = args["learning_rate"]
    return [
        (W - alpha * bounds.bounded(dW), b - alpha * bounds.bounded(db))
        for (W, b), (dW, db) in zip(_pairs(args), _pairs(args, "d"), strict=True)
    ]


def _proximal_reference(args: Args) -> Results:
    alpha = args["learning_rate"]
    stepped = [
        (W - alpha * dW, b - alpha * db)
        for (W, b), (dW, db) in zip(_pairs(args), _pairs(args, "d"), strict=True)
    ]
    return _named(reference.proximal_l1(stepped, **_numbers(args)))


def _proximal_errors(args: Args) -> Results:
    # Soft thresholding is a contraction; the threshold αλ/(2m) rounds three times, and subtracting
    # it once. jaxnet hands on prox(W + u) − W, which W is added to again: a subtraction and an
    # addition of numbers up to |W| + |prox|.
    alpha, lam, m = args["learning_rate"], args["lam"], args["m"]
    threshold = alpha * lam / (2 * m)
    bounded = []
    for (W, b), (before, _) in zip(_stepped(args), _pairs(args), strict=True):
        through = W.error + 3 * threshold + np.abs(W.value)
        bounded.append((through + 2 * (np.abs(before) + np.abs(W.value)), b))
    return _named(bounded)


def _decay_errors(args: Args) -> Results:
    # (1 − αλ/m) W − α dW, or W + (−α dW − (αλ/m) W): the second form adds once more.
    alpha, lam, m = args["learning_rate"], args["lam"], args["m"]
    rate = bounds.bounded(alpha) * lam / m
    bounded = []
    for (stepped, b), (W, _) in zip(_stepped(args), _pairs(args), strict=True):
        shrunk = stepped - rate * bounds.bounded(W)
        bounded.append((shrunk.error + np.abs(shrunk.value) + np.abs(W), b))
    return _named(bounded)


CASES = (
    _penalty_row("l2"),
    _penalty_row("l1"),
    _penalty_row("l1", at_zero=True),
    Case(
        name="regularizers/proximal_l1",
        quantity="a step of gradient descent and the proximal step of the L1 penalty",
        draw=_step_draw,
        reference=_proximal_reference,
        jaxnet=lambda args, transform=jax.jit: _step(
            args,
            transform,
            regularizers.proximal_l1(args["lam"], learning_rate=args["learning_rate"], m=args["m"]),
        ),
        errors=_proximal_errors,
    ),
    Case(
        name="regularizers/weight_decay",
        quantity="a step of gradient descent with weight decay",
        draw=_step_draw,
        reference=lambda args: _named(
            reference.weight_decay_update(_pairs(args), _pairs(args, "d"), **_numbers(args))
        ),
        jaxnet=lambda args, transform=jax.jit: _step(
            args,
            transform,
            regularizers.weight_decay(
                args["lam"], learning_rate=args["learning_rate"], m=args["m"]
            ),
        ),
        errors=_decay_errors,
    ),
)
