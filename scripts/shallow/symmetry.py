"""Hidden weights through training from equal, zero and random starts, and from scales 10⁻⁴ to 10.

A network of one hidden layer (tanh, sigmoid or ReLU) is trained by full-batch gradient descent on
the six-petal flower, in float64, from planted starts: everything zero; everything ½; equal units
(one random row for all of them, b1 and W2 equal as well); equal rows with unequal W2; everything
random. Each step's parameters are kept, so that the distance between the units can be followed and
set against a bound derived from rounding alone. Computing every unit with the same loop body
instead of one matrix product shows when they stay equal to the last bit. Then the scale of the
random start, at one learning rate for all of them, on breast cancer, which a straight line nearly
separates, and on the flower, which no line does; zero against random biases; and logistic
regression from zero. Answers figure 30 of the notes and the text around it.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from jaxnet.data import Dataset, datasets
from jaxnet.layers import Layer
from jaxnet.losses import binary_cross_entropy
from jaxnet.models import Model, logistic_regression
from jaxnet.optimizers import gradient_descent
from jaxnet.training import Setup, make_train
from scripts.harness import (
    Claim,
    above,
    at_most,
    below,
    between,
    exact,
    new_figure,
    run_alone,
    seed_keys,
    series,
    spread,
    statistical,
)
from scripts.shallow._planted import (
    ACTIVATIONS,
    EQUAL,
    EXAMPLES,
    STARTS,
    UNITS,
    draws,
    network,
    planted,
    stack,
    train_from,
)

TITLE = "Equal units stay equal, and the scale of a random start matters"
NOTES_SECTION = "Random initialization"
NOTES_FIGURES = (30,)

# Class 1 is a quarter of the flower: cost of the best constant predictor.
BASE_COST = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))

# How the notes initialise the network of figure 30.
PRINTED_CODE = (
    "W_1 = np.random.randn((2,2))*0.01",
    "b_1 = np.zero((2,1))",
    "W_2 = np.random.randn((1,2))*0.01",
    "b_2 = 0",
)

SCALES = (1e-4, 1e-2, 1e-1, 1.0, 10.0)
TASKS = {"breast cancer": 0.05, "the flower": 1.0}  # name -> learning rate


class Arm(NamedTuple):
    """Number of the activation; W1, b1 and W2 are standard normal draws times these scales."""

    kind: int
    w1: float
    b1: float
    w2: float


ARMS = {
    **{(name, s): Arm(kind, s, 0, s) for kind, name in enumerate(ACTIVATIONS) for s in SCALES},
    **{("ReLU, W2 at 0.01", s): Arm(2, s, 0, 0.01) for s in SCALES},
    **{(name, "random b"): Arm(kind, 1, 1, 1) for kind, name in enumerate(ACTIVATIONS)},
}


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    split_key, draw_key = jax.random.split(key)
    drawn = jax.tree.map(np.asarray, draws(seed_keys(draw_key, quick)))
    cancer = datasets.load("breast_cancer", key=split_key).train
    cancer = Dataset(cancer.x[: 2 * EXAMPLES], cancer.y[: 2 * EXAMPLES])
    steps = 100 if quick else 400
    normal = drawn["normal"]
    return {
        "printed_code": np.array([_runs(statement) for statement in PRINTED_CODE]),
        "planted": planted(drawn, 100 if quick else 200),
        "logistic": _logistic(normal, cancer, steps),
        "scales": {
            "breast cancer": _scales("breast cancer", normal, cancer, steps),
            "the flower": _scales("the flower", normal, drawn["lopsided"], steps),
        },
    }


def _runs(statement: str) -> bool:
    try:
        exec(statement, {"np": np})
    except (TypeError, AttributeError):
        return False
    return True


def _scales(name: str, normal: np.ndarray, data: Dataset, steps: int) -> np.ndarray:
    """Cost of every arm (arm, seed, step), each from the seed's own draw."""
    n_in = data.x.shape[-1]
    train = train_from(network, TASKS[name], steps)

    def run(arm, normal, data):
        w1, b1, w2 = arm.w1 * normal[:n_in], arm.b1 * normal[30], arm.w2 * normal[31]
        start = (Layer(w1, b1), Layer(w2[:, None], jnp.zeros(1)))
        return train(jax.random.key(0), (start, arm.kind), data).history["cost"][:, 0]

    over_seeds = jax.vmap(run, (None, 0, 0 if data.x.ndim == 3 else None))
    program = jax.jit(jax.vmap(over_seeds, (0, None, None)))
    arms = jax.tree.map(lambda *column: np.array(column), *ARMS.values())
    return np.asarray(program(arms, normal, data))


