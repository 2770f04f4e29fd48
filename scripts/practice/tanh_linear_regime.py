"""How L2 brings a tanh network into tanh's linear range.

A 2-16-16-1 tanh network separates two noisy half moons, with λ from 0 to 10. At the end of each run
are measured, over 1,000 dev points, the spread of the hidden layers' z and the distance of the
network's output from its linearisation, the tangent plane f(x̄) + f′(x̄)(x − x̄) at the mean input:
absolute, and relative to how much the output varies. The notes' own linear network, in which every
tanh(z) is replaced by z, is measured too. Answers figure 50 of the notes.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from jaxnet import Dataset, Setup, evaluate, losses, make_train, mlp, optimizers, regularizers
from jaxnet.crosscheck import bounds, compare, layout
from jaxnet.data import datasets
from jaxnet.models import forward_pass
from reference_numpy import mlp as reference
from scripts.harness import (
    COLOURS,
    Claim,
    above,
    at_least,
    at_most,
    below,
    exact,
    new_figure,
    run_alone,
    seed_keys,
    series,
    spread,
    statistical,
)

TITLE = "A large λ keeps z where tanh is linear"
NOTES_SECTION = "Regularization"
NOTES_FIGURES = (50,)

TRAIN, DEV, NOISE = 200, 1_000, 0.25
SIZES = (2, 16, 16, 1)
BATCH_SIZE, EPOCHS = 50, 150
LEARNING_RATE = 1.0  # at the start, falling to 0
LAMBDAS = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0)
SEEDS = 40
GRID = 60
CORNERS = (-1.8, 2.8, -1.4, 1.9)


def _build(lam: Any) -> Setup:
    alpha = optax.cosine_decay_schedule(LEARNING_RATE, EPOCHS * TRAIN // BATCH_SIZE)
    return Setup(
        mlp(SIZES, activation="tanh", initializer="xavier"),
        optimizers.gradient_descent(alpha),
        losses.binary_cross_entropy,
        regularizers.l2(lam, m=TRAIN),
    )


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    keys = seed_keys(key, quick, SEEDS)
    train = make_train(_build, batch_size=BATCH_SIZE, epochs=EPOCHS)
    x1, x2 = (jnp.linspace(*ends, GRID) for ends in (CORNERS[:2], CORNERS[2:]))
    grid = jnp.stack(jnp.meshgrid(x1, x2), axis=-1).reshape(-1, 2)

    def member(lam, key):
        data_key, run_key = jax.random.split(key)
        x, y = datasets.moons(data_key, TRAIN + DEV, noise=NOISE)
        data, dev = Dataset(x[:TRAIN], y[:TRAIN]), Dataset(x[TRAIN:], y[TRAIN:])
        run = train(run_key, lam, data)

        def output(x: Any, activation: Any = "tanh"):
            return forward_pass(run.params, (), x, activation=activation).zs[-1][:, 0]

        middle = jnp.broadcast_to(dev.x.mean(axis=0)[None, :], dev.x.shape)
        value, change = jax.jvp(output, (middle,), (dev.x - middle,))
        said = output(dev.x)
        hidden = forward_pass(run.params, (), dev.x, activation="tanh").zs[:-1]
        model = _build(lam).model
        return {
            "error": evaluate(model, run.params, (), dev, loss=losses.binary_cross_entropy).error,
            "z_spread": jnp.stack([jnp.std(z, axis=0).mean() for z in hidden]),
            "z_size": jnp.stack([_size(z) for z in hidden]),
            "distance": _size(said - value - change),
            "to_linear": _size(said - output(dev.x, lambda z: z)),
            "varies": jnp.std(said),
            "shown": {
                "grid": output(grid).reshape(GRID, GRID),
                "z": hidden[0][:400],
                "params": run.params,
                "x": dev.x[:7],
                "logits": said[:7],
                "data": data,
            },
        }

    @jax.jit
    def run(lams, keys):
        def seeds(lam):
            found = lax.map(lambda key: member(lam, key), keys)
            return found | {"shown": jax.tree.map(lambda leaf: leaf[0], found["shown"])}

        return lax.map(seeds, lams)

    found = jax.device_get(run(jnp.array(LAMBDAS), keys))
    shown = found["shown"]
    return {**found, "reference_apart": max(map(_reference_apart, _each(shown)))}


def _size(values: jax.Array) -> jax.Array:
    """Root mean square."""
    return jnp.sqrt(jnp.mean(jnp.square(values)))


def _each(shown: Any) -> list[Any]:
    return [jax.tree.map(lambda leaf, i=i: leaf[i], shown) for i in range(len(LAMBDAS))]


def _reference_apart(shown: Any) -> float:
    """Largest difference over bound of the float32 logits and the reference's, after training."""
    pairs = layout.pairs(shown["params"])
    pairs = [(W.astype(np.float64), b.astype(np.float64)) for W, b in pairs]
    X = layout.columns(shown["x"]).astype(np.float64)
    Z, _ = reference.forward(pairs, X, hidden="tanh", output="linear")
    Zs, _ = bounds.forward(pairs, X, "tanh")
    bound = bounds.tolerance(Zs[-1].error, np.float32, np.float64)
    return compare(layout.target_row(shown["logits"]), Z, bound=bound).leaves[0].ratio


