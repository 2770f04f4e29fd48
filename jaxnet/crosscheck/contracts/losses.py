"""Contracts of activations and losses: ordinary numbers, kinks, logits beyond what exp takes."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from jaxnet.crosscheck.contracts.contract import (
    Contract,
    Part,
    against,
    contract_of,
    draw,
    refused,
)
from reference_numpy import activations, losses

K, M = 5, 7
"""Classes and examples."""


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def _one_hot(rng: np.random.Generator, classes: int, m: int) -> np.ndarray:
    return np.eye(classes)[rng.integers(classes, size=m)].T


def _activation_parts(reference: Callable[..., Any]) -> Iterator[Part]:
    for m in (M, 11):
        yield draw(f"{m} examples", reference, (2 * _rng(m).standard_normal((K, m)),))
    square = 2 * _rng(3).standard_normal((K, K))
    yield draw("as many examples as rows", reference, (square,))
    # e^±800 over- and underflows; the largest an activation meets here is 1e4.
    for size in (800.0, 1e3, 1e4):
        Z = _rng(5).standard_normal((K, M))
        Z[:, 0], Z[:, 1] = size, -size
        Z[0, 2:4] = size, -size
        yield _extreme(f"values of ±{size:g} among them", reference, (Z,))
    if reference in (activations.softmax, activations.softmax_derivative):
        shifted = _rng(6).standard_normal((K, M)) + 1e4
        # The shift rounds the logits by 1e4·u, which a softmax passes on: terms for that.
        yield draw("shifted by 1e4", reference, (shifted,), terms=1e4)
    else:
        at_kink = np.array([[0.0, 1.0, -1.0], [-0.0, 2.0, 0.0]])
        yield draw("at zero", reference, (at_kink,))


ACTIVATIONS = (
    "sigmoid", "sigmoid_derivative", "tanh", "tanh_derivative", "relu", "relu_derivative",
    "leaky_relu", "leaky_relu_derivative", "softmax", "softmax_derivative",
)  # fmt: skip


def _logits(rng: np.random.Generator, rows: int, m: int, size: float | None) -> np.ndarray:
    Z = 2 * rng.standard_normal((rows, m))
    if size is not None:
        Z[0, :4] = size, -size, size, -size
        if rows > 1:
            Z[1, :4] = -size, size, 0.0, size
    return Z


def _naive_sigmoid(Z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-Z))


def _naive_softmax(Z: np.ndarray) -> np.ndarray:
    E = np.exp(Z)
    return E / np.sum(E, axis=0, keepdims=True)


def _two_logs(A: np.ndarray, Y: np.ndarray) -> np.ndarray:
    return -(Y * np.log(A) + (1 - Y) * np.log(1 - A))[0]


def _two_quotients(A: np.ndarray, Y: np.ndarray) -> np.ndarray:
    return (-Y / A + (1 - Y) / (1 - A)) * A * (1 - A)


# What fails beyond the range of exp, as (name, what it computes), by the right function.
NAIVE: dict[str, tuple[tuple[str, Callable[..., Any]], ...]] = {
    "sigmoid": (("overflow", lambda Z: np.exp(Z) / (1 + np.exp(Z))),),
    "tanh": (
        ("overflow", lambda Z: (np.exp(Z) - np.exp(-Z)) / (np.exp(Z) + np.exp(-Z))),
        ("overflow", lambda Z: (np.exp(2 * Z) - 1) / (np.exp(2 * Z) + 1)),
    ),
    "softmax": (("overflow", _naive_softmax),),
    "binary_cross_entropy_from_logits": (
        ("saturation", lambda Z, Y: _two_logs(activations.sigmoid(Z), Y)),
        ("saturation", lambda Z, Y: _two_logs(_naive_sigmoid(Z), Y)),
        ("overflow", lambda Z, Y: (np.log(1 + np.exp(Z)) - Y * Z)[0]),
        ("overflow", lambda Z, Y: (np.log1p(np.exp(Z)) - Y * Z)[0]),
    ),
    "binary_cross_entropy_from_logits_gradient": (
        ("saturation", lambda Z, Y: _two_quotients(activations.sigmoid(Z), Y)),
        ("overflow", lambda Z, Y: np.exp(Z) / (1 + np.exp(Z)) - Y),
    ),
    "softmax_cross_entropy_from_logits": (
        ("overflow", lambda Z, Y: -np.sum(Y * np.log(_naive_softmax(Z)), 0)),
        ("overflow", lambda Z, Y: np.log(np.sum(np.exp(Z), 0)) - np.sum(Y * Z, 0)),
        ("overflow", lambda Z, Y: -np.sum(Y * (Z - np.log(np.sum(np.exp(Z), 0))), 0)),
        ("saturation", lambda Z, Y: -np.sum(Y * np.log(activations.softmax(Z)), 0)),
    ),
    "softmax_cross_entropy_from_logits_gradient": (
        ("overflow", lambda Z, Y: _naive_softmax(Z) - Y),
    ),
}


def _extreme(title: str, reference: Callable[..., Any], args: tuple[Any, ...]) -> Part:
    """A draw beyond the range of exp: what fails there is held against the forms that fail so."""
    with np.errstate(all="ignore"):
        forms = [(name, form(*args)) for name, form in NAIVE.get(reference.__name__, ())]
    return against(draw(title, reference, args), args, reference(*args), forms)


def _loss_parts(reference: Callable[..., Any], rows: int, labels: str) -> Iterator[Part]:
    """Every loss: several batch sizes, a square one; from logits the extremes; no broadcasting."""
    from_logits = "logits" in reference.__name__
    for m in (M, 11, rows):
        rng = _rng(100 + m)
        Y = _labels(rng, rows, m, labels)
        values = _values(rng, rows, m, from_logits, labels)
        yield draw(f"{rows} × {m}", reference, (values, Y))
    if from_logits:
        for size in (1e3, 1e4):
            rng = _rng(200)
            Z, Y = _logits(rng, rows, M, size), _labels(rng, rows, M, labels)
            Y[0, :4] = (1, 1, 0, 0)
            if labels == "one-hot":
                Y[:, :4] = np.eye(rows)[:, [0, 0, 1, 1]]
            yield _extreme(f"logits of ±{size:g}", reference, (Z, Y))
        if rows > 1:
            rng = _rng(300)
            Z, Y = _logits(rng, rows, M, None) + 1e4, _labels(rng, rows, M, labels)
            yield draw("logits shifted by 1e4", reference, (Z, Y), terms=1e5)
    yield from _shape_parts(rows, labels, from_logits)


def _shape_parts(rows: int, labels: str, from_logits: bool) -> Iterator[Part]:
    rng = _rng(400)
    values = _values(rng, rows, M, from_logits, labels)
    Y = _labels(rng, rows, M, labels)
    if rows == 1:
        yield refused("labels (m, 1) for (1, m)", (values, Y.T), name="broadcast", wrong=M * M)
        yield refused("labels (m,) for (m, 1)", (values.T, Y[0]), name="broadcast", wrong=M * M)
        yield refused("labels (m,) for (1, m)", (values, Y[0]), name="broadcast")
    else:
        # One row for all classes stretches along them and leaves no trace in the shape.
        yield refused("labels (1, m) for (K, m)", (values, Y[:1]), name="broadcast")
    if labels != "targets":
        wrong = Y.copy()
        wrong[:, 2] = 0.0
        wrong[0, 2] = 2.0
        yield refused("a label of 2 where 0 or 1 is meant", (values, wrong), name="label range")
    if labels == "one-hot":
        empty = Y.copy()
        empty[:, 2] = 0.0
        yield refused("a column without a label, of class K", (values, empty), name="label range")


def _values(
    rng: np.random.Generator, rows: int, m: int, from_logits: bool, labels: str
) -> np.ndarray:
    if from_logits or labels == "targets":
        return _logits(rng, rows, m, None)
    return _as_p(rng, rows, m)


def _as_p(rng: np.random.Generator, rows: int, m: int) -> np.ndarray:
    if rows == 1:
        return activations.sigmoid(2 * rng.standard_normal((1, m)))
    return activations.softmax(rng.standard_normal((rows, m)))


def _labels(rng: np.random.Generator, rows: int, m: int, labels: str) -> np.ndarray:
    if labels == "targets":
        return rng.standard_normal((rows, m))
    if labels == "one-hot":
        return _one_hot(rng, rows, m)
    return (rng.random((rows, m)) < 0.5).astype(float)


BINARY = (
    "binary_cross_entropy", "binary_cross_entropy_gradient",
    "binary_cross_entropy_from_logits", "binary_cross_entropy_from_logits_gradient",
)  # fmt: skip
SOFTMAX = (
    "softmax_cross_entropy", "softmax_cross_entropy_gradient",
    "softmax_cross_entropy_from_logits", "softmax_cross_entropy_from_logits_gradient",
)  # fmt: skip


def contracts() -> Iterator[Contract]:
    """One for every activation, derivative, loss and gradient of a loss."""
    for name in ACTIVATIONS:
        reference = getattr(activations, name)
        shape = "(K, K, m), the Jacobians" if name == "softmax_derivative" else "the same shape"
        yield contract_of(
            f"activations.{name}", reference, f"Z (K, m) ↦ {shape}.", _activation_parts(reference)
        )
    for names, rows, labels, about in (
        (BINARY, 1, "binary", "probabilities or logits (1, m), labels (1, m) of 0 and 1"),
        (SOFTMAX, K, "one-hot", "probabilities or logits (K, m), one-hot labels (K, m)"),
        (("squared_error", "squared_error_gradient"), 3, "targets", "both (n, m)"),
    ):
        for name in names:
            reference = getattr(losses, name)
            result = "the shape of the first" if name.endswith("gradient") else "(m,), per example"
            yield contract_of(
                f"losses.{name}",
                reference,
                f"{about} ↦ {result}; shapes that differ are refused.",
                _loss_parts(reference, rows, labels),
            )
    yield contract_of(
        "losses.cost",
        losses.cost,
        "losses (m,) ↦ their mean.",
        [draw(f"{m} losses", losses.cost, (_rng(m).random(m),)) for m in (M, 11, 1)],
    )