def _logistic(normal: np.ndarray, data: Dataset, steps: int) -> np.ndarray:
    """Cost of logistic regression (seed, start, step) from zero and from standard normal w."""
    model = logistic_regression(data.x.shape[1])

    def build(start):
        model_from_start = Model(lambda key: (start, ()), model.apply)
        return Setup(model_from_start, gradient_descent(1.0), binary_cross_entropy)

    train = make_train(build, batch_size=None, epochs=steps)

    @jax.jit
    @jax.vmap
    def program(w):
        (zero,), _ = model.init(jax.random.key(0))
        starts = stack([(zero,), (zero._replace(w=w[:, None]),)])
        return jax.vmap(lambda start: train(jax.random.key(0), start, data).history["cost"])(starts)

    return np.asarray(program(normal[:, : data.x.shape[1], 0]))[..., 0]


def draw(measurements: dict[str, Any]) -> Figure:
    figure, axes = new_figure(
        2,
        3,
        height=7.4,
        title="Equal units never part; random ones do, and how fast depends on the scale",
    )
    _draw_weights(axes[0], measurements["planted"])
    _draw_gap(axes[1, 0], measurements["planted"])
    for ax, name in zip(axes[1, 1:], TASKS, strict=True):
        _draw_scales(ax, measurements["scales"][name], name)
    return figure


def _draw_weights(axes: Any, paths: dict[str, Any]) -> None:
    """The weight of input 1 to every unit, for seed 0."""
    weights = paths["hidden_w"][0, ..., 0, :]  # (start, activation, step, unit)
    together, unequal, random = axes
    shown = (
        ("equal units", 0, "equal, tanh"),
        ("zeros", 0, "zeros, tanh"),
        ("zeros", 1, "zeros, sigmoid"),
    )
    for (start, kind, label), style in zip(shown, series(3), strict=True):
        lines = together.plot(weights[STARTS.index(start), kind], **style)
        lines[0].set_label(label)
    together.set(
        title=f"Equal starts: {UNITS} units, one line", ylabel="weight of input 1 (no unit)"
    )
    together.legend(loc="best", fontsize=9)
    for ax, start, title in (
        (unequal, "unequal W2", "tanh: only W2 unequal"),
        (random, "random", "tanh: random start"),
    ):
        for unit, style in zip(range(UNITS), series(UNITS), strict=True):
            ax.plot(weights[STARTS.index(start), 0, :, unit], **style)
        ax.set(title=title)
    for ax in axes:
        ax.set_xlabel("step")


def _draw_gap(ax: Any, paths: dict[str, Any]) -> None:
    equal, unequal = EQUAL.index("equal units"), STARTS.index("unequal W2")
    steps = np.arange(paths["gap"].shape[-1])
    shown = {
        "only W2 unequal": paths["gap"][:, unequal, 0],
        "equal: rounding bound": paths["bound"][:, equal, 0],
        "equal: measured": paths["gap"][:, equal, 0],
    }
    floor = 1e-17  # 0 has no place on a logarithmic axis
    for (label, values), style in zip(shown.items(), series(3), strict=True):
        spread(ax, steps[1:], np.maximum(values[:, 1:], floor), label=label, band="range", **style)
    ax.set(
        title="tanh: how far units part, all seeds",
        xlabel="step",
        ylabel="distance (no unit)",
        yscale="log",
        ylim=(floor, 1e3),
    )
    ax.legend(loc="center left", bbox_to_anchor=(0, 0.62), fontsize=9)


