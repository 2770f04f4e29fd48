"""Short training of a small network on digits by several update rules, each at its best α.

512 examples, drawn anew for every seed, 16 hidden units, mini-batches of 32. The first third of the
seeds chooses every rule's setting by the mean training cost; the others judge it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.axes import Axes

from jaxnet import Setup, make_train, mlp
from jaxnet.data import datasets, splits
from jaxnet.losses import softmax_cross_entropy
from jaxnet.training.evaluation import score
from scripts.harness import spread

MODEL = mlp((64, 16, 10))
EXAMPLES, BATCH = 512, 32
SEEDS = 30


class Tuned(NamedTuple):
    """How a rule fares at each of its settings, (settings, seeds): after the last epoch the cost
    on all training examples in nats and the share of errors on the others; best: the setting that
    the choosing seeds prefer; curve: the mean cost of the mini-batches of every epoch, (settings,
    seeds, epochs)."""

    cost: Any
    error: Any
    curve: Any

    @property
    def best(self) -> int:
        chosen_on = self.cost[:, : choosing(self.cost.shape[1])]
        return int(np.argmin(chosen_on.mean(axis=1)))

    def judged(self, name: str, setting: int | None = None) -> np.ndarray:
        """A measurement at the best setting, or another, of the seeds that did not choose it."""
        values = getattr(self, name)[self.best if setting is None else setting]
        return values[choosing(len(values)) :]


def choosing(seeds: int) -> int:
    """How many of the seeds choose."""
    return seeds // 3


def tune(
    keys: jax.Array,
    rules: Sequence[tuple[Callable[[Any], optax.GradientTransformation], Any]],
    *,
    epochs: int,
) -> list[Tuned]:
    """Train with every rule at every setting from every key, in one program.

    rules: pairs of setting ↦ optimizer and the settings, a pytree of arrays with equal first axes.
    """
    whole = datasets.whole("digits")

    def of_rule(build, settings, keys):
        train = make_train(
            lambda setting: Setup(MODEL, build(setting)), batch_size=BATCH, epochs=epochs
        )

        def one(setting, key):
            split_key, run_key = jax.random.split(key)
            data, rest = splits.cut(split_key, whole, (EXAMPLES,))
            run = train(run_key, setting, data)
            cost = score(MODEL, run.params, (), data, softmax_cross_entropy).cost
            error = score(MODEL, run.params, (), rest, softmax_cross_entropy).error
            # A run that blew up has learnt nothing; its cost counts as very high.
            cost = jnp.where(jnp.isfinite(cost), cost, 1e3)
            return Tuned(cost, error, run.history["cost"].mean(axis=1))

        # Mapped rather than vmapped: the program compiles twice as fast and runs no slower.
        return jax.lax.map(
            lambda setting: jax.lax.map(lambda key: one(setting, key), keys), settings
        )

    builds = [build for build, _ in rules]
    program = jax.jit(
        lambda many, keys: [
            of_rule(build, settings, keys) for build, settings in zip(builds, many, strict=True)
        ]
    )
    settings = [jax.tree.map(jnp.asarray, chosen) for _, chosen in rules]
    return jax.device_get(program(settings, keys))


def draw_curves(
    ax: Axes,
    tuned: Mapping[str, Tuned],
    settings: Mapping[str, np.ndarray],
    labels: Mapping[str, str],
    styles: Mapping[str, Any],
) -> None:
    """Mean cost of every epoch by rule, at the best α, of the seeds that did not choose it."""
    for name, style in styles.items():
        curve = tuned[name].judged("curve")
        updates = EXAMPLES // BATCH * (np.arange(curve.shape[1]) + 0.5)
        label = f"{labels[name]}, α = {settings[name][tuned[name].best]:g}"
        spread(ax, updates, curve, label=label, **style)
    seeds = len(tuned["plain"].judged("cost"))
    ax.set(
        title=f"Digits: median and middle half of {seeds} seeds",
        xlabel="updates",
        ylabel="cost, mean of an epoch (nats)",
        yscale="log",
    )
    ax.legend(loc="upper right", fontsize=9)
