"""L1 on 200 digits: which way of minimising it makes weights zero, and whether it helps.

A 64-32-10 tanh network is trained by mini-batch gradient descent with the L1 penalty by its
proximal step, with the same penalty by its subgradient, and with L2, each over a range of λ. What
is counted are weights that are exactly zero, and the bytes of a compressed sparse row store beside
those of the dense one. Each seed takes the λ of its lowest error on 800 dev digits for each kind
and meets the 797 test digits once. Answers figure 45 of the notes and the text below it.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import sparse

from jaxnet import losses, mlp, optimizers, regularizers
from jaxnet.crosscheck import layout
from jaxnet.data import datasets, splits
from jaxnet.regularizers import weights
from jaxnet.training import Setup, descend, evaluate, make_train
from reference_numpy import initializers
from reference_numpy import mlp as reference_mlp
from reference_numpy import optimizers as reference_optimizers
from reference_numpy import regularizers as reference
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
from scripts.practice._digits import CLASSES, PIXELS

TITLE = "L1: exact zeros by the proximal step, no better errors"
NOTES_SECTION = "Regularization"
NOTES_FIGURES = (45,)

TRAIN, DEV = 200, 800
SIZES = (PIXELS, 32, CLASSES)
BATCH_SIZE, EPOCHS = 50, 90
LEARNING_RATE = 0.2
START = 3.0  # times Xavier's scale


class Setting(NamedTuple):
    """λ of the proximal step, of the subgradient, and of L2: one is in use; or arrays of many."""

    proximal: Any = 0.0
    subgradient: Any = 0.0
    l2: Any = 0.0


LAMBDAS = (0.3, 1.0, 2.0, 4.0, 8.0)
KINDS = {
    "proximal": [Setting(), *(Setting(proximal=lam) for lam in LAMBDAS)],
    "subgradient": [Setting(), *(Setting(subgradient=lam) for lam in LAMBDAS[1::2])],
    "L2": [Setting(), *(Setting(l2=lam) for lam in LAMBDAS)],
}
SETTINGS = list(dict.fromkeys([setting for settings in KINDS.values() for setting in settings]))
NAMES = {"proximal": "L1, proximal step", "subgradient": "L1, subgradient", "L2": "L2"}

WEIGHTS = SIZES[0] * SIZES[1] + SIZES[1] * SIZES[2]
STEPS = 50  # of the small case run by the reference too


def _build(setting: Setting) -> Setup:
    rate = LEARNING_RATE
    optimizer = optax.chain(
        optimizers.gradient_descent(rate),
        regularizers.proximal_l1(setting.proximal, learning_rate=rate, m=TRAIN),
    )
    penalty = regularizers.elastic_net(setting.l2, setting.subgradient, m=TRAIN)
    model = mlp(SIZES, activation="tanh", initializer="xavier", init_scale=START)
    return Setup(model, optimizer, penalty=penalty)


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    study_key, small_key = jax.random.split(key)
    keys = seed_keys(study_key, quick)
    train = make_train(_build, batch_size=BATCH_SIZE, epochs=EPOCHS)

    def member(setting, key, digits):
        split_key, run_key = jax.random.split(key)
        data, dev, test = splits.cut(split_key, digits, (TRAIN, DEV))
        run = train(run_key, setting, data)
        model = _build(setting).model
        errors = [evaluate(model, run.params, (), part).error for part in (data, dev, test)]
        nonzero = sum(jnp.sum(w != 0) for w in weights(run.params))
        return {
            **dict(zip(("train", "dev", "test"), errors, strict=True)),
            "nonzero": nonzero,
            "weights": [layer.w for layer in run.params],
        }

    @jax.jit
    def run(members, digits):
        return lax.map(lambda one: member(one[0], one[1], digits), members)

    settings = Setting(*(np.repeat(v, len(keys)) for v in zip(*SETTINGS, strict=True)))
    found = jax.device_get(run((settings, jnp.tile(keys, len(SETTINGS))), datasets.whole("digits")))
    shape = len(SETTINGS), len(keys)
    matrices = [w.reshape(*shape, *w.shape[1:])[:, 0] for w in found.pop("weights")]
    found = {name: values.reshape(shape) for name, values in found.items()}
    return {
        **found,
        "zeros": 1 - found["nonzero"] / WEIGHTS,
        "bytes": _sparse_bytes(found["nonzero"]),
        "stored": np.array([_stored(w) for w in zip(*matrices, strict=True)]),
        "first": np.array(
            [
                np.sort(np.abs(np.concatenate([a.ravel(), b.ravel()])))
                for a, b in zip(*matrices, strict=True)
            ]
        ),
        **_small(small_key),
    }


def _sparse_bytes(nonzero: Any) -> Any:
    """Bytes of both matrices, W (n_out, n_in), stored by compressed sparse rows in 4-byte words:

    a value and a column for each number that is not zero, and a start for each row and the end.
    """
    return 4 * (2 * nonzero + sum(rows + 1 for rows in SIZES[1:]))


def _stored(matrices: Any) -> int:
    """Bytes that scipy takes."""
    stores = [sparse.csr_array(w.T) for w in matrices]
    return sum(a.nbytes for s in stores for a in (s.data, s.indices, s.indptr))


def _small(key: jax.Array) -> dict[str, float]:
    """Proximal descent on 50 digits in float64, here and in the reference, from one start."""
    cut_key, start_key = jax.random.split(key)
    data, _ = splits.cut(cut_key, datasets.whole("digits"), (50,))
    sizes = (PIXELS, 5, CLASSES)
    model = mlp(sizes, activation="tanh")
    rng = np.random.default_rng(int(jax.random.bits(start_key)))
    pairs = initializers.initialize(rng, sizes, "xavier")
    rate, lam, m = 0.5, 4.0, len(data.x)
    with jax.enable_x64(True):
        start, x = layout.layers(pairs), jnp.asarray(data.x, jnp.float64)

        def cost(params):
            return losses.cost(losses.softmax_cross_entropy(model.apply(params, (), x)[0], data.y))

        optimizer = optax.chain(
            optimizers.gradient_descent(rate),
            regularizers.proximal_l1(lam, learning_rate=rate, m=m),
        )
        path = jax.jit(lambda start: descend(cost, optimizer, start, steps=STEPS).w)(start)
        ours = layout.pairs(jax.tree.map(lambda leaf: np.asarray(leaf[-1]), path))
    X, Y = layout.columns(x), layout.one_hot(data.y, CLASSES)
    state = reference_optimizers.gradient_descent_init(pairs)
    for _ in range(STEPS):
        _, caches = reference_mlp.forward(pairs, X, hidden="tanh", output="softmax")
        grads = reference_mlp.backward(pairs, caches, Y)
        pairs, state = reference_optimizers.gradient_descent_update(
            pairs, grads, state, learning_rate=rate
        )
        pairs = reference.proximal_l1(pairs, learning_rate=rate, lam=lam, m=m)
    both = [(W, V) for (W, _), (V, _) in zip(ours, pairs, strict=True)]
    return {
        "apart": max(float(np.abs(W - V).max()) for W, V in both),
        "other_zeros": sum(int(np.sum((W == 0) != (V == 0))) for W, V in both),
        "small_zeros": sum(int(np.sum(V == 0)) for _, V in both),
    }


def _of(measurements: dict[str, Any], name: str, kind: str) -> np.ndarray:
    """A measurement of one kind of run by λ, (λ, seeds), λ = 0 first."""
    return measurements[name][[SETTINGS.index(setting) for setting in KINDS[kind]]]


def _lambdas(kind: str) -> list[float]:
    return [max(setting) for setting in KINDS[kind]]


def _chosen(measurements: dict[str, Any], name: str, kind: str) -> np.ndarray:
    """A measurement at the λ > 0 of each seed's lowest dev error, (seeds,)."""
    best = _of(measurements, "dev", kind)[1:].argmin(axis=0)[None]
    return np.take_along_axis(_of(measurements, name, kind)[1:], best, axis=0)[0]


