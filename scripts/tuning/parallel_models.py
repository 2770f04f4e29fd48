"""One model whose α is changed by hand beside a hundred models trained at once.

Adam on a small network on digits for 15 days of one epoch each. The babysat model begins with
α = 0.001 and is looked at every evening; written rules stand for the person: if the training cost
has risen by a twentieth, go back to yesterday's model and halve α; if it has fallen by less than a
tenth, double α. The population is 100 members of one program, α drawn evenly in log α from
[1e-4, 1]; its best is chosen by the dev cost. 20 seeds, each with its own split, initial weights
and mini-batches, shared by all its models. Then the same 100 members one after another, timed.
Answers figure 78.
"""

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxnet import Dataset, losses, make_train
from jaxnet.data import datasets, splits
from jaxnet.populations import samplers
from jaxnet.training import Run
from jaxnet.training.run import start
from scripts.harness import (
    COLOURS,
    INK,
    Claim,
    above,
    between,
    exact,
    new_figure,
    run_alone,
    seed_keys,
    series,
    statistical,
    timing,
)
from scripts.harness.report import machine
from scripts.tuning import _digits as digits

TITLE = "One babysat model and a hundred in parallel"
NOTES_SECTION = "Using an appropriate scale to pick hyperparameters"
NOTES_FIGURES = (78,)
TIMING = True  # statistics too, but its times need the machine to themselves

DAYS = 15
MEMBERS = 100
ALPHA_START = 1e-3
RISE, FALL = 1.05, 0.9  # today's training cost over yesterday's
SPACE: dict[str, Any] = {"alpha": ("log_uniform", 1e-4, 1.0)}
ROUNDS = 3  # of the interleaved timing


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    keys = seed_keys(key, quick)
    whole = datasets.whole("digits")

    @jax.jit
    def draw_alphas(keys):
        return jax.vmap(lambda key: samplers.random(jax.random.fold_in(key, 1), SPACE, MEMBERS))(
            keys
        )["alpha"]

    population = jax.jit(
        lambda alphas, key: lax.map(lambda alpha: _member(alpha, key, whole), alphas)
    )
    alphas = draw_alphas(keys)
    found = [jax.device_get(population(*one)) for one in zip(alphas, keys, strict=True)]
    members = {name: np.stack([one[name] for one in found]) for name in found[0]}
    sitting = jax.jit(lambda keys: lax.map(lambda key: _babysat(key, whole), keys))
    return {
        "alphas": np.asarray(alphas),
        "members": members,
        "babysat": jax.device_get(sitting(keys)),
        **_timed(population, alphas[0], keys[0], whole, rounds=1 if quick else ROUNDS),
        "machine": machine(),
    }


def _scores(params: Any, state: Any, alpha: Any, parts: tuple[Dataset, ...]) -> dict[str, Any]:
    """Dev and test cost, counted as no more than guessing's."""
    values = {}
    for name, part in zip(("dev", "test"), parts, strict=True):
        logits, _ = digits.build({"alpha": alpha}).model.apply(params, state, part.x)
        value = losses.cost(losses.softmax_cross_entropy(logits, part.y))
        values[name] = jnp.where(value < digits.GUESSING, value, digits.GUESSING)
    return values


def _member(alpha: jax.Array, key: jax.Array, whole: Dataset) -> dict[str, Any]:
    """Curve of one member's training cost, an entry a day, and its dev and test cost."""
    split_key, run_key = jax.random.split(key)
    train, *others = splits.cut(split_key, whole, (digits.TRAIN, digits.DEV))
    fit = make_train(digits.build, batch_size=digits.BATCH_SIZE, epochs=DAYS, drop_last=True)
    run = fit(run_key, {"alpha": alpha}, train)
    curve = run.history["cost"].mean(axis=1)
    return {"curve": curve, **_scores(run.params, run.state, alpha, tuple(others))}


