"""The four activation functions, their derivatives, and what is at the kink.

Sigmoid, tanh, ReLU and leaky ReLU on [−10, 10] with their derivatives: the reference's formulas,
jax.grad, and differences in 60-digit arithmetic, in float64 and away from kinks. Then the value
that each framework takes for ReLU′(0) and leaky ReLU′(0). Then what that choice does to a
64-32-10 network trained on the digits with ReLU′(0) = 0, ½ and 1: in float32, where hardly any z
is ever exactly 0; with z rounded to eighths, as in 8-bit fixed point, where many are; and from
W[1] = 0, where all are. Answers figures 23 and 24 of the notes.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxnet import Dataset, Model, Setup, evaluate, make_train, mlp, models, optimizers
from jaxnet.activations import ACTIVATIONS
from jaxnet.crosscheck import bounds, compare, oracle
from jaxnet.data import datasets, splits
from reference_numpy import activations as reference
from scripts.harness import (
    COLOURS,
    INK,
    TRUE,
    Claim,
    above,
    at_most,
    between,
    exact,
    new_figure,
    not_run,
    run_alone,
    seed_keys,
    series,
    statistical,
)
from scripts.shallow._slopes_at_zero import DOCUMENTED, SLOPE, slopes_at_zero

TITLE = "Four activation functions, their derivatives, and the kink"
NOTES_SECTION = "Derivatives of activation functions"
NOTES_FIGURES = (23, 24)

NAMES = ("sigmoid", "tanh", "relu", "leaky_relu")
LABELS = ("sigmoid", "tanh", "ReLU", "leaky ReLU")

# A product of two σ of 3 ulp each, which may double beside the result's ulp, and little room.
FEW_ULP = 8.0

CHOICES = (0.0, 0.5, 1.0)
# Name, step that z is rounded to (0 for none), factor on the He weights that W[1] starts with.
CASES = (("float32", 0.0, 1.0), ("z in eighths", 1 / 8, 1.0), ("W[1] = 0 at first", 0.0, 0.0))
SIZES = (64, 32, 10)
LEARNING_RATE = 0.3


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    z = np.linspace(-10, 10, 100 if quick else 400)  # an even number of points: 0 is not one
    return {
        "z": z,
        "derivatives": _derivatives(z),
        "at_zero": {name: slopes_at_zero(name) for name in DOCUMENTED},
        "training": _training(seed_keys(key, quick), epochs=5 if quick else 30),
    }


def _derivatives(z: np.ndarray) -> dict[str, dict[str, Any]]:
    """Of each function: values, derivatives by three ways, each (points,), and their errors."""
    with jax.enable_x64(True):
        gradients = jax.device_get(jax.jit(_all_gradients)(jnp.asarray(z)))
    measured = {}
    for name in NAMES:
        g, g_derivative = reference.ACTIVATIONS[name]
        analytic, by_jax = g_derivative(z), gradients[name]
        precise = oracle.activation_derivative(name, z, slope=SLOPE)
        error = bounds.derivative(name, bounds.bounded(z)).error
        measured[name] = {
            "value": g(z),
            "analytic": analytic,
            "analytic_apart": _apart(analytic, precise, error, np.float64),
            "jax_apart": _apart(by_jax, precise, error, np.float64),
            "both_apart": _apart(analytic, by_jax, error, np.float64, np.float64),
            "analytic_ulp": np.abs(analytic - precise) / np.spacing(precise),
        }
    printed = 1 - reference.tanh(z) ** 2
    precise = oracle.activation_derivative("tanh", z)
    measured["tanh"]["printed_ulp"] = np.abs(printed - precise) / np.spacing(precise)
    return measured


def _all_gradients(z: jax.Array) -> dict[str, jax.Array]:
    return {name: jax.vmap(jax.grad(ACTIVATIONS[name]))(z) for name in NAMES}


def _apart(left: np.ndarray, right: np.ndarray, error: np.ndarray, *dtypes: Any) -> float:
    """Largest difference over its rounding bound; 1 or less agrees."""
    return compare(left, right, bound=bounds.tolerance(error, *dtypes)).leaves[0].ratio


def _training(keys: jax.Array, *, epochs: int) -> dict[str, np.ndarray]:
    """For each seed, case and choice at 0: test error; whether the weights differ from those at
    choice 0; share of hidden z that are exactly 0 at the end."""
    parts = datasets.load("digits")
    whole = Dataset(*(jnp.concatenate(arrays) for arrays in zip(*parts, strict=True)))
    arms = [(step, start, choice) for _, step, start in CASES for choice in CHOICES]
    hyper = dict(zip(("step", "start", "at_zero"), jnp.array(arms).T, strict=True))

    def setup(hyper):
        return Setup(_network(hyper), optimizers.gradient_descent(LEARNING_RATE))

    train = make_train(setup, batch_size=64, epochs=epochs, drop_last=True)

    def one_arm(hyper, key, data, test):
        run = train(key, hyper, data)
        model = _network(hyper)
        z = models.forward_pass(run.params, run.state, data.x).zs[0]
        zeros = _rounded(z, hyper["step"]) == 0
        return {
            "error": evaluate(model, run.params, run.state, test).error,
            "zeros": zeros.mean(),
            "params": run.params,
        }

    def one_seed(key):
        split_key, run_key = jax.random.split(key)
        data, test = (
            Dataset(whole.x[rows], whole.y[rows])
            for rows in splits.split(split_key, len(whole.x), (0.6, 0.4))
        )
        arms = jax.vmap(one_arm, in_axes=(0, None, None, None))(hyper, run_key, data, test)
        shape = (len(CASES), len(CHOICES))
        leaves = [leaf.reshape(*shape, -1) for leaf in jax.tree.leaves(arms.pop("params"))]
        changed = [(leaf != leaf[:, :1]).any(axis=2) for leaf in leaves]
        arms = {name: value.reshape(shape) for name, value in arms.items()}
        return arms | {"changed": jnp.stack(changed).any(axis=0)}

    # Mapped rather than vmapped over seeds: as fast here, and half as long to compile.
    return jax.device_get(jax.jit(lambda keys: jax.lax.map(one_seed, keys))(keys))


def _network(hyper: dict[str, jax.Array]) -> Model:
    """ReLU network with ReLU′(0) = hyper["at_zero"], whose z are rounded to hyper["step"] and whose
    W[1] starts at hyper["start"] times He's; all may be traced."""
    plain = mlp(SIZES)

    def init(key):
        (hidden, output), state = plain.init(key)
        return (hidden._replace(w=hyper["start"] * hidden.w), output), state

    def activation(z):
        z = _rounded(z, hyper["step"])
        return jnp.where(z > 0, z, jnp.where(z == 0, hyper["at_zero"] * z, 0))

    def apply(params, state, x, *, key=None, train=False):
        del key, train
        return models.forward_pass(params, state, x, activation=activation).zs[-1], state

    return Model(init, apply)


