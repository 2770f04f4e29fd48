"""Time of one gradient of logistic regression: explicit loop, NumPy, and compiled JAX.

m from 10² to 10⁶ random examples with two features. The loop over the examples and the vectorised
form are the reference's; JAX is jax.grad of jaxnet's cost, compiled before the clock starts. All
in float64. The three are timed in turn, round after round; a sample is the mean of several calls
where one is short, and medians over the rounds are shown. Answers the notes' sections on
vectorization.
"""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from jaxnet.layers import Layer
from jaxnet.losses import binary_cross_entropy, cost
from jaxnet.models import logistic_regression
from reference_numpy import logistic_regression as reference
from scripts.harness import Claim, at_most, exact, new_figure, run_alone, series, timing
from scripts.harness.report import machine

TITLE = "What a loop over the examples costs"
NOTES_SECTION = "Vectorization"
NOTES_FIGURES = ()
TIMING = True

FEATURES = 2
SIZES = (100, 1_000, 10_000, 100_000, 1_000_000)
METHODS = {"loop": "Python loop", "numpy": "NumPy", "jax": "compiled JAX"}
EXAMPLES_PER_SAMPLE = {"loop": 10_000, "numpy": 100_000, "jax": 100_000}
EPS = np.finfo(np.float64).eps


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    sizes = SIZES[:3] if quick else SIZES
    x_key, y_key, w_key = jax.random.split(key, 3)
    with jax.enable_x64(True):
        x = jax.random.normal(x_key, (sizes[-1], FEATURES))
        y = jax.random.bernoulli(y_key, 0.5, (sizes[-1],)).astype(x.dtype)
        w = jax.random.normal(w_key, (FEATURES, 1))
        b = 0.5
        seconds, errors = [], []
        for m in sizes:
            X, Y = np.ascontiguousarray(np.asarray(x[:m]).T), np.asarray(y[:m])[None]
            calls = {
                "loop": lambda X=X, Y=Y: reference.gradients_loop(w, b, X, Y),
                "numpy": lambda X=X, Y=Y: reference.gradients(w, b, X, Y),
                "jax": _compiled(w, b, x[:m], y[:m]),
            }
            median, gradients = _timed(calls, m, rounds=3 if quick or m > 100_000 else 5)
            seconds.append(median)
            errors.append(_error(gradients, X, Y, np.asarray(w), b))
    return {
        "sizes": np.array(sizes),
        "errors": np.array(errors),
        "machine": machine(),
        **{name: np.array([row[name] for row in seconds]) for name in METHODS},
    }


@jax.jit
def _gradient(params: tuple[Layer], x: jax.Array, y: jax.Array) -> tuple[Layer]:
    def of(params):
        logits, _ = logistic_regression(FEATURES).apply(params, (), x)
        return cost(binary_cross_entropy(logits, y))

    return jax.grad(of)(params)


def _compiled(w: jax.Array, b: float, x: jax.Array, y: jax.Array) -> Callable[[], Any]:
    params = (Layer(w, jnp.array([b])),)

    def call():
        (gradient,) = jax.block_until_ready(_gradient(params, x, y))
        return gradient.w, gradient.b

    call()  # compiles
    return call


def _error(gradients: dict[str, np.ndarray], X: np.ndarray, Y: np.ndarray, w: Any, b: Any) -> float:
    """Largest difference from the vectorised form, as a multiple of the bound ε·Σ|x||dz|."""
    dz = np.abs(reference.forward(w, b, X) - Y)
    bound = EPS * np.append(np.abs(X) @ dz.T, dz.sum())
    others = np.stack([gradients["loop"], gradients["jax"]])
    return float((np.abs(others - gradients["numpy"]) / bound).max())


def _timed(
    calls: dict[str, Callable[[], Any]], m: int, rounds: int
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Median seconds of each call, taken in turn in every round, and what each returned."""
    samples: dict[str, list[float]] = {name: [] for name in calls}
    returned: dict[str, np.ndarray] = {}
    for _ in range(rounds):
        for name, call in calls.items():
            repeats = max(1, EXAMPLES_PER_SAMPLE[name] // m)
            start = time.perf_counter()
            for _ in range(repeats):
                result = call()
            samples[name].append((time.perf_counter() - start) / repeats)
            returned[name] = np.append(*result)
    return {name: float(np.median(times)) for name, times in samples.items()}, returned


def _slope(sizes: np.ndarray, seconds: np.ndarray) -> float:
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def draw(measurements: dict[str, Any]) -> Figure:
    sizes, loop = measurements["sizes"], measurements["loop"]
    gains = {name: loop / measurements[name] for name in METHODS if name != "loop"}
    figure, (left, right) = new_figure(
        1,
        2,
        title=f"Without the loop, a gradient of {sizes[-1]:,} examples takes "
        f"1/{gains['numpy'][-1]:.0f} of the time in NumPy, 1/{gains['jax'][-1]:.0f} in JAX",
    )
    for (name, label), style, marker in zip(METHODS.items(), series(3), "os^", strict=True):
        left.plot(sizes, measurements[name], marker=marker, label=label, **style)
        if name in gains:
            right.plot(sizes, gains[name], marker=marker, label=label, **style)
    for index, m in enumerate(sizes):
        low, high = sorted(gain[index] for gain in gains.values())
        for gain, away in ((high, 9), (low, -10)):
            right.annotate(
                f"{gain:.0f}×",
                (m, gain),
                xytext=(0, away),
                textcoords="offset points",
                ha="center",
                va="center",
            )
    left.set(title="One gradient, medians", ylabel="seconds")
    right.set(title="Speed-up over the loop", ylabel="times as fast")
    right.margins(y=0.15)
    for ax, corner in ((left, "upper left"), (right, "lower right")):
        ax.set(xlabel="examples m", xscale="log", yscale="log")
        ax.legend(loc=corner)
    found = measurements["machine"]
    figure.supxlabel(f"{found['processor']}, {found['cores']} cores, float64, n = 2", fontsize=10)
    return figure


def claims(measurements: dict[str, Any]) -> list[Claim]:
    sizes, loop = measurements["sizes"], measurements["loop"]
    found = measurements["machine"]
    where = f"{found['processor']}, {found['cores']} cores, JAX on {found['device']}, float64"
    return [
        exact(
            "The loop, NumPy and JAX give the same gradient at every m (largest difference, as a "
            "multiple of the rounding bound).",
            measurements["errors"].max(),
            at_most(1),
        ),
        *(
            timing(f"{METHODS[name]} over the loop at m = {m:,}: times as fast.", gain)
            for name in ("numpy", "jax")
            for m, gain in zip(sizes, loop / measurements[name], strict=True)
        ),
        *(
            timing(
                f"Slope of log time against log m, {label}, m from {sizes[0]:,} to {sizes[-1]:,}.",
                _slope(sizes, measurements[name]),
            )
            for name, label in METHODS.items()
        ),
        timing("The loop's microseconds per example at the largest m.", 1e6 * loop[-1] / sizes[-1]),
        timing("The machine of these times.", where),
    ]


if __name__ == "__main__":
    run_alone(__file__)