def _babysat(key: jax.Array, whole: Dataset) -> dict[str, Any]:
    """The babysat model: its days' training cost, its α, and the costs of where it ends."""
    split_key, run_key = jax.random.split(key)
    train, *others = splits.cut(split_key, whole, (digits.TRAIN, digits.DEV))
    one_day = make_train(digits.build, batch_size=digits.BATCH_SIZE, epochs=1, drop_last=True)

    def day(carry, number):
        run, yesterday, alpha = carry
        new = one_day(run_key, {"alpha": alpha}, train, after=run, first_epoch=number)
        cost = new.history["cost"].mean()
        worse = ~(cost <= RISE * yesterday)  # NaN is worse too
        kept = jax.tree.map(
            lambda old, now: jnp.where(worse, old, now), run, new._replace(history={})
        )
        slow = cost > FALL * yesterday
        factor = jnp.where(worse, 0.5, jnp.where(slow, 2.0, 1.0))
        return (kept, jnp.where(worse, yesterday, cost), alpha * factor), (cost, alpha)

    begun = start(digits.build({"alpha": ALPHA_START}), jax.random.split(run_key)[0])
    first = Run(*begun, history={}), jnp.float32(np.inf), jnp.float32(ALPHA_START)
    (run, _, alpha), (cost, alphas) = lax.scan(day, first, jnp.arange(DAYS))
    scores = _scores(run.params, run.state, alpha, tuple(others))
    return {"curve": cost, "alpha": alphas, **scores}


def _timed(
    population: Any, alphas: jax.Array, key: jax.Array, whole: Dataset, rounds: int
) -> dict[str, Any]:
    """Seconds of the population in one program and member by member, and how far they differ."""
    alone = jax.jit(lambda alpha, key: _member(alpha, key, whole))
    singles = [alphas[place] for place in range(MEMBERS)]
    jax.block_until_ready(alone(singles[0], key))  # compiled before the clock runs
    seconds: dict[str, list[float]] = {"together": [], "in turn": []}
    together, in_turn = {}, []
    for _ in range(rounds):
        begun = time.perf_counter()
        together = jax.device_get(population(alphas, key))
        seconds["together"].append(time.perf_counter() - begun)
        begun = time.perf_counter()
        in_turn = [jax.device_get(alone(alpha, key)) for alpha in singles]
        seconds["in turn"].append(time.perf_counter() - begun)
    curves = np.stack([one["curve"] for one in in_turn])
    return {
        "seconds": {name: float(np.median(values)) for name, values in seconds.items()},
        "differ": int(np.sum(~_same(together["curve"], curves).all(axis=1))),
    }