def _rounded(z: jax.Array, step: jax.Array) -> jax.Array:
    """z to the nearest multiple of step, with derivative 1; z itself for step 0."""
    unit = jnp.where(step > 0, step, 1)
    off = jnp.round(z / unit) * unit - z
    return z + jax.lax.stop_gradient(jnp.where(step > 0, off, 0))


def draw(measurements: dict[str, Any]) -> Figure:
    figure, axes = new_figure(
        2,
        2,
        title="Slopes die out or stay 1; which slope ReLU has at 0 matters only from a zero start",
        height=7.4,
    )
    z, near = measurements["z"], np.abs(measurements["z"]) < 5
    for index, style in enumerate(series(len(NAMES))):
        of = measurements["derivatives"][NAMES[index]]
        axes[0, 0].plot(z[near], of["value"][near], label=LABELS[index], **style)
        _pieces(axes[0, 1], z[near], of["analytic"][near], style)
    axes[0, 1].plot([0, 0, 0], CHOICES, "o", color="white", markeredgecolor=INK)
    axes[0, 1].annotate(
        "ReLU′(0):\n0, ½ or 1", (0.1, 0.5), xytext=(2.2, 0.6), va="center",
        arrowprops={"arrowstyle": "-", "color": INK},
    )  # fmt: skip
    axes[0, 0].set(
        title="Functions", xlabel="z (no unit)", ylabel="a = g(z) (no unit)", ylim=(-1.3, 3)
    )
    axes[0, 1].set(title="Derivatives", xlabel="z (no unit)", ylabel="g′(z) (no unit)")
    axes[0, 0].legend(loc="upper left")
    _table(axes[1, 0], measurements["at_zero"])
    _differences(axes[1, 1], measurements["training"])
    return figure


