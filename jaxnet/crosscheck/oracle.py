"""A third opinion in 100-digit arithmetic, by mpmath.

Twins that one author wrote share what the author misread. Here every formula is written once more
from the notes, example by example and unit by unit, without arrays; gradients are two-sided
differences with h = 1e-25, whose error is about h² = 1e-50 for truncation and 1e-100/h = 1e-75 for
rounding, so no derivative is written down at all.

Inputs are NumPy arrays or numbers in the reference's layout, taken at their exact values. Results
are float64: the exact ones, rounded once.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

DIGITS = 100
STEP = "1e-25"


def _mpmath():
    try:
        import mpmath
    except ImportError as missing:
        raise ImportError(
            "the high-precision oracle needs mpmath: pip install 'jaxnet-suite[figures]'"
        ) from missing
    return mpmath


def exactly(function: Callable[..., Any]) -> Callable[..., Any]:
    """Run a function of mpmath numbers on NumPy arguments, 100 digits inside, float64 outside."""

    def run(*args: Any, **kwargs: Any) -> Any:
        mp = _mpmath()
        with mp.workdps(DIGITS):
            inside = [_to_exact(mp, value) for value in args]
            return _to_float(function(mp, *inside, **kwargs))

    run.__doc__, run.__name__ = function.__doc__, function.__name__
    return run


def _to_exact(mp: Any, value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_to_exact(mp, part) for part in value]
    if isinstance(value, str) or callable(value):
        return value
    array = np.asarray(value)
    if array.ndim == 0:
        return array.item() if array.dtype.kind in "iub" else mp.mpf(float(array))
    exact = np.empty(array.shape, object)
    for index in np.ndindex(array.shape):
        exact[index] = mp.mpf(float(array[index]))
    return exact


def _to_float(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _to_float(part) for name, part in value.items()}
    return np.asarray(value, object).astype(np.float64)


def _each(function: Callable[[Any], Any], Z: np.ndarray) -> np.ndarray:
    return np.vectorize(function, otypes=[object])(Z)


def _activation(mp: Any, name: str, slope: Any = None) -> Callable[[Any], Any]:
    return {
        "sigmoid": lambda z: 1 / (1 + mp.exp(-z)),
        "tanh": lambda z: 1 - 2 / (mp.exp(2 * z) + 1),
        "relu": lambda z: z if z > 0 else mp.mpf(0),
        "leaky_relu": lambda z: z if z > 0 else slope * z,
        "linear": lambda z: z,
    }[name]


def _slope_at(mp: Any, f: Callable[[Any], Any], z: Any) -> Any:
    h = mp.mpf(STEP)
    return (f(z + h) - f(z - h)) / (2 * h)


@exactly
def activation(mp: Any, name: str, Z: Any, slope: Any = None) -> Any:
    """g(Z), elementwise. slope: of leaky ReLU below zero."""
    return _each(_activation(mp, name, slope), Z)


@exactly
def activation_derivative(mp: Any, name: str, Z: Any, slope: Any = None) -> Any:
    """g′(Z), elementwise, away from kinks."""
    g = _activation(mp, name, slope)
    return _each(lambda z: _slope_at(mp, g, z), Z)


def _softmax(mp: Any, z: Any) -> list[Any]:
    powers = [mp.exp(zk) for zk in z]
    all_of_them = mp.fsum(powers)
    return [power / all_of_them for power in powers]


@exactly
def softmax(mp: Any, Z: Any) -> Any:
    """e^(z_k)/Σ e^(z_j) of every column."""
    return np.array([_softmax(mp, column) for column in Z.T], object).T


def _loss(mp: Any, output: str, z: Any, y: Any) -> Any:
    """Loss of one example from its last Z and its target, one entry a unit."""
    if output == "sigmoid":
        # 1 − σ(z) is σ(−z); as it stands, 100 digits would not hold it at |z| = 1e4.
        a, rest = 1 / (1 + mp.exp(-z[0])), 1 / (1 + mp.exp(z[0]))
        return -(_times_log(mp, y[0], a) + _times_log(mp, 1 - y[0], rest))
    if output == "softmax":
        return -mp.fsum(_times_log(mp, yk, pk) for yk, pk in zip(y, _softmax(mp, z), strict=True))
    return mp.fsum((zk - yk) ** 2 for zk, yk in zip(z, y, strict=True)) / 2


def _times_log(mp: Any, factor: Any, a: Any) -> Any:
    return factor * mp.log(a) if factor else mp.mpf(0)


@exactly
def losses(mp: Any, output: str, Z: Any, Y: Any) -> Any:
    """L of every example, by the last layer's activation: sigmoid, softmax or linear."""
    per_example = [_loss(mp, output, z, y) for z, y in zip(Z.T, Y.T, strict=True)]
    return np.array(per_example, object)


def _differences(mp: Any, cost: Callable[[], Any], array: np.ndarray) -> np.ndarray:
    """∂cost/∂array, changing one entry at a time in place and putting it back."""
    gradient, h = np.empty_like(array), mp.mpf(STEP)
    for index in np.ndindex(array.shape):
        here = array[index]
        array[index] = here + h
        above = cost()
        array[index] = here - h
        below = cost()
        array[index] = here
        gradient[index] = (above - below) / (2 * h)
    return gradient


@exactly
def loss_gradients(mp: Any, output: str, Z: Any, Y: Any) -> Any:
    """∂L/∂Z of every example's own loss, the shape of Z."""
    gradient = np.empty_like(Z)
    for i in range(Z.shape[1]):
        z, y = Z[:, i].copy(), Y[:, i]
        gradient[:, i] = _differences(mp, lambda z=z, y=y: _loss(mp, output, z, y), z)
    return gradient