def _draw_scales(ax: Any, costs: np.ndarray, name: str) -> None:
    arms = list(ARMS)
    for group, style in zip((*ACTIVATIONS, "ReLU, W2 at 0.01"), series(4), strict=True):
        rows = [arms.index((group, scale)) for scale in SCALES]
        spread(ax, SCALES, costs[rows, :, -1].T, label=group, marker="o", **style)
    ax.set(
        title=f"{name.capitalize()}, {costs.shape[-1]} steps",
        xlabel="scale of the random start",
        ylabel="cost (nats), quartiles",
        xscale="log",
        yscale="log",
    )
    if name == "the flower":
        ax.axhline(BASE_COST, color="0.5", linewidth=1)
        ax.annotate(
            "best constant",
            (SCALES[-1], BASE_COST),
            xytext=(0, 4),
            textcoords="offset points",
            ha="right",
            fontsize=9,
        )
    else:
        ax.legend(loc="upper left", fontsize=9)


def claims(measurements: dict[str, Any]) -> list[Claim]:
    return [
        *_symmetry_claims(measurements["planted"]),
        exact(
            "The notes' code for the random start runs as printed (share of its statements).",
            measurements["printed_code"].mean(),
            between(1, 1),
            expected="refuted",
            note="randn takes its sizes as separate arguments, and NumPy has zeros, not zero.",
        ),
        *_harmless_claims(measurements),
        *_scale_claims(measurements["scales"]),
    ]


def _symmetry_claims(paths: dict[str, Any]) -> list[Claim]:
    zeros, unequal = STARTS.index("zeros"), STARTS.index("unequal W2")
    silent = [ACTIVATIONS.index("tanh"), ACTIVATIONS.index("ReLU")]
    lively = ACTIVATIONS.index("sigmoid")
    hidden, output = paths["hidden_w"], paths["output_w"]
    gap, bound = paths["gap"][:, : len(EQUAL)], paths["bound"]
    stuck = max(np.abs(w[:, zeros, silent]).max() for w in (hidden, output))
    first = hidden[:, unequal, :, 1] - hidden[:, unequal, :, 0]
    parted = np.ptp(first, axis=-1).max(axis=-1) / np.abs(first).max(axis=(-2, -1))
    ending = paths["cost"][:, :, :, -1]
    advantage = ending[:, EQUAL.index("equal units")] - ending[:, STARTS.index("random")]
    return [
        exact(
            "With equal rows in W1, equal b1 and equal W2 the hidden units stay equal to rounding: "
            "their distance never exceeds the derived bound (largest quotient).",
            _quotient(gap, bound),
            at_most(1),
        ),
        exact(
            "That bound is far below the weights, so it could be exceeded (largest value).",
            bound.max(),
            at_most(1e-3),
        ),
        exact(
            "Where every unit's sums are taken in the same order, they stay equal to the last bit "
            "(largest distance).",
            paths["gap_by_unit"].max(),
            between(0, 0),
        ),
        exact(
            "Equal rows and b1 with unequal W2 part at the first update (least spread of the "
            "rows' changes, relative to the largest change).",
            parted.min(),
            above(0.01),
        ),
        exact(
            "From all zeros the gradients of W1 and W2 are 0 at every step, with tanh and ReLU "
            "(largest weight reached).",
            stuck,
            between(0, 0),
        ),
        exact(
            "What is left of them is the bias b2: they end at the cost of the best constant "
            "(largest difference).",
            np.abs(paths["cost"][:, zeros, silent, -1] - BASE_COST).max(),
            at_most(1e-6),
        ),
        exact(
            "From all zeros a sigmoid network does move when the classes are unequal: W2 by "
            "½ α |mean(a − y)| = ⅛ at the first update (least move).",
            np.abs(output[:, zeros, lively, 1]).min(),
            between(0.125 - 1e-12, 0.125 + 1e-12),
        ),
        exact(
            "At its second update W1 moves too (least move).",
            np.abs(hidden[:, zeros, lively, 2]).max(axis=(-2, -1)).min(),
            above(1e-8),
        ),
        exact(
            "It stays symmetric all the same (largest distance of its units).",
            gap[:, zeros, lively].max(),
            at_most(1e-9),
        ),
        exact(
            "With equally many of both classes the gradient at all zeros is 0 with sigmoid too "
            "(largest component).",
            paths["balanced_gradient"],
            at_most(1e-15),
        ),
        statistical(
            "Equal units are a handicap that training does not overcome: their cost less that "
            "from the random start, tanh (nats).",
            advantage[:, 0],
            above(0.1),
        ),
        exact(
            "The reference's first update agrees, for every start and activation (largest "
            "difference).",
            paths["reference_error"],
            at_most(1e-13),
        ),
    ]