def _pieces(ax: Axes, z: np.ndarray, slope: np.ndarray, style: dict[str, Any]) -> None:
    """A derivative with a jump at 0 is drawn in two pieces."""
    if np.ptp(slope) > 0.9 and np.unique(slope).size == 2:
        ax.plot(z[z < 0], slope[z < 0], **style)
        ax.plot(z[z > 0], slope[z > 0], **style)
    else:
        ax.plot(z, slope, **style)


def _table(ax: Axes, at_zero: dict[str, Any]) -> None:
    ax.set_title("The slope taken at z = 0")
    ax.axis("off")
    columns = (0.02, 0.5, 0.72, 0.95)
    rows: list[tuple[str, ...]] = [("", "ReLU", "leaky", "max(0, z)")]
    rows.append(("notes, figure 24", "1", "1", ""))
    for name in DOCUMENTED:
        if at_zero[name] is None:
            rows.append((name, "not run", "", ""))
        else:
            rows.append((name, *("–" if v is None else f"{v:g}" for v in at_zero[name])))
    heights = np.linspace(0.95, 0.05, len(rows))
    for height, row in zip(heights, rows, strict=True):
        for x, text, align in zip(columns, row, ("left", *3 * ("center",)), strict=True):
            weight = "bold" if height == heights[0] else "normal"
            ax.text(x, height, text, ha=align, va="center", weight=weight)
    for above_row in (0, 1):
        line = heights[above_row : above_row + 2].mean()
        ax.plot([0, 1.05], [line, line], color=INK, linewidth=1 if above_row == 0 else 0.5)
    ax.set(xlim=(0, 1.08), ylim=(0, 1))


def _differences(ax: Axes, training: dict[str, np.ndarray]) -> None:
    """Test error with ReLU′(0) = ½ and 1 less that with 0, one dot a seed, and the mean."""
    differences = 100 * (training["error"] - training["error"][:, :, :1])
    zeros = 100 * training["zeros"].mean(axis=(0, 2))
    places, labels = [], []
    for case, (name, _, start) in enumerate(CASES):
        if start == 0:
            break
        for choice in (1, 2):
            place = 2.6 * case + choice
            seeds = differences[:, case, choice]
            scatter = np.linspace(-0.25, 0.25, len(seeds))
            colour = COLOURS[2] if choice == 1 else COLOURS[3]
            ax.plot(place + scatter, seeds, "os"[choice - 1], color=colour, markersize=4, alpha=0.7)
            ax.plot([place - 0.35, place + 0.35], 2 * [seeds.mean()], color=INK)
            places.append(place)
            labels.append("½" if choice == 1 else "1")
        text = f"{name}:\n{zeros[case]:.2g} % of z are 0"
        ax.text(0.25 + 0.5 * case, 0.96, text, ha="center", va="top", transform=ax.transAxes)
    drop = differences[:, -1, 2].mean()
    text = f"W[1] = 0 at first, so all z are 0:\n{drop:.0f} points with ReLU′(0) = 1"
    text = text.replace("-", "−")
    ax.text(0.5, 0.04, text, ha="center", va="bottom", transform=ax.transAxes)
    ax.axhline(0, color="0.4", linewidth=1)
    ax.set_xticks(places, labels=labels)
    ax.set(
        title=f"Trained on digits: {len(differences)} seeds, mean",
        xlabel="ReLU′(0)",
        ylabel="test error less that with\nReLU′(0) = 0 (points)",
        xlim=(0.2, 5.4),
    )
    limit = 2 * max(1, np.abs(differences[:, :2]).max())
    ax.set_ylim(-limit, limit)
    ax.grid(axis="x", visible=False)


