"""Batch, stochastic and mini-batch descent on the contours of one bowl, and how far they end.

Linear regression with two weights: the cost is a quadratic whose optimum is known, and every
example's gradient is a noisy one. A step's variance is measured over random batches. The distance
that remains is measured after many updates on one example each, the examples drawn independently
or in a new order every epoch, for a family of α; by the theory for small α the mean square is
proportional to α, α² (over all updates of reshuffled epochs) and α³ (at their ends), since within
an epoch the noise adds up to nothing. Answers figures 62 and 63 of the notes.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxnet import Dataset, Model, Setup, losses, optimizers
from jaxnet.data import minibatches
from jaxnet.training.run import start as begin
from jaxnet.training.run import step
from reference_numpy import optimizers as reference
from scripts.harness import (
    INK,
    Claim,
    above,
    at_most,
    between,
    exact,
    new_figure,
    run_alone,
    seed_keys,
    series,
    spread,
    statistical,
)
from scripts.optimization._in_order import train_in_order

TITLE = "The smaller the batch, the noisier the path and the further from the minimum it ends"
NOTES_SECTION = "Mini-batch Gradient Descent"
NOTES_FIGURES = (62, 63)

# The paths and the steps' variance: 256 examples; features of variance 1.6 and 0.4.
EXAMPLES = 256
SIZES = (1, 2, 8, 32, 128, 192, 256)
DRAWS = 400
SHOWN = (256, 16, 1)
PATH_ALPHA, PATH_UPDATES = 0.1, 256
START = (-2.0, 2.0)

# The distance that remains: 32 examples, so that α·m·(curvature) stays well below 1.
FEW = 32
ALPHAS = (0.001, 0.002, 0.004, 0.008)
EPOCHS, BURN_IN = 512, 128  # 16,384 updates, of which the first quarter is passed over
SEEDS = 40


def _model(start: jax.Array) -> Model:
    return Model(lambda key: (start, ()), lambda w, state, x, **_: (x @ w, state))


def _setup(alpha: Any, start: jax.Array) -> Setup:
    return Setup(_model(start), optimizers.gradient_descent(alpha), losses.squared_error)


def _problem(key: jax.Array, m: int, widths: tuple[float, float]) -> tuple[Dataset, jax.Array]:
    """m examples y = xᵀw + noise with features of these standard deviations; and the optimum."""
    x_key, noise_key = jax.random.split(key)
    # Turned by 30°: the bowl's axes are not the weights'.
    turn = jnp.array([[jnp.cos(jnp.pi / 6), -jnp.sin(jnp.pi / 6)], [0.5, jnp.cos(jnp.pi / 6)]])
    x = jax.random.normal(x_key, (m, 2)) * jnp.array([widths]) @ turn.T
    y = x @ jnp.array([0.5, -0.5]) + jax.random.normal(noise_key, (m,))
    return Dataset(x, y), jnp.linalg.solve(x.T @ x, x.T @ y)


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    draws, epochs = (100, 192) if quick else (DRAWS, EPOCHS)

    def one_seed(key):
        data_key, draw_key, path_key, few_key, order_key = jax.random.split(key, 5)
        return {
            **_steps(data_key, draw_key, draws),
            **_paths(data_key, path_key),
            **_remaining(few_key, order_key, epochs),
        }

    program = jax.jit(lambda keys: jax.lax.map(one_seed, keys))
    results = jax.device_get(program(seed_keys(key, quick, seeds=SEEDS)))
    return {**results, "reference_apart": _reference_apart(results)}


def _steps(data_key: jax.Array, draw_key: jax.Array, draws: int) -> dict[str, Any]:
    """Mean square of a step's deviation from its mean, at one place, over random batches."""
    data, _ = _problem(data_key, EXAMPLES, (1.26, 0.63))
    start = jnp.array(START)
    each = jax.vmap(jax.grad(lambda w, x, y: (x @ w - y) ** 2 / 2), (None, 0, 0))(
        start, data.x, data.y
    )
    setup = _setup(PATH_ALPHA, start)
    begun = begin(setup, draw_key)
    steps = []
    keys = jax.random.split(draw_key, draws)
    orders = jax.vmap(lambda key: minibatches.permutation(key, EXAMPLES))(keys)
    for size in SIZES:

        def updated(batch):
            taken = Dataset(data.x[batch], data.y[batch])
            return step(setup, begun, taken, draw_key)[0].params

        steps.append(jax.vmap(updated)(orders[:, :size]) - start[None, :])
    deviation = jnp.stack(steps) + PATH_ALPHA * each.mean(axis=0)[None, None, :]
    return {
        "variance": jnp.square(deviation).sum(axis=2).mean(axis=1),
        "each_variance": PATH_ALPHA**2 * jnp.square(each - each.mean(axis=0)).sum(axis=1).mean(),
    }