def draw(measurements: dict[str, Any]) -> Figure:
    figure, axes = new_figure(
        3,
        3,
        title=f"From λ = 0 to {LAMBDAS[-1]:g} z shrinks into tanh's linear range, "
        f"and the network into a linear one",
        height=9.0,
        height_ratios=(1, 0.6, 1),
    )
    shown = _each(measurements["shown"])
    for column, place in enumerate((0, LAMBDAS.index(1.0), len(LAMBDAS) - 1)):
        _plane(axes[0, column], shown[place])
        _on_the_curve(axes[1, column], shown[place]["z"])
        error = 100 * measurements["error"][place, 0]
        axes[0, column].set_title(f"λ = {LAMBDAS[place]:g}: dev error {error:.0f} %")
    axes[0, 0].set_ylabel("x₂ (no unit)")
    axes[1, 0].set_ylabel("tanh z (no unit)")

    ax = axes[2, 0]
    for layer, style in zip((0, 1), series(2), strict=True):
        values = measurements["z_spread"][..., layer]
        _line(ax, values, label=f"z[{layer + 1}]", **style)
    ax.set(ylabel="standard deviation (no unit)", title="Spread of z over the dev set")
    ax.set_ylim(0, None)
    ax.legend(loc="lower left")

    ax = axes[2, 1]
    for name, label, style in zip(
        ("distance", "to_linear"),
        ("tangent plane at x̄", "tanh z replaced by z"),
        series(2),
        strict=True,
    ):
        _line(ax, measurements[name], label=label, **style)
    ax.set(ylabel="root mean square (logits)", title="Distance to a linear network")
    _log_axis(ax, (0.3, 1, 3, 10))
    ax.legend(loc="lower left", fontsize=9)

    ax = axes[2, 2]
    _line(ax, measurements["distance"] / measurements["varies"], **series(1)[0])
    ax.set(ylabel="ratio (no unit)", title="Over the output's σ")
    _log_axis(ax, (0.1, 0.3, 1, 3))
    count = measurements["error"].shape[1]
    figure.supxlabel(
        f"Above: one seed, its dev points' z[1] on the curve of tanh. "
        f"Below: median of {count} seeds; bands: their middle half.",
        fontsize=10,
    )
    return figure


ZERO_AT = 0.03  # where a logarithmic axis shows λ = 0


def _line(ax: Axes, values: np.ndarray, **arguments: Any) -> None:
    places = [lam or ZERO_AT for lam in LAMBDAS]
    spread(ax, places, values.T, marker="o", **arguments)
    ax.set_xscale("log")
    ax.set_xticks(places, labels=[f"{lam:g}" for lam in LAMBDAS])
    ax.set_xlabel("λ (no unit)")
    ax.minorticks_off()


def _log_axis(ax: Axes, ticks: tuple[float, ...]) -> None:
    ax.set_yscale("log")
    ax.set_yticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    ax.minorticks_off()