def claims(measurements: dict[str, Any]) -> list[Claim]:
    derivatives, training = measurements["derivatives"], measurements["training"]
    error, changed = training["error"], training["changed"]
    effect = error[:, :, 2] - error[:, :, 0]
    worst = {
        name: max(derivatives[g][name] for g in NAMES)
        for name in ("analytic_apart", "jax_apart", "both_apart")
    }
    relus = [slopes[0] for slopes in measurements["at_zero"].values() if slopes is not None]
    over = "(largest difference over its rounding bound, four functions, float64, |z| ≤ 10)"
    return [
        exact(
            f"The reference's derivatives equal high precision away from kinks {over}.",
            worst["analytic_apart"],
            at_most(1),
        ),
        exact(
            f"jax.grad of jaxnet's functions equals high precision away from kinks {over}.",
            worst["jax_apart"],
            at_most(1),
        ),
        exact(
            f"The reference's derivatives equal jax.grad away from kinks {over}.",
            worst["both_apart"],
            at_most(1),
        ),
        exact(
            "σ(z) σ(−z) and 4 σ(2z) σ(−2z), the reference's σ′ and tanh′, are right to a few ulp.",
            max(derivatives[name]["analytic_ulp"].max() for name in ("sigmoid", "tanh")),
            at_most(FEW_ULP),
        ),
        exact(
            "tanh′ = 1 − a², as figure 24 prints it, is right to a few ulp.",
            derivatives["tanh"]["printed_ulp"].max(),
            at_most(FEW_ULP),
            expected="refuted",
            note="Where |z| is large a² is nearly 1 and the subtraction cancels; the error is "
            "tiny beside 1 but not beside tanh′.",
        ),
        *(_convention(name, measurements["at_zero"][name]) for name in DOCUMENTED),
        exact(
            "ReLU′(0) = 1, as figure 24 prints it, is what frameworks compute (largest of those "
            "that ran).",
            max(relus),
            between(1, 1),
            expected="refuted",
            note="It is a convention, and theirs is 0; the notes' text allows either.",
        ),
        statistical(
            "In float32 a network trained with ReLU′(0) = 1 has the test error of one trained "
            "with 0, within half a point.",
            effect[:, 0],
            between(-0.005, 0.005),
        ),
        statistical(
            "In float32 the trained weights are the same bit for bit, ReLU′(0) being 1 or 0, in "
            "most runs (share of seeds in which they differ).",
            changed[:, 0, 2],
            at_most(0.5),
        ),
        statistical(
            "With z rounded to eighths some z are exactly 0 (share of them after training).",
            training["zeros"][:, 1, 0],
            above(0.001),
        ),
        statistical(
            "With z rounded to eighths too, ReLU′(0) = 1 has the test error of 0, within one "
            "point.",
            effect[:, 1],
            between(-0.01, 0.01),
        ),
        statistical(
            "From W[1] = 0 too, ReLU′(0) = 1 has the test error of 0, within one point.",
            effect[:, 2],
            between(-0.01, 0.01),
            expected="refuted",
            note="Every z is exactly 0 there, and a slope of 0 lets no gradient through: the "
            "hidden layer never learns.",
        ),
    ]


def _convention(name: str, found: tuple[float | None, ...] | None) -> Claim:
    functions = ("ReLU′(0)", "leaky ReLU′(0)", "max(0, z)′ at 0")
    values = [
        f"{function} = {value:g}"
        for function, value in zip(functions, DOCUMENTED[name], strict=True)
        if value is not None
    ]
    text = f"{name} takes {', '.join(values)}."
    if found is None:
        backend = " with KERAS_BACKEND=jax" if name == "keras" else ""
        needs = f"{name}{backend} (pip install 'jaxnet-suite[compare]')"
        return not_run(text, "exact", needs, TRUE)
    wanted = [v for v in DOCUMENTED[name] if v is not None]
    got = [v for v in found if v is not None]
    return exact(text, bool(np.allclose(got, wanted, rtol=1e-6, atol=0)), TRUE)


if __name__ == "__main__":
    run_alone(__file__)