def draw(measurements: dict[str, Any]) -> Figure:
    chosen = {kind: 100 * _chosen(measurements, "test", kind).mean() for kind in ("proximal", "L2")}
    figure, axes = new_figure(
        2,
        2,
        title="Only L1's proximal step makes weights zero; at the best λ the test error is "
        f"{chosen['proximal']:.1f} %, L2's {chosen['L2']:.1f} %",
        height=7.4,
    )
    styles = dict(zip(KINDS, series(3), strict=True))

    ax = axes[0, 0]
    for kind, style in styles.items():
        _line(ax, kind, 100 * _of(measurements, "zeros", kind), **style)
    ax.set(ylabel="weights that are exactly 0 (%)", title="Zeros", ylim=(-3, 100))
    ax.legend()

    ax = axes[0, 1]
    for kind, style in styles.items():
        _line(ax, kind, 100 * _of(measurements, "dev", kind), **style)
    ax.set(ylabel="dev error (%)", title="Errors", ylim=(5, 25))
    ax.legend(loc="upper left")

    ax = axes[1, 0]
    _line(ax, "proximal", _of(measurements, "bytes", "proximal") / 1024, **styles["proximal"])
    ax.axhline(4 * WEIGHTS / 1024, color="0.3", linewidth=1.2, linestyle="--")
    ax.text(ZERO_AT, 4 * WEIGHTS / 1024 - 0.3, "dense", va="top", fontsize=9.5)
    ax.text(ZERO_AT, 17, "sparse", va="top", fontsize=9.5)
    ax.set(ylabel="store of the weights (KiB)", title="Bytes, L1 by the proximal step")
    ax.set_ylim(0, 20)
    for ax in (axes[0, 0], axes[0, 1], axes[1, 0]):
        ax.set_xlabel("λ (no unit)")

    ax = axes[1, 1]
    shown = {kind: KINDS[kind][_lambdas(kind).index(4.0)] for kind in KINDS}
    for kind, setting in shown.items():
        sizes = measurements["first"][SETTINGS.index(setting)]
        ranks = np.arange(1, len(sizes) + 1)
        sizes = np.where(sizes > 0, sizes, np.nan)
        ax.plot(ranks, sizes, label=NAMES[kind], **styles[kind])
    ax.set(
        yscale="log",
        ylim=(1e-7, 10),
        xlabel="weights, by size",
        ylabel="|w| (no unit)",
        title="All weights of one network, λ = 4",
    )
    ax.legend(loc=(0.06, 0.03))
    count = measurements["dev"].shape[1]
    figure.supxlabel(f"Lines over λ: median of {count} seeds; bands: middle half.", fontsize=10)
    return figure


