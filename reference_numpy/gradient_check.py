"""Numerical gradients and gradient checking (notes: fig. 60 and the text below it).

Compute J with the penalty in it and with dropout off, or with the masks held fixed.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from reference_numpy._arrays import Array, Params, array, require, require_shape


class GradientCheck(NamedTuple):
    """relative_distance: of the two gradients. verdict: see `check`. worst: index into θ at which
    they differ most. numerical: the gradient by central differences.
    """

    relative_distance: float
    verdict: str
    worst: int
    numerical: Array


def flatten(params: Params) -> Array:
    """All weights and biases, or all their gradients, as one vector.

    θ = [W[1], b[1], …, W[L], b[L]],  each row after row

    params: list of tuples of arrays. Returns a vector. Raises ValueError if there is none.
    Source: notes, Gradient checking.

    >>> flatten([(np.array([[1.0, 2.0]]), np.array([[3.0]]))])
    array([1., 2., 3.])
    """
    leaves = [array(leaf).ravel() for layer in params for leaf in layer]
    require(len(leaves) >= 1, "params", "at least one array", "none")
    return np.concatenate(leaves)


def unflatten(theta: ArrayLike, like: Params) -> Params:
    """The inverse of `flatten`.

    theta: vector. like: params that give the shapes. Returns params with the entries of theta.
    Raises ValueError if the number of entries differs.
    Source: notes, Gradient checking.

    >>> unflatten([1.0, 2.0, 3.0], [(np.zeros((1, 2)), np.zeros((1, 1)))])
    [(array([[1., 2.]]), array([[3.]]))]
    """
    theta = array(theta)
    require_shape("theta", theta, (sum(np.size(leaf) for layer in like for leaf in layer),))
    params, start = [], 0
    for layer in like:
        leaves = []
        for leaf in layer:
            leaves.append(theta[start : start + np.size(leaf)].reshape(np.shape(leaf)).copy())
            start += np.size(leaf)
        params.append(tuple(leaves))
    return params


def central_differences(J: Callable, theta: ArrayLike, eps: float = 1e-7) -> Array:
    """Two-sided numerical gradient; its error falls as ε².

    dθ[i] = (J(…, θᵢ + ε, …) − J(…, θᵢ − ε, …)) / (2ε)

    J: array -> number. theta: the point, an array of any shape. eps: ε > 0.
    Returns the gradient in the shape of theta. Raises ValueError for an ε that is not positive.
    Source: notes, Numerical approximation of gradients (fig. 60).

    >>> central_differences(lambda t: t[0] ** 3, np.array([1.0]), eps=0.01).round(6)
    array([3.0001])
    """
    return _each(theta, eps, lambda up, down, _: (J(up) - J(down)) / (2 * eps))


def one_sided_differences(J: Callable, theta: ArrayLike, eps: float = 1e-7) -> Array:
    """One-sided numerical gradient; its error falls as ε.

    dθ[i] = (J(…, θᵢ + ε, …) − J(θ)) / ε

    J: array -> number. theta: the point, an array of any shape. eps: ε > 0.
    Returns the gradient in the shape of theta. Raises ValueError for an ε that is not positive.
    Source: notes, Numerical approximation of gradients.

    >>> one_sided_differences(lambda t: t[0] ** 3, np.array([1.0]), eps=0.01).round(6)
    array([3.0301])
    """
    return _each(theta, eps, lambda up, _, middle: (J(up) - J(middle)) / eps)


def complex_step(J: Callable, theta: ArrayLike, eps: float = 1e-20) -> Array:
    """Numerical gradient of an analytic function by a step along the imaginary axis.

    dθ[i] = Im J(…, θᵢ + iε, …) / ε

    Nothing is subtracted, so ε can be far below the rounding error and the result is as exact as J.

    J: complex array -> complex number. theta: the point, a real array of any shape. eps: ε > 0.
    Returns the gradient in the shape of theta. Raises ValueError for an ε that is not positive,
    TypeError for a J that drops the imaginary part.
    Source: Squire and Trapp 1998; beside the notes' fig. 60.

    >>> complex_step(lambda t: t[0] ** 3, np.array([1.0]))
    array([3.])
    """

    def imaginary(theta, k):
        step = theta.astype(np.complex128)
        step.flat[k] += 1j * eps
        value = J(step)
        if not np.iscomplexobj(value):
            raise TypeError("J: expected a complex value at a complex theta, got a real one")
        return np.imag(value)

    theta = array(theta)
    require(eps > 0, "eps", "a positive number", eps)
    slopes = [imaginary(theta, k) / eps for k in range(theta.size)]
    return np.array(slopes).reshape(theta.shape)


def relative_distance(a: ArrayLike, b: ArrayLike) -> float:
    """Distance of two gradients beside their lengths, in [0, 1].

    ‖a − b‖₂ / (‖a‖₂ + ‖b‖₂),  and 0 if both are 0

    a, b: arrays of one shape. Returns a number. Raises ValueError for shapes that differ.
    Source: notes, Gradient checking.

    >>> relative_distance([3.0, 0.0], [1.0, 0.0])
    0.5
    """
    a, b = array(a), array(b)
    require_shape("b", b, a.shape)
    largest = max(np.max(np.abs(a), initial=0.0), np.max(np.abs(b), initial=0.0))
    if largest == 0:
        return 0.0
    # Both by one power of two, which the quotient does not feel: squares of tiny slopes are 0.
    scale = 2.0 ** (np.frexp(largest)[1] - 1)
    u, v = array(a) / scale, array(b) / scale
    lengths = np.sqrt(np.sum(np.abs(u) ** 2)) + np.sqrt(np.sum(np.abs(v) ** 2))
    return float(np.sqrt(np.sum(np.abs(u - v) ** 2)) / lengths)


def verdict(distance: float) -> str:
    """What the notes make of a relative distance, in float64 with central differences.

    up to 1e-7: correct.  below 1e-3: suspicious.  from 1e-3: wrong.

    The notes name 1e-7, 1e-5 (look again) and 1e-3 without saying where one band ends and the next
    begins; a correct gradient stays below 1e-7, so all between there and 1e-3 wants a look.

    distance: from `relative_distance`; NaN is wrong. Returns one of the three.
    Source: notes, Gradient checking.

    >>> [verdict(d) for d in (1e-8, 1e-5, 1e-3)]
    ['correct', 'suspicious', 'wrong']
    """
    if distance <= 1e-7:
        return "correct"
    return "suspicious" if distance < 1e-3 else "wrong"


def check(J: Callable, theta: ArrayLike, grad: ArrayLike, *, eps: float = 1e-7) -> GradientCheck:
    """Compare a gradient with central differences, at every coordinate.

    ‖dθ_approx − dθ‖₂ / (‖dθ_approx‖₂ + ‖dθ‖₂)

    J: array -> number. theta: the point. grad: dθ in the shape of theta. eps: ε > 0.
    Returns a GradientCheck. Raises ValueError for shapes that differ or an ε that is not positive.
    Source: notes, Gradient checking.

    >>> check(lambda t: np.sum(t**2), np.array([1.0, 2.0]), np.array([2.0, 4.0])).verdict
    'correct'
    >>> check(lambda t: np.sum(t**2), np.array([1.0, 2.0]), np.array([2.0, 2.0])).worst
    1
    """
    grad = array(grad)
    require_shape("grad", grad, np.shape(theta))
    numerical = central_differences(J, theta, eps)
    distance = relative_distance(numerical, grad)
    worst = int(np.argmax(np.abs(numerical - grad)))
    return GradientCheck(distance, verdict(distance), worst, numerical)


def _each(theta, eps, slope):
    """slope(θ + ε eₖ, θ − ε eₖ, θ) for every coordinate k, each call with arrays of its own."""
    theta = array(theta)
    require(eps > 0, "eps", "a positive number", eps)
    slopes = []
    for k in range(theta.size):
        up, down, middle = theta.copy(), theta.copy(), theta.copy()
        up.flat[k] += eps
        down.flat[k] -= eps
        slopes.append(slope(up, down, middle))
    return np.array(slopes).reshape(theta.shape)