def _same(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return (left == right) | (np.isnan(left) & np.isnan(right))


def _best(measurements: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Dev and test cost of the best member of each seed by dev cost."""
    members = measurements["members"]
    place = members["dev"].argmin(axis=1)[:, None]
    dev, test = (np.take_along_axis(members[name], place, axis=1)[:, 0] for name in ("dev", "test"))
    return dev, test


def _best_of(dev: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Expected lowest dev cost of k members drawn from a seed's, exactly; (seeds, sizes).

    The i-th lowest of n is the lowest of k with probability C(n−i, k−1)/C(n, k).
    """
    ordered, n = np.sort(dev, axis=1), dev.shape[1]
    rows = []
    for k in sizes:
        none_lower = np.ones(n)  # chance that none of the k is among the i lowest
        for i in range(1, n):
            none_lower[i] = none_lower[i - 1] * max(n - i + 1 - k, 0) / (n - i + 1)
        rows.append(ordered @ -np.diff(np.append(none_lower, 0.0)))
    return np.stack(rows, axis=1)


def draw(measurements: dict[str, Any]) -> Figure:
    members, babysat = measurements["members"], measurements["babysat"]
    sizes = np.array((1, 2, 3, 5, 8, 12, 20, 35, 60, MEMBERS))
    curve = _best_of(members["dev"], sizes)
    best = curve[:, -1].mean()
    figure, axes = new_figure(
        1,
        3,
        height=4.6,
        title=f"The best of {MEMBERS} models ends at a dev cost of {best:.2f} nats, one babysat "
        f"model at {babysat['dev'].mean():.2f}",
        width_ratios=(1.15, 1, 1),
    )
    _draw_curves(axes[0], measurements)
    ax, days = axes[1], np.arange(1, DAYS + 1)
    for alphas in babysat["alpha"]:
        ax.plot(days, alphas, color=COLOURS[2], linewidth=0.8, alpha=0.6)
    ax.plot(days, np.median(babysat["alpha"], axis=0), color=INK, linewidth=2, label="median")
    ax.set(
        title="α by the rules, each seed", xlabel="day (epoch)", ylabel="α of the day", yscale="log"
    )
    ax.legend(loc="lower right")
    ax, (one, other) = axes[2], series(2)
    ax.plot(sizes, curve.mean(axis=0), marker="o", label="best of k", **one)
    ax.axhline(babysat["dev"].mean(), label="babysat", **other)
    ax.set(
        title="Best of k models",
        xlabel="k models in parallel",
        ylabel="dev cost (nats), mean over seeds",
        xscale="log",
    )
    ax.set_xticks((1, 3, 10, 30, 100), labels=["1", "3", "10", "30", "100"])
    ax.minorticks_off()
    ax.legend()
    found, seconds = measurements["machine"], measurements["seconds"]
    figure.supxlabel(
        f"Left: one seed. {MEMBERS} models in one program: {seconds['together']:.2f} s, one after "
        f"another: {seconds['in turn']:.2f} s ({found['cores']} cores, {found['processor']}).",
        fontsize=9,
    )
    return figure


def _draw_curves(ax: Axes, measurements: dict[str, Any]) -> None:
    members, babysat = measurements["members"], measurements["babysat"]
    days = np.arange(1, DAYS + 1)
    best = members["dev"][0].argmin()
    for curve in members["curve"][0]:
        ax.plot(days, np.where(np.isfinite(curve), curve, np.nan), color="0.75", linewidth=0.7)
    ax.plot(days, members["curve"][0, best], label="best of them", **series(2)[0])
    ax.plot(days, babysat["curve"][0], label="babysat", **series(2)[1])
    ax.set(
        title=f"{MEMBERS} members and the babysat",
        xlabel="day (epoch)",
        ylabel="training cost (nats)",
        yscale="log",
        ylim=(None, 10),
    )
    ax.legend(loc="lower left")


def claims(measurements: dict[str, Any]) -> list[Claim]:
    members, babysat = measurements["members"], measurements["babysat"]
    dev, test = _best(measurements)
    seconds, found = measurements["seconds"], measurements["machine"]
    return [
        exact(
            f"Every member's curve in the one program is that of its run alone, bit for bit "
            f"({MEMBERS} members, one seed: how many differ).",
            measurements["differ"],
            between(0, 0),
        ),
        statistical(
            "The best of the population, by dev cost, ends at a lower dev cost than the babysat "
            "model (babysat less best, nats).",
            babysat["dev"] - dev,
            above(0),
            note="Of a hundred times the updates; the member is chosen by these dev costs.",
        ),
        statistical(
            "So does its test cost, looked at once (babysat less best, nats).",
            babysat["test"] - test,
            above(0),
        ),
        statistical(
            "The babysat model ends at a lower dev cost than the median member (median less "
            "babysat, nats).",
            np.median(members["dev"], axis=1) - babysat["dev"],
            above(0),
        ),
        timing(
            f"{MEMBERS} models one after another over the same in one program (ratio of seconds, "
            "compilation left out).",
            seconds["in turn"] / seconds["together"],
        ),
        timing(f"Seconds of {MEMBERS} models in one program.", seconds["together"]),
        timing("The machine of these times.", f"{found['cores']} cores, {found['processor']}"),
    ]


if __name__ == "__main__":
    run_alone(__file__)