ZERO_AT = 0.1  # where a logarithmic axis shows λ = 0


def _line(ax: Axes, kind: str, values: np.ndarray, **style: Any) -> None:
    places = [lam or ZERO_AT for lam in _lambdas(kind)]
    spread(ax, places, values.T, label=NAMES[kind], marker="o", **style)
    ax.set_xscale("log")
    ticks = (ZERO_AT, *LAMBDAS)
    ax.set_xticks(ticks, labels=["0", *(f"{lam:g}" for lam in LAMBDAS)])
    ax.minorticks_off()


def claims(measurements: dict[str, Any]) -> list[Claim]:
    zeros = {kind: _of(measurements, "zeros", kind) for kind in KINDS}
    saved = 1 - _of(measurements, "bytes", "proximal") / (4 * WEIGHTS)
    saved_at_best = 1 - _chosen(measurements, "bytes", "proximal") / (4 * WEIGHTS)
    test = {kind: _chosen(measurements, "test", kind) for kind in KINDS}
    first = measurements["nonzero"][:, 0]
    return [
        statistical(
            "With the proximal step weights are exactly zero, and their share rises at every step "
            f"of λ from 0 to {LAMBDAS[-1]:g} (smallest rise, each seed).",
            np.diff(zeros["proximal"], axis=0).min(axis=0),
            above(0),
        ),
        statistical(
            f"At λ = {LAMBDAS[-1]:g} it is more than half of the weights.",
            zeros["proximal"][-1],
            at_least(0.5),
        ),
        statistical(
            "The subgradient of the same penalty leaves almost none: less than 0.1 %, at any λ.",
            zeros["subgradient"].max(axis=0),
            at_most(0.001),
        ),
        statistical(
            "L2 leaves none, at any λ.",
            zeros["L2"].max(axis=0),
            at_most(0),
        ),
        statistical(
            f"At λ = {LAMBDAS[-1]:g} a compressed sparse row store saves a quarter of the bytes or "
            f"more.",
            saved[-1],
            at_least(0.25),
        ),
        statistical(
            "At the λ of the lowest dev error, too, the sparse store saves bytes (share).",
            saved_at_best,
            above(0),
            expected="refuted",
            note="Each number that is kept takes its column's number along, so that the store only "
            "saves where more than half are zero, and the dev error asks for a smaller λ.",
        ),
        exact(
            "The bytes are those that scipy's sparse arrays take (largest difference, bytes).",
            np.max(np.abs(measurements["stored"] - _sparse_bytes(first))),
            at_most(0),
        ),
        statistical(
            "L1 is no better than L2: at the λ that each seed's dev set chooses, its test error is "
            "not lower by half a point or more.",
            test["proximal"] - test["L2"],
            at_least(-0.005),
        ),
        statistical(
            "By its subgradient L1 ends at the same test error, within a point of the proximal "
            "step's.",
            test["subgradient"] - test["proximal"],
            between(-0.01, 0.01),
        ),
        exact(
            f"{STEPS} proximal steps are the reference's (largest difference of a weight, "
            f"float64).",
            measurements["apart"],
            at_most(1e-12),
        ),
        exact(
            "The same weights are zero there, of which there are some (number that differ, or 1 "
            "where none is zero).",
            measurements["other_zeros"] + (measurements["small_zeros"] == 0),
            at_most(0),
        ),
    ]


if __name__ == "__main__":
    run_alone(__file__)
