"""Sigmoid, tanh, ReLU and leaky ReLU in the hidden layers, from 2 layers deep to 10.

Networks 16 units wide on breast cancer, mini-batches of 32, plain gradient descent. Every seed
draws its own 60/40 split, initial weights (variance 2/n_in for the ReLUs, 1/n_in for the others)
and order of the data. Each activation learns at an α that suits it. Four more arms start with
hidden biases of ±4: sigmoid and tanh are flat there, and many ReLUs dead. Depth and activation are
traced: all arms are one program, which skips the hidden layers that an arm does not have. Judges
the notes' advice on choosing an activation.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxnet import Dataset, Setup, losses, make_train, optimizers
from jaxnet.crosscheck import bounds, compare, layout
from jaxnet.data import datasets, normalization, splits
from jaxnet.layers import Layer
from reference_numpy import mlp as reference
from scripts.harness import (
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
from scripts.shallow._traced_network import DEEPEST, NAMES, WEIGHTS, hidden_statistics, network

TITLE = "Which activation to choose for the hidden layers"
NOTES_SECTION = "Activation Function"
NOTES_FIGURES = ()


class Arm(NamedTuple):
    """An activation, a number of layers, and what the hidden biases start at, ± in turn."""

    name: str
    depth: int
    shift: float = 0.0


LABELS = {"sigmoid": "sigmoid", "tanh": "tanh", "relu": "ReLU", "leaky_relu": "leaky ReLU"}
DEPTHS = (2, 4, 7, DEEPEST)
SHIFT = 4.0
ARMS = tuple(Arm(name, depth) for name in NAMES for depth in DEPTHS)
ARMS += tuple(Arm(name, 2, SHIFT) for name in NAMES)

BATCH_SIZE = 32
EPOCHS = 15

# α at 2 layers; L layers take 2/L of it. Of 0.1, 0.3, 1, 3, 10 and 30 it is the smallest whose
# training cost, averaged over a run, is within a tenth of the least; at 4 to 10 layers 2/L of it
# is within a factor of about 3 of the best.
RATES = {"sigmoid": 3.0, "tanh": 3.0, "relu": 1.0, "leaky_relu": 1.0}
SEEDS = 24

# The training cost is a mean over the last 10 updates, one pass over the data. Guessing costs
# at most log 2.
WINDOW = 10
TARGETS = (0.2, 0.1, 0.05)
GUESSING = float(np.log(2))
SHOWN = 7


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    study = _study(seed_keys(key, quick, seeds=SEEDS), epochs=5 if quick else EPOCHS)
    cost = _settled(study.pop("cost"))
    return study | {
        "cost": cost,
        "log_steps": np.mean([_log_steps(cost, target) for target in TARGETS], axis=0),
        "reference_apart": max(
            _reference_apart(arm, jax.tree.map(lambda leaf, a=a: leaf[a], study["shown"]))
            for a, arm in enumerate(ARMS)
        ),
    }


def _study(keys: jax.Array, *, epochs: int) -> dict[str, Any]:
    """Every arm for keys (members,).

    Returns, with leading axes (arms, members): the cost of every mini-batch; the test error; what
    `hidden_statistics` says at the start and at the end; and, of the first member only, what the
    reference is to repeat.
    """
    parts = datasets.load("breast_cancer")
    whole = Dataset(*(jnp.concatenate(arrays) for arrays in zip(*parts, strict=True)))
    arms = {
        "activation": jnp.array([NAMES.index(arm.name) for arm in ARMS]),
        "depth": jnp.array([arm.depth for arm in ARMS]),
        "shift": jnp.array([arm.shift for arm in ARMS]),
        "rate": jnp.array([RATES[arm.name] * 2 / arm.depth for arm in ARMS]),
    }

    def build(hyper):
        optimizer = optimizers.gradient_descent(hyper["rate"])
        return Setup(network(hyper), optimizer, losses.binary_cross_entropy)

    train = make_train(build, batch_size=BATCH_SIZE, epochs=epochs, drop_last=True)

    def member(arm, key, rows, draws):
        inputs = normalization.fit(whole.x[rows[0]])
        x = normalization.apply(inputs, whole.x)
        data, test = (Dataset(x[part], whole.y[part]) for part in rows)
        hyper = arm | {"draws": draws}
        model = network(hyper)
        run = train(key, hyper, data)
        ends = jax.tree.map(lambda *leaves: jnp.stack(leaves), model.init(key)[0], run.params)
        start_end = jax.lax.map(lambda params: hidden_statistics(params, data.x, arm), ends)
        logits, _ = model.apply(run.params, run.state, test.x)
        return {
            "cost": run.history["cost"].reshape(-1),
            "error": ((logits > 0) != test.y).mean(),
            "start_end": start_end,
            "shown": {"params": run.params, "x": test.x[:SHOWN], "logits": logits[:SHOWN]},
        }

    @jax.jit
    def run_all(keys):
        split_keys, draw_keys, run_keys = jax.vmap(lambda key: jax.random.split(key, 3))(keys).T
        rows = jax.vmap(lambda key: splits.split(key, len(whole.x), (0.6, 0.4)))(split_keys)
        draws = jax.lax.map(lambda key: jax.random.normal(key, (WEIGHTS,)), draw_keys)

        def one_arm(arm):
            members = jax.vmap(partial(member, arm))(run_keys, rows, draws)
            return members | {"shown": jax.tree.map(lambda leaf: leaf[0], members["shown"])}

        # Mapped over the arms: depth and activation are then one at a time, and the layers and
        # functions that an arm does not have are not computed.
        return jax.lax.map(one_arm, arms)

    return jax.device_get(run_all(keys))


def _settled(cost: np.ndarray) -> np.ndarray:
    """Mean of the last WINDOW costs along the last axis, each no more than that of guessing.

    A diverged run, NaN, has learnt nothing either and counts as guessing.
    """
    capped = np.where(cost < GUESSING, cost, GUESSING)
    return np.lib.stride_tricks.sliding_window_view(capped, WINDOW, axis=2).mean(axis=3)


def _log_steps(cost: np.ndarray, target: float) -> np.ndarray:
    """log₂ of the updates until the cost is down to the target, or of all if it never is."""
    reached = cost <= target
    first = np.where(reached.any(axis=2), reached.argmax(axis=2), cost.shape[2] - 1)
    return np.log2(first + WINDOW)


def _reference_apart(arm: Arm, shown: dict[str, Any]) -> float:
    """Largest difference over bound of the float32 logits and the reference's, after training."""
    first, middle, last = shown["params"]
    hidden = [first, *(Layer(w, b) for w, b in zip(middle.w, middle.b, strict=True))]
    pairs = layout.pairs([*hidden[: arm.depth - 1], last])
    pairs = [(W.astype(np.float64), b.astype(np.float64)) for W, b in pairs]
    X = layout.columns(shown["x"]).astype(np.float64)
    Z, _ = reference.forward(pairs, X, hidden=arm.name, output="linear")
    Zs, _ = bounds.forward(pairs, X, arm.name)
    bound = bounds.tolerance(Zs[-1].error, np.float32, np.float64)
    return compare(layout.target_row(shown["logits"]), Z, bound=bound).leaves[0].ratio