def _quotient(gap: np.ndarray, bound: np.ndarray) -> float:
    """Largest gap / bound; where nothing is rounded both are 0, and a gap over no bound is ∞."""
    allowed = np.where(bound > 0, bound, 1)
    return float(np.where(bound > 0, gap / allowed, np.where(gap > 0, np.inf, 0)).max())


def _harmless_claims(measurements: dict[str, Any]) -> list[Claim]:
    logistic = measurements["logistic"][..., -1]
    arms = list(ARMS)
    zero_b = [arms.index((name, 1.0)) for name in ACTIVATIONS]
    random_b = [arms.index((name, "random b")) for name in ACTIVATIONS]
    found = [
        statistical(
            "Logistic regression trains from zero: its cost less that from a random start, after "
            "as many steps on breast cancer (nats).",
            logistic[:, 0] - logistic[:, 1],
            at_most(0.01),
        )
    ]
    for name, costs in measurements["scales"].items():
        ending = costs[..., -1]
        found.append(
            statistical(
                f"Zero biases do no harm on {name}: cost less that from random biases, mean of "
                "three activations (nats).",
                (ending[zero_b] - ending[random_b]).mean(axis=0),
                at_most(0.02),
            )
        )
    return found


SADDLE = (
    "No line helps on the flower: a small start leaves the units nearly equal, and the cost waits "
    "at the constant predictor, while a large one spreads their bends from the beginning."
)
LARGE = (
    "From scale 10 the hidden outputs are in the tens: the cost starts or soon jumps far above "
    "log 2, and ends much higher after as many steps."
)


def _scale_claims(scales: dict[str, np.ndarray]) -> list[Claim]:
    arms = list(ARMS)

    def decades(name, group, scale, other):
        """log10 of the quotient of two arms' final costs, seed by seed."""
        one, two = (scales[name][arms.index((group, s)), :, -1] for s in (scale, other))
        return np.log10(one / two)

    found = []
    for group in ("tanh", "sigmoid"):
        for name in TASKS:
            refuted = name == "the flower"
            found.append(
                statistical(
                    f"{group} trains faster from scale 0.01 than from 10 on {name}: log10 of "
                    "the quotient of the costs after equally many steps.",
                    decades(name, group, 0.01, 10.0),
                    below(0),
                    expected="refuted" if refuted else "holds",
                    note=SADDLE if refuted else "",
                )
            )
    for group, weights in (("ReLU", "all weights"), ("ReLU, W2 at 0.01", "W1, with W2 at 0.01")):
        for name, scale, note in (("breast cancer", 0.1, LARGE), ("the flower", 1e-4, SADDLE)):
            found.append(
                statistical(
                    f"With ReLU the scale of {weights} needs no care on {name}: log10 of the "
                    f"quotient of the costs from scale 10 and from {scale}.",
                    decades(name, group, 10.0, scale),
                    between(-0.1, 0.1),
                    expected="refuted",
                    note=note,
                )
            )
    return found


if __name__ == "__main__":
    run_alone(__file__)