@exactly
def network(
    mp: Any,
    params: Any,
    X: Any,
    Y: Any,
    l2: Any,
    masks: Any,
    keep_prob: Any,
    *,
    hidden: str,
    output: str,
) -> dict[str, Any]:
    """A whole network: every Z, the cost with its L2 penalty, and every dW and db.

    masks, keep_prob: one array of 0 and 1 and one number for each hidden layer, or empty lists.
    Returns Z1, Z2, …, J, dW1, db1, …
    """
    g = _activation(mp, hidden, mp.mpf(0.01))
    m = X.shape[1]

    def zs_of(i: int) -> list[list[Any]]:
        a, zs = list(X[:, i]), []
        for index, (W, b) in enumerate(params):
            z = [
                mp.fsum(W[j, k] * a[k] for k in range(W.shape[1])) + b[j, 0]
                for j in range(W.shape[0])
            ]
            zs.append(z)
            a = [g(zj) for zj in z]
            if masks and index < len(params) - 1:
                a = [aj * masks[index][j, i] / keep_prob[index] for j, aj in enumerate(a)]
        return zs

    def cost() -> Any:
        data = mp.fsum(_loss(mp, output, zs_of(i)[-1], list(Y[:, i])) for i in range(m)) / m
        squares = mp.fsum(w**2 for W, _ in params for w in W.flat)
        return data + l2 * squares / (2 * m)

    results = {"J": cost()}
    examples = [zs_of(i) for i in range(m)]
    for index, (W, b) in enumerate(params):
        results[f"Z{index + 1}"] = np.array([zs[index] for zs in examples], object).T
        results[f"dW{index + 1}"] = _differences(mp, cost, W)
        results[f"db{index + 1}"] = _differences(mp, cost, b)
    return results


@exactly
def batch_norm(mp: Any, Z: Any, gamma: Any, beta: Any, eps: Any, weights: Any) -> dict[str, Any]:
    """Batch norm over the columns of Z, and the gradients of Σ weights · output.

    Returns out, dZ, dgamma, dbeta.
    """
    m = Z.shape[1]

    def out() -> np.ndarray:
        normed = np.empty_like(Z)
        for j, row in enumerate(Z):
            mu = mp.fsum(row) / m
            variance = mp.fsum((z - mu) ** 2 for z in row) / m
            for i, z in enumerate(row):
                normed[j, i] = gamma[j, 0] * (z - mu) / mp.sqrt(variance + eps) + beta[j, 0]
        return normed

    def cost() -> Any:
        return mp.fsum((weights * out()).flat)

    return {
        "out": out(),
        "dZ": _differences(mp, cost, Z),
        "dgamma": _differences(mp, cost, gamma),
        "dbeta": _differences(mp, cost, beta),
    }


@exactly
def optimizer(mp: Any, w: Any, grads: Any, rates: Any, hyper: Any, *, rule: str) -> Any:
    """The parameters after every step, for the notes' rules, entry by entry.

    w: any shape; grads: (steps, *w.shape); rates: α of every step; hyper: the rule's own numbers,
    (β,) of momentum, (β, ε) of rmsprop, (β₁, β₂, ε) of adam. Returns (steps, *w.shape).
    """

    def path(w0: Any, series: Any) -> list[Any]:
        v = s = mp.mpf(0)
        places = []
        for t, (g, alpha) in enumerate(zip(series, rates, strict=True), start=1):
            if rule == "gradient_descent":
                move = g
            elif rule == "momentum":
                (beta,) = hyper
                v = beta * v + (1 - beta) * g
                move = v
            elif rule == "rmsprop":
                beta, eps = hyper
                s = beta * s + (1 - beta) * g**2
                move = g / (mp.sqrt(s) + eps)
            else:
                b1, b2, eps = hyper
                v = b1 * v + (1 - b1) * g
                s = b2 * s + (1 - b2) * g**2
                move = v / (1 - b1**t) / (mp.sqrt(s / (1 - b2**t)) + eps)
            w0 = w0 - alpha * move
            places.append(w0)
        return places

    after = np.empty_like(grads)
    for index in np.ndindex(w.shape):
        after[(slice(None), *index)] = path(w[index], grads[(slice(None), *index)])
    return after


@exactly
def schedule(mp: Any, name: str, epochs: Any, alpha: Any, *numbers: Any) -> Any:
    """α at every epoch, counted from 0.

    numbers: decay_rate of inverse_time; base of exponential; k of inverse_sqrt; factor and
    epochs_per_stair of staircase.
    """

    def at(epoch: Any) -> Any:
        if name == "inverse_time":
            return alpha / (1 + numbers[0] * epoch)
        if name == "exponential":
            return numbers[0] ** epoch * alpha
        if name == "inverse_sqrt":
            return numbers[0] / mp.sqrt(epoch + 1) * alpha
        return alpha * numbers[0] ** mp.floor(epoch / numbers[1])

    return _each(at, epochs)


@exactly
def exponentially_weighted(mp: Any, theta: Any, beta: Any, corrected: bool) -> Any:
    """V_t as the weighted sum itself, Σ (1−β) β^(t−i) θ_i, divided by 1−β^t when corrected."""
    del mp
    averages = []
    for t in range(1, len(theta) + 1):
        v = sum((1 - beta) * beta ** (t - i) * theta[i - 1] for i in range(1, t + 1))
        averages.append(v / (1 - beta**t) if corrected else v)
    return np.array(averages, object)