def _paths(data_key: jax.Array, key: jax.Array) -> dict[str, Any]:
    """Paths of the same number of updates, by batch size; every epoch reshuffled."""
    data, optimum = _problem(data_key, EXAMPLES, (1.26, 0.63))
    setup = _setup(PATH_ALPHA, jnp.array(START))
    paths = []
    for size in SHOWN:
        epochs = PATH_UPDATES * size // EXAMPLES
        keys = jax.random.split(key, epochs)
        batches = jax.vmap(lambda key, n=size: minibatches.epoch_indices(key, EXAMPLES, n)[0])(keys)
        one_by_one = batches.reshape(PATH_UPDATES, 1, size)
        _, path = train_in_order(setup, key, data, one_by_one, observe=lambda carry: carry.params)
        paths.append(jnp.concatenate([jnp.array([START]), path]))
    return {"data": data._asdict(), "optimum": optimum, "paths": jnp.stack(paths)}


def _remaining(data_key: jax.Array, key: jax.Array, epochs: int) -> dict[str, Any]:
    """Mean square of the distance to the optimum by α, for independent and reshuffled examples."""
    data, optimum = _problem(data_key, FEW, (1.1, 0.9))
    keys = jax.random.split(key, epochs)
    reshuffled = jax.vmap(lambda key: minibatches.permutation(key, FEW))(keys)
    independent = jax.random.randint(key, (epochs, FEW), 0, FEW)

    def distance(alpha, order):
        _, path = train_in_order(
            _setup(alpha, optimum),
            key,
            data,
            order.reshape(-1, 1, 1),
            observe=lambda carry: jnp.square(carry.params - optimum).sum(),
        )
        path = path.reshape(epochs, FEW)[BURN_IN:]
        return jnp.stack([path.mean(), path[:, -1].mean()])

    orders = jnp.stack([independent, reshuffled])
    by_alpha = jax.vmap(lambda alpha: jax.vmap(lambda order: distance(alpha, order))(orders))
    remaining = by_alpha(jnp.array(ALPHAS))  # (alphas, orders, all updates or ends)
    return {
        "independent": remaining[:, 0, 0],
        "reshuffled": remaining[:, 1, 0],
        "ends": remaining[:, 1, 1],
        "curvatures": jnp.linalg.eigvalsh(data.x.T @ data.x / FEW),
    }


def _reference_apart(results: dict[str, Any]) -> float:
    """Largest distance of the first seed's batch path from the reference's updates."""
    x, y = results["data"]["x"][0], results["data"]["y"][0]
    params: Any = [(np.array(START)[:, None],)]
    state = reference.gradient_descent_init(params)
    apart = 0.0
    for point in results["paths"][0, 0]:
        apart = max(apart, float(np.abs(params[0][0][:, 0] - point).max()))
        gradients: Any = [(x.T @ (x @ params[0][0] - y[:, None]) / len(x),)]
        params, state = reference.gradient_descent_update(
            params, gradients, state, learning_rate=PATH_ALPHA
        )
    return apart


def _law(size: np.ndarray) -> np.ndarray:
    """Variance of a mean of B of the m examples, as a share of one example's."""
    return (1 / size) * (EXAMPLES - size) / (EXAMPLES - 1)


