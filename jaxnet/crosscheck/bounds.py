"""How far a computed result may be from the exact one, derived from the arithmetic that made it.

Running error analysis (Wilkinson; Higham 2002, §3.3): beside every value goes an error bound, and
every operation passes the errors of its operands on and adds its own rounding,

    fl(a ∘ b) = (a ∘ b)(1 + δ),  |δ| ≤ u,  u = ½ eps(dtype)

A sum of n products in any order, with or without fused multiply-add, is within n·u·Σ|aᵢ||bᵢ| of
the exact one: relative to the terms, not to the result, which may have cancelled. Errors are kept
in multiples of u, so that one analysis serves every dtype:

    bound = u · error · HEADROOM

To first order in u. What is dropped is of the order (error·u)², under 1e-6 of the bound where it
is used; HEADROOM covers it. Where two computed results are compared, both may be off:
`tolerance` adds their units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from reference_numpy import activations

HEADROOM = 1.01

FUNCTION = 8
"""Rounding of one exp, log, tanh or power, in units u: XLA's and the C library's are good to a few
units in the last place, 2u each; four of them are allowed."""


def tolerance(error: Any, *dtypes: Any) -> Any:
    """The bound for comparing results that were computed in these dtypes, from errors in units u.

    error: a number or an array. Exact results (mpmath) have no dtype and are left out.

    >>> tolerance(np.array([2.0]), np.float64) / np.finfo(np.float64).eps
    array([1.01])
    """
    return sum(float(np.finfo(dtype).eps) / 2 for dtype in dtypes) * HEADROOM * error


@dataclass(frozen=True)
class Bounded:
    """Numbers and how far computed ones may be from them, in units u; arithmetic carries both.

    Both are float64 arrays of one shape, or NumPy's scalars where arithmetic makes them of these.
    """

    value: Any
    error: Any

    __array_ufunc__ = None  # lets `array * bounded` come to __rmul__ here

    def __add__(self, other: Any) -> Bounded:
        other = bounded(other)
        value = self.value + other.value
        return Bounded(value, self.error + other.error + np.abs(value))

    def __mul__(self, other: Any) -> Bounded:
        other = bounded(other)
        value = self.value * other.value
        passed_on = np.abs(self.value) * other.error + self.error * np.abs(other.value)
        return Bounded(value, passed_on + np.abs(value))

    def __truediv__(self, other: Any) -> Bounded:
        other = bounded(other)
        value = self.value / other.value
        passed_on = (self.error + np.abs(value) * other.error) / np.abs(other.value)
        return Bounded(value, passed_on + np.abs(value))

    def __matmul__(self, other: Any) -> Bounded:
        other = bounded(other)
        left, right = np.abs(self.value), np.abs(other.value)
        terms = self.value.shape[-1]
        passed_on = self.error @ right + left @ other.error
        return Bounded(self.value @ other.value, passed_on + terms * (left @ right))

    def __neg__(self) -> Bounded:
        return Bounded(-self.value, self.error)

    def __sub__(self, other: Any) -> Bounded:
        return self + -bounded(other)

    def __radd__(self, other: Any) -> Bounded:
        return self + other

    def __rsub__(self, other: Any) -> Bounded:
        return -self + other

    def __rmul__(self, other: Any) -> Bounded:
        return self * other

    def __rtruediv__(self, other: Any) -> Bounded:
        return bounded(other) / self

    def __rmatmul__(self, other: Any) -> Bounded:
        return bounded(other) @ self

    def __getitem__(self, index: Any) -> Bounded:
        return Bounded(self.value[index], self.error[index])

    @property
    def T(self) -> Bounded:
        return Bounded(self.value.T, self.error.T)


def bounded(value: Any) -> Bounded:
    """Numbers that both sides hold exactly; what is bounded already stays as it is."""
    if isinstance(value, Bounded):
        return value
    value = np.asarray(value, np.float64)
    return Bounded(value, np.zeros_like(value))


def rounded(value: Any, units: int = 1) -> Bounded:
    """Numbers that are computed within so many units u of their own size."""
    value = np.asarray(value, np.float64)
    return Bounded(value, units * np.abs(value))


def total(a: Bounded, axis: int | None = None) -> Bounded:
    """Σ over an axis, kept as length 1: n terms in any order are within (n−1)·u·Σ|aᵢ|."""
    terms = a.value.size if axis is None else a.value.shape[axis]
    error = a.error.sum(axis, keepdims=True)
    size = np.abs(a.value).sum(axis, keepdims=True)
    return Bounded(a.value.sum(axis, keepdims=True), error + (terms - 1) * size)


def mean(a: Bounded, axis: int | None = None) -> Bounded:
    """The sum, divided by the number of terms or multiplied by its rounded inverse: 2u more."""
    terms = a.value.size if axis is None else a.value.shape[axis]
    summed = total(a, axis)
    return Bounded(summed.value / terms, (summed.error + 2 * np.abs(summed.value)) / terms)


def applied(value: Any, slope: Any, a: Bounded, rounding: Any) -> Bounded:
    """A function of a: its value there, |derivative| near there, and its own rounding in units."""
    return Bounded(
        np.asarray(value, np.float64), np.abs(slope) * a.error + np.abs(np.asarray(rounding))
    )


def root(a: Bounded) -> Bounded:
    """√a, correctly rounded in IEEE arithmetic; not differentiable at 0, where error must be 0."""
    value = np.sqrt(a.value)
    slope = np.divide(0.5, value, out=np.zeros_like(value), where=(value > 0) | (a.error > 0))
    return applied(value, slope, a, value)


def exponential(a: Bounded) -> Bounded:
    """e^a: an error of a is a relative error of the result."""
    value = np.exp(a.value)
    return applied(value, value, a, FUNCTION * value)


def power(base: Any, exponent: Any) -> Bounded:
    """baseⁿ for an exact base > 0 and whole n: by multiplications or as e^(n log base).

    The first rounds n times; the second turns the rounding of n·log base, |n log base|·u, into a
    relative error of that size and adds the function's own. Both are allowed.
    """
    value = np.asarray(base, np.float64) ** exponent
    units = np.abs(exponent) * (1 + np.abs(np.log(base))) + FUNCTION
    return Bounded(value, units * value)


def dense(W: Any, A: Any, b: Any) -> Bounded:
    """Z = W A + b: n products summed, and one more addition."""
    return bounded(W) @ A + b


# For each g: the largest |g′|, and the largest |g″| (of the pieces, for those with a kink: draws
# keep away from it). σ″ is largest at z = log(2 ± √3), tanh″ at tanh z = 1/√3.
LIPSCHITZ = {
    "sigmoid": (1 / 4, 1 / (6 * np.sqrt(3))),
    "tanh": (1.0, 4 / (3 * np.sqrt(3))),
    "relu": (1.0, 0.0),
    "leaky_relu": (1.0, 0.0),
    "linear": (1.0, 0.0),
}


def activation(name: str, Z: Bounded) -> Bounded:
    """A = g(Z): |g′| times the error of Z, and the rounding of g itself.

    σ and tanh are in [−1, 1] and may be computed through one another, σ(z) = ½ + ½ tanh(½z), which
    is good to a few units of 1 but not of a σ near 0: FUNCTION units of 1. Leaky ReLU rounds its
    slope to the dtype and multiplies; ReLU and the identity round nothing.
    """
    value = activations.ACTIVATIONS[name][0](Z.value)
    smooth = name in ("sigmoid", "tanh")
    rounding = (
        np.full_like(value, FUNCTION) if smooth else 2 * np.abs(value) * (name == "leaky_relu")
    )
    return applied(value, LIPSCHITZ[name][0], Z, rounding)


def derivative(name: str, Z: Bounded) -> Bounded:
    """g′(Z): |g″| times the error of Z, and the rounding of g′ itself.

    σ(1−σ) and 1−tanh² are made of a value that is off by FUNCTION units of 1 as above, which enters
    with a factor of at most |1−2σ| ≤ 1 and 2|tanh| ≤ 2, and at most 3 roundings of numbers ≤ 1.
    The others are constants, exact but for the slope, which the dtype rounds.
    """
    value = activations.ACTIVATIONS[name][1](Z.value)
    units = {"sigmoid": FUNCTION + 3.0, "tanh": 2 * FUNCTION + 3.0, "leaky_relu": 1.0}
    return applied(value, LIPSCHITZ[name][1], Z, np.full_like(value, units.get(name, 0.0)))


def softmax(Z: Bounded) -> Bounded:
    """Columns e^(z−max)/Σ: the subtraction's rounding |z−max| becomes a relative error.

    An error of at most e in every logit changes pₖ by pₖ|eₖ − Σ pⱼeⱼ| ≤ 2e·pₖ. Own rounding,
    relative: one subtraction and exponential above, K of each below with weights that sum to 1
    (so no larger than the largest there), K−1 additions, one division. Computing it as
    e^(z − log Σ) rounds the logarithm, of size up to |max z| + log K, once more.
    """
    value = activations.softmax(Z.value)
    classes = len(value)
    spread = np.ptp(Z.value, axis=0, keepdims=True)
    size = np.abs(Z.value).max(axis=0, keepdims=True) + np.log(classes)
    relative = 2 * Z.error.max(axis=0, keepdims=True) + 2 * spread + 2 * size
    return Bounded(value, (relative + 3 * FUNCTION + classes) * value)


def loss(name: str, Z: Bounded, Y: np.ndarray) -> Bounded:
    """Losses of the examples from the last layer's Z, shape (1, m).

    sigmoid: y log(1+e^−z) + (1−y) log(1+e^z). |dL/dz| = |σ−y| ≤ 1. Each logarithm is
        max(±z, 0) + log1p(e^−|z|), all terms positive: two functions and an addition, then a
        product, an addition and 1−y: 2·FUNCTION + 4 units of L. Taken from probabilities or by
        other routes L may also be a difference with z: |z| units more.
    softmax: log Σ e^z − z_y, a difference of numbers up to |max z| + log K: FUNCTION each for exp
        and log, K additions, the rounding of z − max, and the final subtraction. An error of at
        most e in every logit changes L by |Σ pₖeₖ − e_y| ≤ 2e.
    linear: ½(z−y)²: one subtraction, one product, an exact half, and n_out−1 additions.
    """
    if name == "linear":
        apart = Z - Y
        return total(0.5 * (apart * apart), axis=0)
    classes = len(Z.value)
    if name == "softmax":
        highest = Z.value.max(axis=0, keepdims=True)
        log_sum = highest + np.log(np.exp(Z.value - highest).sum(axis=0, keepdims=True))
        value = log_sum - (Z.value * Y).sum(axis=0, keepdims=True)
        size = np.abs(Z.value).max(axis=0, keepdims=True) + np.log(classes)
        passed_on = 2 * Z.error.max(axis=0, keepdims=True)
        return Bounded(value, passed_on + 4 * size + 2 * FUNCTION + classes)
    value = Y * np.logaddexp(0, -Z.value) + (1 - Y) * np.logaddexp(0, Z.value)
    return applied(value, 1.0, Z, (2 * FUNCTION + 4) * value + np.abs(Z.value))


def output_gradient(name: str, Z: Bounded, Y: np.ndarray) -> Bounded:
    """dZ of the last layer for one example's loss: A − Y.

    Autodiff of the loss from logits gives the same as y·(−σ(−z)) + (1−y)·σ(z), or softmax − 1,
    within the same few operations.
    """
    A = softmax(Z) if name == "softmax" else activation(name, Z)
    return A - Y


def forward(
    params: list[tuple[Any, Any]],
    X: Any,
    hidden: str,
    *,
    masks: Sequence[Any] = (),
    keep_prob: Sequence[float] = (),
) -> tuple[list[Bounded], list[Bounded]]:
    """Every layer's Z, and the A that goes into it (X first), with dropout if there are masks.

    A ∗ D / keep_prob rounds once where D is 1, in whatever order; the product is exact.
    """
    Zs, inputs = [], [bounded(X)]
    for index, (W, b) in enumerate(params):
        Zs.append(dense(W, inputs[-1], b))
        if index < len(params) - 1:
            A = activation(hidden, Zs[-1])
            inputs.append(A * (masks[index] / keep_prob[index]) if masks else A)
    return Zs, inputs


class Gradients(NamedTuple):
    """dZ (of the summed losses), dW and db (of the cost) of every layer, the first layer first."""

    dZ: list[Bounded]
    dW: list[Bounded]
    db: list[Bounded]


def backward(
    params: list[tuple[Any, Any]],
    Zs: list[Bounded],
    inputs: list[Bounded],
    Y: np.ndarray,
    hidden: str,
    output: str,
    *,
    l2: float = 0.0,
    masks: Sequence[Any] = (),
    keep_prob: Sequence[float] = (),
) -> Gradients:
    """dW[l] = (1/m) dZ[l] A[l−1]ᵀ + (λ/m) W[l], db[l] = (1/m) Σ dZ[l], for every layer.

    dZ[l−1] = W[l]ᵀ dZ[l] ∗ g′(Z[l−1]). Autodiff takes the 1/m into dZ[L]; dividing afterwards, or
    multiplying by a rounded 1/m, rounds twice at most, and so does the division that is counted
    here along with the product of m terms, of which only m − 1 are additions.
    """
    m = Y.shape[1]
    dZ = output_gradient(output, Zs[-1], Y)
    dZs, dWs, dbs = [], [], []
    for index in range(len(params) - 1, -1, -1):
        W = bounded(params[index][0])
        dZs.append(dZ)
        dWs.append(dZ @ inputs[index].T / m + l2 * W / m)
        dbs.append(mean(dZ, axis=1))
        if index > 0:
            dA = W.T @ dZ
            if masks:
                dA = dA * (masks[index - 1] / keep_prob[index - 1])
            dZ = dA * derivative(hidden, Zs[index - 1])
    return Gradients(dZs[::-1], dWs[::-1], dbs[::-1])


def l2_penalty(weights: list[Any], l2: float, m: int) -> Bounded:
    """λ/(2m) Σ‖W‖²: a product in each square, the sum, and λ/(2m) rounded and multiplied.

    All terms are positive, so the order in which layers are summed does not matter either.
    """
    squares = np.concatenate([np.ravel(W) ** 2 for W in weights])
    return total(rounded(squares)) * rounded(l2 / (2 * m), 2)
