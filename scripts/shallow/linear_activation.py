"""Linear activations in the hidden layers, where they add nothing, and at a regression's output.

A stack of five linear layers beside the one linear map it amounts to. Then four overlapping clouds
of points: networks with linear hidden layers, full batch in float64, against the optimum of
logistic regression (softmax, K = 4), which Newton's method finds; below K − 1 = 3 units they fall
short of it, from 3 on they reach it, and tanh goes beyond. Then diabetes, whose targets are
positive: a linear and a ReLU output on the same network. Judges the end of the notes' section on
activation functions.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxnet import Dataset, Model, Setup, losses, make_train, mlp, optimizers
from jaxnet.activations import relu
from jaxnet.crosscheck import bounds, compare, layout
from jaxnet.data import datasets, normalization, splits
from jaxnet.layers import Layer, dense
from reference_numpy import initializers as reference_initializers
from reference_numpy import mlp as reference
from scripts.harness import (
    COLOURS,
    INK,
    TRUE,
    Claim,
    above,
    at_least,
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

TITLE = "What linear activations do in hidden layers and at the output"
NOTES_SECTION = "Activation Function"
NOTES_FIGURES = ()

STACK = (5, 6, 4, 7, 3, 2)

CLASSES, FEATURES, EXAMPLES = 4, 5, 240
APART = 1.5  # of each class's mean from the origin, along an axis of its own; the spread is 1
WIDEST = 6


class Arm(NamedTuple):
    """Units in each hidden layer, how many such layers (1 or 2), and whether with tanh."""

    width: int
    layers: int = 1
    tanh: bool = False


ARMS = {
    "1 unit": Arm(1),
    "2 units": Arm(2),
    "3 units": Arm(3),
    "6 units": Arm(6),
    "3 and 3 units": Arm(3, layers=2),
    "6 units, tanh": Arm(6, tanh=True),
}

# Of the regression: whether the output is a ReLU, and where its bias starts, times the mean of y.
OUTPUTS = {
    "linear, mean": (False, 1.0),
    "ReLU, mean": (True, 1.0),
    "linear, 0": (False, 0.0),
    "ReLU, 0": (True, 0.0),
    "ReLU, dead": (True, -10.0),
}
HIDDEN_UNITS = 16


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    stack_key, clouds_key, regression_key = jax.random.split(key, 3)
    with jax.enable_x64(True):
        clouds = _clouds(clouds_key, len(seed_keys(key, quick)), steps=300 if quick else 600)
    return {
        "stack": _stack(np.random.default_rng(int(jax.random.bits(stack_key)))),
        "clouds": clouds,
        "regression": _regression(seed_keys(regression_key, quick), epochs=10 if quick else 40),
    }


def _stack(rng: np.random.Generator) -> dict[str, Any]:
    """Five linear layers with biases: jaxnet's, the reference's, and the product of the matrices.

    Also the first output along a line through the inputs, with linear and with tanh layers.
    """
    params = reference_initializers.initialize(rng, STACK, "xavier")
    params = [(W, rng.normal(size=b.shape)) for W, b in params]
    X = rng.normal(size=(STACK[0], 7))
    Z, _ = reference.forward(params, X, hidden="linear", output="linear")
    with jax.enable_x64(True):
        apply = jax.jit(mlp(STACK, activation="linear").apply)
        ours = layout.columns(apply(layout.layers(params), (), layout.rows(X))[0])

    W, b = bounds.bounded(np.eye(STACK[0])), bounds.bounded(np.zeros((STACK[0], 1)))
    for W_l, b_l in params:
        W, b = bounds.bounded(W_l) @ W, bounds.bounded(W_l) @ b + b_l
    one_map = W @ X + b
    Zs, _ = bounds.forward(params, X, "linear")
    in_stack = bounds.tolerance(Zs[-1].error, np.float64)
    in_map = bounds.tolerance(one_map.error, np.float64)
    t = np.linspace(-6, 6, 101)
    along = rng.normal(size=(STACK[0], 1)) * t
    return {
        "map_apart": compare(ours, one_map.value, bound=in_stack + in_map).leaves[0].ratio,
        "reference_apart": compare(ours, Z, bound=2 * in_stack).leaves[0].ratio,
        "t": t,
        "along": {
            hidden: reference.forward(params, along, hidden=hidden, output="linear")[0][0]
            for hidden in ("linear", "tanh")
        },
    }


def _network(hyper: dict[str, jax.Array]) -> Model:
    """Network of one or two hidden layers, at most WIDEST wide, linear or tanh; all traced.

    hyper["draws"] are standard normal numbers for the weights, whose variances are 1/n_in; units
    beyond hyper["width"] are cut off.
    """
    width = hyper["width"]
    keep = (jnp.arange(WIDEST) < width)[None, :]
    sizes = ((FEATURES, WIDEST), (WIDEST, WIDEST), (WIDEST, CLASSES))

    def init(key):
        del key
        parts = jnp.split(hyper["draws"], np.cumsum([np.prod(size) for size in sizes])[:-1])
        n_in = (FEATURES, width, width)
        return tuple(
            Layer(part.reshape(size) / jnp.sqrt(n), jnp.zeros(size[1]))
            for part, size, n in zip(parts, sizes, n_in, strict=True)
        ), ()

    def g(z):
        return jnp.where(keep, jnp.where(hyper["tanh"], jnp.tanh(z), z), 0)

    def apply(params, state, x, *, key=None, train=False):
        del key, train
        first, second, last = params
        a = g(dense(first, x))
        a = jnp.where(hyper["layers"] == 2, g(dense(second, a)), a)
        return dense(last, a), state

    return Model(init, apply)


def _clouds(key: jax.Array, starts: int, *, steps: int) -> dict[str, np.ndarray]:
    """The optimum of logistic regression, and the cost of every arm from several starts."""
    noise_key, draw_key, run_key = jax.random.split(key, 3)
    optimizer = optimizers.momentum(1.0)
    train = make_train(
        lambda hyper: Setup(_network(hyper), optimizer), batch_size=None, epochs=steps
    )
    arms = jax.tree.map(lambda *values: jnp.array(values), *ARMS.values())._asdict()
    weights = FEATURES * WIDEST + WIDEST * WIDEST + WIDEST * CLASSES

    @jax.jit
    def run():
        y = jnp.arange(EXAMPLES) % CLASSES
        x = APART * jnp.eye(FEATURES)[y] + jax.random.normal(noise_key, (EXAMPLES, FEATURES))

        def J(p):
            # The last class's logit is 0: one of K is free, and the Hessian would be singular.
            W, b = p[:-1], p[-1:]
            logits = jnp.pad(x @ W + b, ((0, 0), (0, 1)))
            return losses.cost(losses.softmax_cross_entropy(logits, y))

        def flat(p):
            return J(p.reshape(FEATURES + 1, CLASSES - 1))

        def newton(p, _):
            return p - jnp.linalg.solve(jax.hessian(flat)(p), jax.grad(flat)(p)), None

        start = jnp.zeros((FEATURES + 1) * (CLASSES - 1))
        optimum, _ = jax.lax.scan(newton, start, length=20)
        draws = jax.random.normal(draw_key, (starts, weights))

        def cost(draws, arm):
            return train(run_key, arm | {"draws": draws}, Dataset(x, y)).history["cost"][:, 0]

        return {
            "optimum": flat(optimum),
            "gradient": jnp.linalg.norm(jax.grad(flat)(optimum)),
            "curvature": jnp.linalg.eigvalsh(jax.hessian(flat)(optimum))[0],
            "cost": jax.vmap(jax.vmap(cost, in_axes=(None, 0)), in_axes=(0, None))(draws, arms),
        }

    return jax.device_get(run())


def _regression(keys: jax.Array, *, epochs: int) -> dict[str, np.ndarray]:
    """Of each seed and output: test RMS error; whether all biases are where they started. And the
    error of guessing the training mean."""
    parts = datasets.load("diabetes")
    whole = Dataset(*(jnp.concatenate(arrays) for arrays in zip(*parts, strict=True)))
    plain = mlp((whole.x.shape[1], HIDDEN_UNITS, 1))
    rectified, start = (jnp.array(values) for values in zip(*OUTPUTS.values(), strict=True))

    def output(hyper, z):
        return jnp.where(hyper["rectified"], relu(z), z)

    def build(hyper):
        def init(key):
            (hidden, last), state = plain.init(key)
            return (hidden, last._replace(b=last.b + hyper["bias"])), state

        def loss(z, y):
            return losses.squared_error(output(hyper, z), y)

        return Setup(Model(init, plain.apply), optimizers.adam(0.01), loss)

    train = make_train(build, batch_size=64, epochs=epochs, drop_last=True)

    def one_seed(key):
        split_key, run_key = jax.random.split(key)
        rows, test_rows = splits.split(split_key, len(whole.x), (0.6, 0.4))
        x = normalization.apply(normalization.fit(whole.x[rows]), whole.x)
        unit = whole.y[rows].std()
        y = whole.y / unit
        mean = y[rows].mean()

        def one_output(rectified, start):
            hyper = {"rectified": rectified, "bias": start * mean}
            run = train(run_key, hyper, Dataset(x[rows], y[rows]))
            z, _ = plain.apply(run.params, run.state, x[test_rows])
            hidden, last = run.params
            still = (hidden.b == 0).all() & (last.b == hyper["bias"]).all()
            return _rms(output(hyper, z) - y[test_rows]) * unit, still

        error, still = jax.vmap(one_output)(rectified, start)
        return {"error": error, "still": still, "mean": _rms(mean - y[test_rows]) * unit}

    # Mapped rather than vmapped over seeds: as fast here, and half as long to compile.
    return jax.device_get(jax.jit(lambda keys: jax.lax.map(one_seed, keys))(keys))


def _rms(difference: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.square(difference).mean())


def draw(measurements: dict[str, Any]) -> Figure:
    figure, ((lines, gaps), (ends, errors)) = new_figure(
        2,
        2,
        title="Linear hidden layers add nothing; at a regression's output linear and ReLU tie",
        height=7.0,
    )
    stack, clouds = measurements["stack"], measurements["clouds"]
    for (hidden, output), style in zip(stack["along"].items(), series(2), strict=True):
        change = output - output[len(output) // 2]
        lines.plot(stack["t"], change, label=f"{hidden} activations", **style)
    lines.set(
        title="Five layers, along a line of inputs",
        xlabel="position along the line (no unit)",
        ylabel="output less that in the middle (no unit)",
    )
    lines.legend()

    optimum, cost = clouds["optimum"], clouds["cost"]
    updates = np.arange(cost.shape[2])
    linear = [name for name, arm in ARMS.items() if not arm.tanh]
    for name, style in zip(linear, series(len(linear)), strict=True):
        gap = np.maximum(cost[:, list(ARMS).index(name)] - optimum, 1e-17)
        spread(gaps, updates, gap, label=name, **style)
    gaps.set(
        title=f"Linear hidden layers, {len(cost)} starts",
        xlabel="updates",
        ylabel="cost above the optimum of\nlogistic regression (nats)",
        yscale="log",
    )
    gaps.legend(loc="center right", fontsize=9, title="median, middle half")

    _ends(ends, cost[:, :, -1], optimum)
    _errors(errors, measurements["regression"])
    return figure


def _ends(ax: Axes, cost: np.ndarray, optimum: float) -> None:
    places = np.arange(len(ARMS))
    for place, name in zip(places, ARMS, strict=True):
        tanh = ARMS[name].tanh
        scatter = place + np.linspace(-0.2, 0.2, len(cost))
        colour = COLOURS[3] if tanh else COLOURS[2]
        ax.plot(scatter, cost[:, place], "s" if tanh else "o", color=colour, markersize=4)
    ax.axhline(optimum, color=INK, linewidth=1)
    ax.annotate(
        "optimum of logistic regression", (places[-1] + 0.4, optimum), xytext=(0, 4),
        textcoords="offset points", ha="right",
    )  # fmt: skip
    labels = [name.replace(" units", "").replace(" unit", "").replace(", ", "\n") for name in ARMS]
    ax.set_xticks(places, labels=labels)
    ax.set(
        title="Where they end; tanh goes beyond",
        xlabel="hidden units",
        ylabel="training cost (nats)",
    )
    ax.grid(axis="x", visible=False)


def _errors(ax: Axes, regression: dict[str, np.ndarray]) -> None:
    columns = {"guessing\nthe mean": regression["mean"]}
    columns |= {name: regression["error"][:, i] for i, name in enumerate(OUTPUTS) if i < 4}
    for place, (name, error) in enumerate(columns.items()):
        scatter = place + np.linspace(-0.22, 0.22, len(error))
        marker, colour = ("s", COLOURS[3]) if "ReLU" in name else ("o", COLOURS[2])
        ax.plot(scatter, error, marker, color=colour, markersize=4, alpha=0.7)
        ax.plot([place - 0.35, place + 0.35], 2 * [error.mean()], color=INK)
    labels = [name.replace(", ", ",\nb = ") for name in columns]
    ax.set_xticks(range(len(columns)), labels=labels, fontsize=9)
    dead = regression["error"][:, -1].mean()
    text = f"ReLU below 0 for all at first\nstays there: {dead:.0f}"
    ax.text(0.98, 0.97, text, ha="right", va="top", transform=ax.transAxes)
    ax.set(
        title=f"Diabetes: output and its start, {len(regression['mean'])} seeds",
        ylabel="test error (RMS, progression units)",
        ylim=(40, 100),
    )
    ax.grid(axis="x", visible=False)


def claims(measurements: dict[str, Any]) -> list[Claim]:
    stack, clouds, regression = (measurements[n] for n in ("stack", "clouds", "regression"))
    gap = dict(zip(ARMS, (clouds["cost"][:, :, -1] - clouds["optimum"]).T, strict=True))
    error = dict(zip(OUTPUTS, regression["error"].T, strict=True))
    over = "(largest difference over its rounding bound, float64)"
    return [
        exact(
            f"A stack of five linear layers with biases is one linear map {over}.",
            stack["map_apart"],
            at_most(1),
        ),
        exact(
            f"jaxnet's stack of linear layers is the reference's {over}.",
            stack["reference_apart"],
            at_most(1),
        ),
        exact(
            "Newton's method ends at a critical point of logistic regression's cost on the clouds "
            "(‖∇J‖).",
            clouds["gradient"],
            at_most(1e-12),
        ),
        exact(
            "That point is the one minimum, so the clouds are not separable (smallest eigenvalue "
            "of the Hessian).",
            clouds["curvature"],
            above(1e-6),
        ),
        *(
            statistical(
                f"Linear hidden layers of {name} reach the optimum of logistic regression (cost "
                "above it, nats).",
                gap[name],
                between(-1e-12, 1e-6),
            )
            for name in ("3 units", "6 units", "3 and 3 units")
        ),
        *(
            statistical(
                f"A linear hidden layer of {name}, fewer than K − 1, stays above the optimum of "
                "logistic regression (cost above it, nats).",
                gap[name],
                at_least(0.01),
            )
            for name in ("1 unit", "2 units")
        ),
        statistical(
            "With tanh in place of the linear activation the network goes below the optimum of "
            "logistic regression (cost above it, nats).",
            gap["6 units, tanh"],
            at_most(-0.01),
        ),
        statistical(
            "A linear output learns the positive targets of diabetes: its test error is at most "
            "0.9 times that of guessing the mean.",
            error["linear, mean"] / regression["mean"],
            at_most(0.9),
        ),
        statistical(
            "A ReLU output does as well as a linear one, both started at the targets' mean (test "
            "error over test error, within 3 %).",
            error["ReLU, mean"] / error["linear, mean"],
            between(0.97, 1.03),
        ),
        statistical(
            "A ReLU output does as well as a linear one, both started at 0 (test error over test "
            "error, within 3 %).",
            error["ReLU, 0"] / error["linear, 0"],
            between(0.97, 1.03),
        ),
        exact(
            "A ReLU output that starts below 0 for every example never learns: no bias moves in "
            "any run.",
            bool(regression["still"][:, list(OUTPUTS).index("ReLU, dead")].all()),
            TRUE,
        ),
    ]


if __name__ == "__main__":
    run_alone(__file__)