def _exponent(remaining: np.ndarray) -> np.ndarray:
    """Slope of log mean square against log α of each seed, from (seeds, alphas)."""
    return np.polyfit(np.log(ALPHAS), np.log(remaining).T, 1)[0]


def _last_half(measurements: dict[str, Any]) -> np.ndarray:
    """Mean square distance to the optimum over the second half of a path, (seeds, sizes)."""
    paths, optimum = measurements["paths"], measurements["optimum"]
    square = np.square(paths - optimum[:, None, None, :]).sum(axis=3)
    return square[:, :, PATH_UPDATES // 2 :].mean(axis=2)


def draw(measurements: dict[str, Any]) -> Figure:
    exponents = {
        name: _exponent(measurements[name]).mean() for name in ("independent", "reshuffled")
    }
    figure, axes = new_figure(
        2,
        2,
        height=7.8,
        title=f"The distance² that remains goes as α^{exponents['independent']:.2f} with "
        f"independent examples, α^{exponents['reshuffled']:.2f} reshuffled",
    )
    _draw_paths(axes[0, 0], measurements)

    paths, optimum = measurements["paths"], measurements["optimum"]
    distance = np.linalg.norm(paths - optimum[:, None, None, :], axis=3)
    for index, (size, style) in enumerate(zip(SHOWN, series(3), strict=True)):
        updates = np.arange(PATH_UPDATES + 1)
        spread(axes[0, 1], updates, distance[:, index], label=_size_label(size), **style)
    axes[0, 1].set(
        title="The same number of updates",
        xlabel="updates",
        ylabel="distance to the optimum",
        yscale="log",
        ylim=(1e-4, None),
    )
    axes[0, 1].legend(loc="lower left")

    sizes = np.array(SIZES[:-1])
    line, dots = series(2)
    grid = np.geomspace(1, EXAMPLES - 1, 200)
    ratio = measurements["variance"][:, :-1] / measurements["each_variance"][:, None]
    axes[1, 0].plot(grid, _law(grid), label="(1/B)(m − B)/(m − 1)", **line)
    axes[1, 0].plot(grid, 1 / grid, ":", color="0.4", label="1/B")
    axes[1, 0].plot(sizes, ratio.mean(axis=0), "o", color=dots["color"], label="measured")
    axes[1, 0].set(
        title=f"Variance of a step, m = {EXAMPLES}",
        xlabel="batch size B (examples)",
        ylabel="share of the variance at B = 1",
        xscale="log",
        yscale="log",
    )
    axes[1, 0].legend(loc="lower left")

    for (name, label), style in zip(
        (
            ("independent", "independent"),
            ("reshuffled", "reshuffled, all updates"),
            ("ends", "reshuffled, ends of epochs"),
        ),
        series(3),
        strict=True,
    ):
        power = _exponent(measurements[name]).mean()
        spread(
            axes[1, 1],
            np.array(ALPHAS),
            measurements[name],
            label=f"{label}: α^{power:.2f}",
            marker="o",
            **style,
        )
    axes[1, 1].set(
        title=f"What remains, B = 1, m = {FEW}",
        xlabel="learning rate α",
        ylabel="mean square distance",
        xscale="log",
        yscale="log",
        ylim=(None, 2),
    )
    axes[1, 1].set_xticks(ALPHAS, labels=[f"{alpha:g}" for alpha in ALPHAS])
    axes[1, 1].minorticks_off()
    axes[1, 1].legend(loc="upper left")
    seeds = len(paths)
    figure.supxlabel(f"Lines: median of {seeds} seeds; bands: their middle half.", fontsize=10)
    return figure


def _size_label(size: int) -> str:
    names = {EXAMPLES: "batch", 1: "stochastic"}
    return f"{names.get(size, 'mini-batch')}, B = {size}"


def _draw_paths(ax: Axes, measurements: dict[str, Any]) -> None:
    x, y = measurements["data"]["x"][0], measurements["data"]["y"][0]
    optimum = measurements["optimum"][0]
    w1, w2 = np.meshgrid(np.linspace(-2.3, 1.5, 80), np.linspace(-1.6, 2.3, 80))
    surface = np.square(w1[..., None] * x[:, 0] + w2[..., None] * x[:, 1] - y).mean(axis=2) / 2
    levels = surface.min() + np.geomspace(0.01, np.ptp(surface), 10)
    ax.contour(w1, w2, surface, levels=levels, colors="0.75", linewidths=0.8)
    for index, (size, style) in reversed(list(enumerate(zip(SHOWN, series(3), strict=True)))):
        width = 1.0 if size == 1 else 1.8
        ax.plot(
            *measurements["paths"][0, index].T,
            label=_size_label(size),
            **style | {"linestyle": "-", "linewidth": width},
        )
    ax.plot(*START, "o", color="white", mec=INK)
    ax.plot(*optimum, "*", color="white", mec=INK, markersize=14)
    ax.set(title=f"{PATH_UPDATES} updates, α = {PATH_ALPHA}; star: the optimum")
    ax.set(xlabel="weight w₁", ylabel="weight w₂")
    ax.grid(False)
    ax.legend(loc="lower left", fontsize=9)


def claims(measurements: dict[str, Any]) -> list[Claim]:
    sizes = np.array(SIZES[:-1])
    ratio = measurements["variance"][:, :-1] / measurements["each_variance"][:, None]
    full = measurements["variance"][:, -1] / measurements["each_variance"]
    remaining = _last_half(measurements)

    distance = np.linalg.norm(
        measurements["paths"][:, 0] - measurements["optimum"][:, None], axis=2
    )
    return [
        exact(
            "The batch path is the reference's (largest difference, float32).",
            measurements["reference_apart"],
            at_most(1e-4),
        ),
        statistical(
            "The variance of a step falls as (1/B)(m−B)/(m−1) (exponent of the measured variance "
            f"in this law, B from 1 to {SIZES[-2]}, m = {EXAMPLES}).",
            np.polyfit(np.log(_law(sizes)), np.log(ratio).T, 1)[0],
            between(0.97, 1.03),
        ),
        statistical(
            "And it is as large as the law says (ratio, mean over B).",
            (ratio / _law(sizes)[None, :]).mean(axis=1),
            between(0.95, 1.05),
        ),
        statistical(
            f"It does not fall as 1/B alone: at B = {SIZES[-2]} it is a quarter of that (ratio).",
            ratio[:, -1] * sizes[-1],
            between(0.2, 0.3),
        ),
        exact(
            "Batch steps have no variance (largest share of one example's, all seeds).",
            full.max(),
            at_most(1e-9),
        ),
        exact(
            "Batch descent comes steadily nearer to the optimum (largest change of the distance in "
            "one of the first 40 updates, all seeds).",
            np.diff(distance, axis=1)[:, :40].max(),
            at_most(0),
        ),
        statistical(
            "Stochastic descent ends further from the optimum than mini-batch descent (log₂ of the "
            "ratio of mean square distances).",
            np.log2(remaining[:, 2] / remaining[:, 1]),
            above(1),
        ),
        statistical(
            "Mini-batch descent ends further from the optimum than batch descent (the same).",
            np.log2(remaining[:, 1] / remaining[:, 0]),
            above(1),
        ),
        statistical(
            "With independent examples the mean square distance to the optimum is proportional to "
            "α (exponent).",
            _exponent(measurements["independent"]),
            between(0.85, 1.15),
        ),
        statistical(
            "With reshuffling the mean square over all updates goes with α² (exponent).",
            _exponent(measurements["reshuffled"]),
            between(1.75, 2.25),
        ),
        statistical(
            "At the ends of reshuffled epochs it goes with α³ (exponent).",
            _exponent(measurements["ends"]),
            between(2.6, 3.4),
        ),
        statistical(
            "At every α reshuffling leaves less than independent draws (log₂ of the ratio, least "
            "over α).",
            np.log2(measurements["independent"] / measurements["reshuffled"]).min(axis=1),
            above(0),
        ),
    ]


if __name__ == "__main__":
    run_alone(__file__)
