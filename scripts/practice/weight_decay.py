"""L2 as weight decay: the same updates under gradient descent, others under Adam.

A 64-8-10 tanh network takes 1,000 full-batch steps on 200 digits in float64, from one start: with
the penalty in the cost; shrinking W by 1 − αλ/m and stepping with the gradient of the bare cost at
the unshrunk W; the same by optax and twice by the reference; and with the gradient at the shrunk W
instead. Then Adam with the penalty, Adam with the shrinking, and optax.adamw. Some pixels are 0 in
every image: their weights have no gradient but the penalty's, and show each rule by itself. Answers
figures 47 and 48 of the notes.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxnet import losses, mlp, optimizers, regularizers
from jaxnet.crosscheck import layout
from jaxnet.data import datasets, splits
from jaxnet.regularizers import is_weight
from jaxnet.training import descend
from reference_numpy import initializers
from reference_numpy import mlp as reference_mlp
from reference_numpy import optimizers as reference_optimizers
from reference_numpy import regularizers as reference
from scripts.harness import (
    TRUE,
    Claim,
    at_least,
    at_most,
    between,
    exact,
    new_figure,
    run_alone,
    series,
)
from scripts.practice._digits import CLASSES, PIXELS

TITLE = "L2 is weight decay under gradient descent, not under Adam"
NOTES_SECTION = "Regularization"
NOTES_FIGURES = (47, 48)

TRAIN = 200
LAMBDA = 4.0
STEPS = 1_000
ALPHA, ADAM_ALPHA = 0.5, 0.01
SHRINK = 1 - ALPHA * LAMBDA / TRAIN
ADAM_SHRINK = 1 - ADAM_ALPHA * LAMBDA / TRAIN
OTHER_LAMBDA = LAMBDA / 4  # for what Adam makes of λ
FIRST = 5  # steps in which no weight of a dark pixel has reached zero yet

Path = list[np.ndarray]


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    del quick
    cut_key, start_key = jax.random.split(key)
    data, _ = splits.cut(cut_key, datasets.whole("digits"), (TRAIN,))
    sizes = (PIXELS, 8, CLASSES)
    model = mlp(sizes, activation="tanh")
    rng = np.random.default_rng(int(jax.random.bits(start_key)))
    pairs = initializers.initialize(rng, sizes, "xavier")
    with jax.enable_x64(True):
        start, x = layout.layers(pairs), jnp.asarray(data.x, jnp.float64)

        def bare(params):
            logits, _ = model.apply(params, (), x)
            return losses.cost(losses.softmax_cross_entropy(logits, data.y))

        def penalised(lam: float = LAMBDA):
            penalty = regularizers.l2(lam, m=TRAIN)
            return lambda params: bare(params) + penalty(params)

        plain, adam = optimizers.gradient_descent(ALPHA), optimizers.adam(ADAM_ALPHA)
        on_weights = jax.tree.map(is_weight, start)
        decayed = optax.add_decayed_weights(LAMBDA / TRAIN, mask=on_weights)

        def decay(alpha: float):
            return regularizers.weight_decay(LAMBDA, learning_rate=alpha, m=TRAIN)

        # V = SHRINK · W turns "shrink, then take the gradient there" into a rule for V alone.
        shrunk = jax.tree.map(lambda leaf: SHRINK * leaf if is_weight(leaf) else leaf, start)
        there = optax.chain(plain, optax.masked(optax.scale(SHRINK), on_weights), decay(ALPHA))

        def run(cost: Callable, optimizer: Any, w0: Any = start) -> Any:
            return descend(cost, optimizer, w0, steps=STEPS).w

        @jax.jit
        def run_all() -> dict[str, Any]:
            at_shrunk = run(bare, there, shrunk)
            return {
                "none": run(bare, plain),
                "penalty": run(penalised(), plain),
                "decay": run(bare, optax.chain(plain, decay(ALPHA))),
                "optax": run(bare, optax.chain(decayed, optax.sgd(ALPHA))),
                "at shrunk": jax.tree.map(
                    lambda leaf: leaf / SHRINK if leaf.ndim > 2 else leaf, at_shrunk
                ),
                "adam, penalty": run(penalised(), adam),
                "adam, other penalty": run(penalised(OTHER_LAMBDA), adam),
                "adam, decay": run(bare, optax.chain(adam, decay(ADAM_ALPHA))),
                "adamw": run(
                    bare,
                    optax.adamw(ADAM_ALPHA, weight_decay=LAMBDA / TRAIN, mask=on_weights),
                ),
            }

        found = jax.device_get(run_all())
    paths = {name: jax.tree.leaves(path) for name, path in found.items()}
    X, Y = layout.columns(x), layout.one_hot(data.y, CLASSES)
    dark = np.flatnonzero(np.all(X == 0, axis=1))
    first_layers = {name: path[0].w[:, dark, :] for name, path in found.items()}
    return {
        "apart": {
            name: _apart(paths[one], paths[other])
            for name, (one, other) in {
                "penalty against decay": ("penalty", "decay"),
                "penalty against optax": ("penalty", "optax"),
                "gradient at the shrunk W": ("penalty", "at shrunk"),
                "adam": ("adam, penalty", "adam, decay"),
                "adamw": ("adamw", "adam, decay"),
            }.items()
        }
        | {
            "reference decay": _apart(paths["penalty"], _reference(pairs, X, Y, _shrink)),
            "reference penalty": _apart(paths["penalty"], _reference(pairs, X, Y, _descend)),
        },
        "dark": {name: w.reshape(STEPS + 1, -1) for name, w in first_layers.items()},
        "squares": {
            name: sum(np.sum(w**2, axis=(1, 2)) for w in path if w.ndim == 3)
            for name, path in paths.items()
        },
        "pixels": len(dark),
    }


def _apart(one: Path, other: Path) -> np.ndarray:
    """Relative distance of two paths at every step, that of the array where it is largest."""
    apart = []
    for a, b in zip(one, other, strict=True):
        axes = tuple(range(1, a.ndim))
        size = np.sqrt(np.sum(b**2, axis=axes))
        apart.append(np.sqrt(np.sum((a - b) ** 2, axis=axes)) / np.where(size > 0, size, 1))
    return np.max(apart, axis=0)


def _shrink(params: Any, X: np.ndarray, Y: np.ndarray) -> Any:
    _, caches = reference_mlp.forward(params, X, hidden="tanh", output="softmax")
    grads = reference_mlp.backward(params, caches, Y)
    return reference.weight_decay_update(params, grads, learning_rate=ALPHA, lam=LAMBDA, m=TRAIN)


def _descend(params: Any, X: np.ndarray, Y: np.ndarray) -> Any:
    _, caches = reference_mlp.forward(params, X, hidden="tanh", output="softmax")
    grads = reference_mlp.backward(params, caches, Y, l2=LAMBDA)
    state = reference_optimizers.gradient_descent_init(params)
    params, _ = reference_optimizers.gradient_descent_update(
        params, grads, state, learning_rate=ALPHA
    )
    return params


def _reference(pairs: Any, X: np.ndarray, Y: np.ndarray, update: Callable) -> Path:
    """The path of the reference, in the layout of jaxnet's."""
    path = [pairs]
    for _ in range(STEPS):
        path.append(update(path[-1], X, Y))
    by_array = [array for layer in zip(*path, strict=True) for array in zip(*layer, strict=True)]
    stacked = [np.stack(array) for array in by_array]
    return [a[:, :, 0] if a.shape[2] == 1 else a.transpose(0, 2, 1) for a in stacked]