def draw(measurements: dict[str, Any]) -> Figure:
    figure, axes = new_figure(
        2,
        3,
        title="Sigmoid is slow and fails beyond four layers; tanh keeps pace with ReLU to ten",
        height=6.6,
    )
    styles: dict[str, Any] = dict(zip(NAMES, series(len(NAMES)), strict=True))
    cost = measurements["cost"]
    updates = np.arange(cost.shape[2]) + WINDOW
    for name in NAMES:
        label = LABELS[name]
        spread(axes[0, 0], updates, cost[_of(name, 2)], label=label, **styles[name])
    for name, shift, label in (
        ("sigmoid", 0.0, "sigmoid, b = 0"),
        ("sigmoid", SHIFT, "sigmoid, b = ±4"),
        ("tanh", 0.0, "tanh, b = 0"),
        ("tanh", SHIFT, "tanh, b = ±4"),
    ):
        style = {"color": styles[name]["color"], "linestyle": ":" if shift else "-"}
        spread(axes[0, 2], updates, cost[_of(name, 2, shift)], label=label, **style)
    for ax, title in ((axes[0, 0], "2 layers"), (axes[0, 2], "Saturated start, 2 layers")):
        ax.axhline(TARGETS[-1], color="0.4", linewidth=1)
        ax.set(title=title, xlabel="updates", ylabel="training cost (nats)", yscale="log")
        ax.legend(loc="upper right", fontsize=9)

    end = {name: value[:, :, 1] for name, value in measurements["start_end"].items()}
    for name in NAMES:
        style = styles[name]
        _by_depth(axes[0, 1], name, end["mean"], **style)
        _by_depth(axes[1, 0], name, cost[:, :, -1], **style)
        _by_depth(axes[1, 2], name, 100 * measurements["error"], **style)
        if "relu" in name:
            _by_depth(axes[1, 1], name, 100 * end["never_active"], **style)
    axes[0, 1].set(title="Outputs of hidden units", ylabel="mean after training (no unit)")
    axes[1, 0].set(title="Where training ends", ylabel="training cost (nats)", yscale="log")
    axes[1, 1].set(title="Units never active", ylabel="share after training (%)", ylim=(0, None))
    axes[1, 2].set(title="Test error", ylabel="test error (%)", yscale="log")
    axes[1, 2].set_yticks([2, 5, 10, 20, 40], labels=[2, 5, 10, 20, 40])
    axes[1, 2].minorticks_off()
    for ax in (axes[0, 1], *axes[1]):
        ax.set_xticks(DEPTHS)
        ax.set_xlabel("layers")
    axes[1, 1].legend(loc="upper left", fontsize=9)
    count = cost.shape[1]
    figure.supxlabel(f"lines: median of {count} seeds; bands: their middle half", fontsize=10)
    return figure