def _plane(ax: Axes, shown: Any) -> None:
    colours = [COLOURS[0], COLOURS[3]]
    ax.imshow(
        shown["grid"] > 0,
        origin="lower",
        extent=CORNERS,
        cmap=ListedColormap(colours),
        vmin=0,
        vmax=1,
        alpha=0.3,
        interpolation="nearest",
        aspect="auto",
    )
    x, y = shown["data"]
    for label, marker in ((0, "o"), (1, "^")):
        ax.plot(*x[y == label].T, marker, color=colours[label], markersize=2.6)
    ax.set(xlabel="x₁ (no unit)", xticks=[-1, 0, 1, 2], yticks=[-1, 0, 1])
    ax.grid(visible=False)


def _on_the_curve(ax: Axes, z: np.ndarray) -> None:
    """Where some of the z lie on tanh, beside its tangent at 0."""
    curve = np.linspace(-4, 4, 200)
    ax.plot(curve, np.tanh(curve), color="0.6", linewidth=1)
    ax.plot(curve, curve, color="0.6", linewidth=1, linestyle=":")
    some = z.ravel()[:: z.size // 300]
    ax.plot(some, np.tanh(some), "o", color=COLOURS[1], markersize=3, alpha=0.5)
    ax.set(xlim=(-4, 4), ylim=(-1.3, 1.3), yticks=[-1, 0, 1], xlabel="z[1] (no unit)")


def _largest_mean(steps: np.ndarray) -> float:
    """Largest over the steps of λ of the mean over seeds; steps (seeds, λ − 1)."""
    return float(steps.mean(axis=0).max())


def claims(measurements: dict[str, Any]) -> list[Claim]:
    z = measurements["z_spread"].mean(axis=-1)
    distance = measurements["distance"]
    relative = distance / measurements["varies"]
    error = measurements["error"]
    every = f"at every step of λ from 0 to {LAMBDAS[-1]:g}"
    means = "largest mean over seeds of the log of a ratio of neighbours"

    def steps(values: np.ndarray) -> np.ndarray:
        return np.diff(np.log(values), axis=0).T

    return [
        statistical(
            f"The spread of z, averaged over the hidden layers, falls {every} ({means}).",
            steps(z),
            below(0),
            method="bootstrap",
            statistic=_largest_mean,
        ),
        statistical(
            f"The distance of the network from its linearisation falls {every} ({means}).",
            steps(distance),
            below(0),
            method="bootstrap",
            statistic=_largest_mean,
        ),
        statistical(
            "The spread of z does so on every seed (share of seeds).",
            (steps(z) < 0).all(axis=1).astype(float),
            at_least(1),
        ),
        statistical(
            "The distance, the tangent at the mean input turning with every run, does so with few "
            "exceptions: a step of λ raises it in a tenth of the cases or less (share of steps).",
            (steps(distance) > 0).mean(axis=1),
            at_most(0.1),
        ),
        statistical(
            f"From λ = 0 to {LAMBDAS[-1]:g} the distance falls to a fifth or less even of the "
            f"spread of the output (log of the ratio of the two relative distances).",
            np.log(relative[-1] / relative[0]),
            at_most(-1.61),
        ),
        statistical(
            f"At λ = {LAMBDAS[-1]:g} the hidden z keep to where tanh is linear, within ±0.5 "
            f"(root mean square, the larger of the two layers).",
            measurements["z_size"][-1].max(axis=-1),
            at_most(0.5),
        ),
        statistical(
            f"There the network is linear but for a fifth of its output's spread (relative "
            f"distance at λ = {LAMBDAS[-1]:g}).",
            relative[-1],
            at_most(0.2),
        ),
        statistical(
            "The simple boundary costs bias: from λ = 0 to the largest the dev error rises.",
            error[-1] - error[0],
            above(0),
        ),
        exact(
            "The trained networks' outputs are the reference's (largest difference over its "
            "rounding bound, float32, every λ).",
            measurements["reference_apart"],
            at_most(1),
        ),
    ]


if __name__ == "__main__":
    run_alone(__file__)