def _dark_apart(measurements: dict[str, Any], name: str, factor: float) -> float:
    """Largest relative distance of a dark pixel's weight from w₀ · factorᵗ, over all steps."""
    weights_of = measurements["dark"][name]
    expected = weights_of[0][None] * factor ** np.arange(STEPS + 1)[:, None]
    return float(np.max(np.abs(weights_of / expected - 1)))


def _lost(measurements: dict[str, Any], name: str) -> np.ndarray:
    """What the larger weights of the dark pixels lost in the first steps, in units of α each."""
    weights_of = np.abs(measurements["dark"][name])
    large = weights_of[0] > 2 * FIRST * ADAM_ALPHA
    return (weights_of[0] - weights_of[FIRST])[large] / (ADAM_ALPHA * FIRST)


def draw(measurements: dict[str, Any]) -> Figure:
    figure, axes = new_figure(
        1,
        3,
        title="Under gradient descent the penalty is a decay of the weights; under Adam it is not",
        height=4.3,
    )
    ax, steps = axes[0], np.arange(STEPS + 1)
    for (name, label), style in zip(
        {
            "adam": "Adam",
            "gradient at the shrunk W": "descent, gradient\nat the shrunk W",
            "penalty against decay": "descent",
        }.items(),
        series(3),
        strict=True,
    ):
        apart = measurements["apart"][name]
        ax.plot(steps[1:], apart[1:], label=label, **style)
    ax.set(
        yscale="log", ylim=(1e-18, 1e4), ylabel="relative distance (no unit)",
        title="Penalty against decay",
    )  # fmt: skip
    ax.legend(loc="center right", fontsize=9, bbox_to_anchor=(1, 0.6))

    _draw_dark(axes[1], measurements)

    ax = axes[2]
    for (name, label), style in zip(
        {
            "adam, decay": "AdamW",
            "none": "descent, λ = 0",
            "adam, penalty": "Adam, penalty",
            "penalty": "descent, penalty",
        }.items(),
        series(4),
        strict=True,
    ):
        ax.plot(steps, measurements["squares"][name], label=label, **style)
    ax.set(ylabel="Σ ‖W‖² (no unit)", title="All weights", yscale="log", ylim=(10, 3e3))
    ax.legend(loc="upper left", fontsize=9)
    for ax in axes:
        ax.set_xlabel("steps")
    return figure


