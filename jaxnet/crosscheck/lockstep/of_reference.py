"""The reference's training: mlp.forward, mlp.backward and an update rule, step by step."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxnet.crosscheck import bounds, layout
from jaxnet.crosscheck.equations import Equations, catalogue
from jaxnet.crosscheck.lockstep.training import Arrays, Record, Training
from jaxnet.data import Dataset
from jaxnet.types import Scalar
from reference_numpy import mlp, optimizers

NOTES = {"b1": "beta1", "b2": "beta2"}
"""What the equations call the reference's numbers."""

DEFAULTS = {"beta": 0.9, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
"""Those of the reference's update rules."""


def of_reference(
    params: Sequence[tuple[Any, Any]],
    data: Dataset,
    batches: Sequence[Any],
    *,
    optimizer: str = "gradient_descent",
    learning_rate: Scalar | Callable[[int], float],
    hidden: str = "relu",
    output: str = "softmax",
    l2: float = 0.0,
    masks: Callable[[int], Sequence[Any]] | None = None,
    keep_prob: Any = 1.0,
    **hyperparameters: Scalar,
) -> Training:
    """A training of `reference_numpy`, in float64, whose steps can be taken from any point.

    params: list of (W, b). data: Dataset(x (m, n), y) in jaxnet's layout. batches: index arrays.
    optimizer: gradient_descent, momentum, rmsprop or adam, hyperparameters its numbers (beta; b1,
    b2; eps). learning_rate: α, or step counted from 0 ↦ α. hidden, output: as in `mlp.forward`.
    l2: the notes' λ, λ/(2m) with m all the data. masks: number of the step from 1 ↦ dropout's masks
    (n_l, B) of the hidden layers; keep_prob as in `mlp.forward`.

    Its errors are derived (`crosscheck.bounds`), entry by entry, with the inputs rounded once: the
    bounds are then some hundred times closer than the default.
    Raises ValueError for an optimizer that the reference does not have.
    """
    if not hasattr(optimizers, f"{optimizer}_update"):
        known = "gradient_descent, momentum, rmsprop, adam"
        raise ValueError(f"optimizer: expected one of {known}, got {optimizer!r}")
    init = getattr(optimizers, f"{optimizer}_init")
    rule = getattr(optimizers, f"{optimizer}_update")
    params = [(np.asarray(W, np.float64), np.asarray(b, np.float64)) for W, b in params]
    depth, m = len(params), len(data.x)
    X = layout.columns(np.asarray(data.x, np.float64))
    Y = target_columns(data.y, output, len(params[-1][1]))
    per_layer = [keep_prob] * (depth - 1) if np.ndim(keep_prob) == 0 else list(keep_prob)

    def rate(number: int) -> float:
        return float(learning_rate(number - 1) if callable(learning_rate) else learning_rate)

    def dropped(number: int) -> dict[str, Any]:
        return {} if masks is None else {"masks": list(masks(number)), "keep_prob": per_layer}

    def forward(number: int, at: Arrays) -> tuple[list, Record]:
        where = np.asarray(batches[number - 1])
        params, strength = pairs_of(at, depth), l2 * len(where) / m
        how = {"hidden": hidden, "output": output, **dropped(number)}
        _, caches = mlp.forward(params, X[:, where], **how)
        J = mlp.cost(params, X[:, where], Y[:, where], l2=strength, **how)
        shown: Arrays = {}
        for layer, cache in enumerate(caches, start=1):
            shown[f"Z{layer}"] = cache.Z
            if cache.mask is not None:
                shown[f"D{layer}"] = cache.mask
            if layer < depth:
                shown[f"A{layer}"] = cache.A
        grads = mlp.backward(params, caches, Y[:, where], l2=strength)
        return grads, {"forward": {**shown, "J": np.asarray(J)}, "gradient": gradients_of(grads)}

    def step(number: int, at: Arrays, grads: Arrays | None) -> Record:
        own, record = forward(number, at)
        if grads is not None:
            own = [
                (np.asarray(grads[f"dW{layer}"], float), np.asarray(grads[f"db{layer}"], float))
                for layer in range(1, depth + 1)
            ]
        new, state = rule(
            pairs_of(at, depth), own, _state(init(params), at, depth), learning_rate=rate(number),
            **hyperparameters,
        )  # fmt: skip
        return {
            "batch": batch(number),
            "start": at,
            **record,
            "update": named("", new),
            "state": _shown(state),
        }

    def batch(number: int) -> Arrays:
        return {"indices": np.asarray(batches[number - 1])}

    def errors(number: int, at: Arrays) -> Record:
        where = np.asarray(batches[number - 1])
        params, drops = pairs_of(at, depth), dropped(number)
        rounded = [(bounds.rounded(W), bounds.rounded(b)) for W, b in params]
        Zs, inputs = bounds.forward(rounded, bounds.rounded(X[:, where]), hidden, **drops)
        strength, Y_batch = l2 * len(where) / m, Y[:, where]
        grads = bounds.backward(rounded, Zs, inputs, Y_batch, hidden, output, l2=strength, **drops)
        mean_loss = bounds.mean(bounds.loss(output, Zs[-1], Y_batch), axis=1)[0, 0]
        penalty = bounds.l2_penalty([W for W, _ in params], strength, len(where))[0]
        shown = {f"Z{layer}": Z for layer, Z in enumerate(Zs, start=1)}
        shown |= {f"A{layer}": A for layer, A in enumerate(inputs) if layer}
        return {
            "forward": {
                name: one.error for name, one in {**shown, "J": mean_loss + penalty}.items()
            },
            "gradient": {
                name: one.error
                for name, one in gradients_of(list(zip(grads.dW, grads.db, strict=True))).items()
            },
        }

    def context(number: int) -> dict[str, Any]:
        numbers = {"learning_rate": rate(number), "m": m, "batch_size": len(batches[number - 1])}
        return numbers | ({"l2": l2} if l2 else {}) | hyperparameters

    def of_phase(number: int, phase: str, at: Arrays, grads: Arrays) -> tuple[Equations, Arrays]:
        where = np.asarray(batches[number - 1])
        if phase in ("forward", "gradient"):
            inputs = {"X": X[:, where], "Y": Y[:, where], "m": len(where), **at}
            inputs["l2"] = l2 * len(where) / m
            drawn = [] if masks is None else masks(number)
            for layer, (mask, keep) in enumerate(zip(drawn, per_layer, strict=False), 1):
                inputs |= {f"D{layer}": mask, f"keep{layer}": keep}
            network = catalogue.network(
                depth, hidden=hidden, output=output, dropout=masks is not None
            )
            return network, inputs
        inputs = {NOTES.get(name, name): float(value) for name, value in hyperparameters.items()}
        inputs = {**DEFAULTS, **inputs, **grads, "t": number, "alpha": rate(number)}
        inputs |= {"alpha_first": rate(1), "alpha_prev": rate(max(number - 1, 1))}
        inputs |= {f"{name}_prev": array for name, array in at.items() if name != "t"}
        return catalogue.optimizer(optimizer, tuple(named("", params))), inputs

    state = _shown(init(params))
    return Training(named("", params), state, step, len(batches), batch, errors, context, of_phase)


def target_columns(y: Any, output: str, n_out: int) -> np.ndarray:
    """y of jaxnet as Y of the reference, (n_out, m)."""
    y = np.asarray(y)
    if output == "softmax":
        return layout.one_hot(y, n_out)
    return layout.target_row(y) if y.ndim == 1 else layout.columns(y)


def named(prefix: str, pairs: Sequence[tuple[Any, Any]]) -> Arrays:
    """A list of (W, b) as W1, b1, W2, …"""
    return {
        f"{prefix}{letter}{layer}": array
        for layer, pair in enumerate(pairs, start=1)
        for letter, array in zip("Wb", pair, strict=True)
    }


def gradients_of(pairs: Sequence[tuple[Any, Any]]) -> Arrays:
    """The same of gradients, the last layer first."""
    arrays = named("d", pairs)
    layers = range(len(pairs), 0, -1)
    return {f"d{letter}{layer}": arrays[f"d{letter}{layer}"] for layer in layers for letter in "Wb"}


def pairs_of(arrays: Arrays, depth: int, prefix: str = "") -> list[tuple[Any, Any]]:
    """W1, b1, W2, … as a list of (W, b) in float64."""
    return [
        (
            np.asarray(arrays[f"{prefix}W{layer}"], np.float64),
            np.asarray(arrays[f"{prefix}b{layer}"], np.float64),
        )
        for layer in range(1, depth + 1)
    ]


def _shown(state: Any) -> Arrays:
    shown: Arrays = {}
    for letter in state._fields:
        kept = getattr(state, letter)
        shown |= {"t": np.asarray(kept)} if letter == "t" else named(letter, kept)
    return shown


def _state(like: Any, at: Arrays, depth: int) -> Any:
    return type(like)(
        *(int(at["t"]) if name == "t" else pairs_of(at, depth, name) for name in like._fields)
    )