def _of(name: str, depth: int, shift: float = 0.0) -> int:
    return ARMS.index(Arm(name, depth, shift))


def _depths(name: str, values: np.ndarray) -> np.ndarray:
    """Of values (arms, seeds) those of an activation by depth, (seeds, depths)."""
    return np.stack([values[_of(name, depth)] for depth in DEPTHS], axis=1)


def _by_depth(ax: Axes, name: str, values: np.ndarray, **style: Any) -> None:
    spread(ax, DEPTHS, _depths(name, values), label=LABELS[name], **style)


def claims(measurements: dict[str, Any]) -> list[Claim]:
    start, end = (
        {name: value[:, :, side] for name, value in measurements["start_end"].items()}
        for side in (0, 1)
    )
    cost = measurements["cost"][:, :, -1]
    error = measurements["error"]

    def more_steps(slow: int, fast: int) -> np.ndarray:
        return measurements["log_steps"][slow] - measurements["log_steps"][fast]

    def growth(name: str, values: np.ndarray) -> np.ndarray:
        """Slope over the number of layers of what `name` has above ReLU, (seeds,)."""
        layers = np.array(DEPTHS) - np.mean(DEPTHS)
        advantage = _depths(name, values) - _depths("relu", values)
        return (advantage * layers).sum(axis=1) / (layers**2).sum()

    targets = ", ".join(map(str, TARGETS))
    measure = f"(log₂ of the ratio of updates to a training cost of {targets}, averaged)"
    censored = "A cost that is not reached counts as reached at the end, which favours sigmoid."
    dead_start = _of("relu", 2, SHIFT), _of("leaky_relu", 2, SHIFT)
    return [
        exact(
            "The traced network is the reference's network of that activation and depth (largest "
            "difference over its rounding bound, float32, all arms after training).",
            measurements["reference_apart"],
            at_most(1),
        ),
        statistical(
            f"tanh needs fewer updates than sigmoid at 2 layers {measure}.",
            more_steps(_of("sigmoid", 2), _of("tanh", 2)),
            above(0),
        ),
        statistical(
            f"tanh needs fewer updates than sigmoid at 4 layers {measure}.",
            more_steps(_of("sigmoid", 4), _of("tanh", 4)),
            above(0),
            note=censored,
        ),
        statistical(
            "The hidden outputs of tanh are centred (mean over examples, units and depths, after "
            "training).",
            _depths("tanh", end["mean"]).mean(axis=1),
            between(-0.1, 0.1),
        ),
        statistical(
            "The hidden outputs of sigmoid are not centred (the same mean).",
            _depths("sigmoid", end["mean"]).mean(axis=1),
            at_least(0.3),
        ),
        statistical(
            "Each tanh unit by itself is centred (root mean square over units of a unit's mean, "
            "after training).",
            _depths("tanh", end["unit_mean"]).mean(axis=1),
            at_most(0.1),
            expected="refuted",
            note="The units are centred only together; in training the means of single units "
            "drift to either side.",
        ),
        statistical(
            f"Saturation slows tanh: it needs more updates from hidden biases of ±4 than from 0 "
            f"{measure}.",
            more_steps(_of("tanh", 2, SHIFT), _of("tanh", 2)),
            above(0),
        ),
        statistical(
            f"Saturation slows sigmoid: it needs more updates from hidden biases of ±4 than from 0 "
            f"{measure}.",
            more_steps(_of("sigmoid", 2, SHIFT), _of("sigmoid", 2)),
            above(0),
        ),
        statistical(
            f"ReLU's advantage over sigmoid in speed grows with depth, by 0.05 a layer or more "
            f"{measure}.",
            growth("sigmoid", measurements["log_steps"]),
            at_least(0.05),
            note=censored,
        ),
        statistical(
            f"ReLU's advantage over tanh in speed grows with depth, by 0.05 a layer or more "
            f"{measure}.",
            growth("tanh", measurements["log_steps"]),
            at_least(0.05),
            expected="refuted",
            note="Started with variance 1/n_in, tanh carries signal and gradient through ten "
            "layers as fast; only sigmoid's slope of at most ¼ vanishes.",
        ),
        statistical(
            "ReLU's advantage over tanh in the training cost that 150 updates end at grows with "
            "depth (log₂ of the ratio, a layer).",
            growth("tanh", np.log2(cost)),
            above(0),
        ),
        statistical(
            "ReLU leaves dead units, without slope on any training example, at 10 layers (share "
            "after training); leaky ReLU has slope everywhere and none.",
            end["never_active"][_of("relu", 10)],
            at_least(0.01),
        ),
        statistical(
            "Leaky ReLU revives units: from hidden biases of ±4 five points fewer than with ReLU "
            "stay without a positive output on any training example.",
            end["never_active"][dead_start[0]] - end["never_active"][dead_start[1]],
            at_least(0.05),
            expected="refuted",
            note="A slope of 0.01 moves a dead unit a hundred times more slowly than a live one, "
            "too slowly to bring it back within a training run.",
        ),
        statistical(
            "The dead half of ReLU costs nothing: its test error, averaged over 2 to 10 layers, is "
            "at most one point above leaky ReLU's in the median.",
            (_depths("relu", error) - _depths("leaky_relu", error)).mean(axis=1),
            at_most(0.01),
            method="bootstrap",
            statistic=np.median,
            note="The median, since now and then a run of either kind breaks down at 10 layers.",
        ),
        statistical(
            "Even where a tenth of the ReLUs or more start dead (biases of ±4), the test error is "
            "at most one point above leaky ReLU's.",
            error[dead_start[0]] - error[dead_start[1]],
            at_most(0.01),
        ),
        statistical(
            "From hidden biases of ±4 a tenth of the ReLUs or more start dead.",
            start["never_active"][dead_start[0]],
            at_least(0.1),
        ),
    ]


if __name__ == "__main__":
    run_alone(__file__)