def _draw_dark(ax: Axes, measurements: dict[str, Any]) -> None:
    labels = {
        "adam, decay": "AdamW",
        "penalty": "descent",
        "adam, other penalty": f"Adam, penalty, λ = {OTHER_LAMBDA:g}",
        "adam, penalty": f"Adam, penalty, λ = {LAMBDA:g}",
    }
    largest = np.argmax(np.abs(measurements["dark"]["penalty"][0]))
    steps = np.arange(STEPS + 1)
    styles = [*series(3), {"color": "black", "linestyle": ":"}]
    for (name, label), style in zip(labels.items(), styles, strict=True):
        path = np.abs(measurements["dark"][name][:, largest])
        ax.plot(steps, path, label=label, **style)
    ax.set(
        xlim=(0, 250),
        ylim=(-0.01, 0.5),
        ylabel="|w| (no unit)",
        title="A weight of a pixel that is always 0",
    )
    ax.legend(loc="upper right", fontsize=9)


def claims(measurements: dict[str, Any]) -> list[Claim]:
    apart, squares = measurements["apart"], measurements["squares"]
    same = "(largest relative distance over 1,000 steps, float64)"
    return [
        exact(
            "Descent with the penalty is shrinking by 1 − αλ/m and stepping with the bare cost's "
            f"gradient at the unshrunk W {same}.",
            apart["penalty against decay"].max(),
            at_most(1e-9),
        ),
        exact(
            f"So it is with optax: sgd after add_decayed_weights(λ/m) on the weights {same}.",
            apart["penalty against optax"].max(),
            at_most(1e-9),
        ),
        exact(
            f"The reference's decay takes the same steps {same}.",
            apart["reference decay"].max(),
            at_most(1e-9),
        ),
        exact(
            f"The reference's penalised descent takes the same steps {same}.",
            apart["reference penalty"].max(),
            at_most(1e-9),
        ),
        exact(
            "With the gradient at the shrunk W the steps are others (largest relative distance).",
            apart["gradient at the shrunk W"].max(),
            at_least(1e-3),
        ),
        exact(
            "Under Adam penalty and decay differ (relative distance after 1,000 steps).",
            apart["adam"][-1],
            at_least(0.01),
        ),
        exact(
            f"optax.adamw(α, weight_decay=λ/m), on the weights, is the one that shrinks {same}.",
            apart["adamw"].max(),
            at_most(1e-9),
        ),
        exact(
            f"Where the images are always 0 ({measurements['pixels']} pixels) descent with the "
            f"penalty leaves w₀ (1 − αλ/m)ᵗ, nothing but decay (largest relative distance).",
            _dark_apart(measurements, "penalty", SHRINK),
            at_most(1e-9),
        ),
        exact(
            "So does AdamW (largest relative distance).",
            _dark_apart(measurements, "adamw", ADAM_SHRINK),
            at_most(1e-9),
        ),
        *(
            exact(
                f"Adam with the penalty takes α a step off such a weight, whatever λ: here λ = "
                f"{lam:g} (extreme of the loss in {FIRST} steps, in units of α a step).",
                _extreme(_lost(measurements, name)),
                between(0.95, 1.05),
            )
            for name, lam in (("adam, penalty", LAMBDA), ("adam, other penalty", OTHER_LAMBDA))
        ),
        exact(
            "With the penalty the weights are smaller than without: Σ‖W‖² after every step of "
            "descent.",
            bool(np.all(squares["penalty"][1:] < squares["none"][1:])),
            TRUE,
        ),
        exact(
            "Update by update they go on shrinking: Σ‖W‖² falls at every step of descent with the "
            "penalty.",
            bool(np.all(np.diff(squares["penalty"]) < 0)),
            TRUE,
            expected="refuted",
            note="Each step shrinks W and then adds what the data ask for, which from a small "
            "start is more: the norm rises until the two balance.",
        ),
    ]


def _extreme(ratios: np.ndarray) -> float:
    """The ratio that is farthest from 1."""
    return float(ratios[np.argmax(np.abs(ratios - 1))])


if __name__ == "__main__":
    run_alone(__file__)
