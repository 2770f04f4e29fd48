"""Training on mini-batches that are given instead of drawn, by the library's one update."""

from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array, Int

from jaxnet import Dataset, Setup
from jaxnet.training.run import Carry, start, step


def train_in_order(
    setup: Setup,
    key: jax.Array,
    data: Dataset,
    batches: Int[Array, "epochs steps batch"],
    *,
    observe: Callable[[Carry], Any],
) -> tuple[Any, Any]:
    """Updates on the examples that `batches` names, one row of indices an update.

    key: of the initial parameters. Returns the cost of every mini-batch before its update,
    (epochs, steps), and what observe gave after every epoch, stacked.
    """

    def update(carry, indices):
        return step(setup, carry, Dataset(data.x[indices], data.y[indices]), key)

    def epoch(carry, batches):
        carry, metrics = jax.lax.scan(update, carry, batches)
        return carry, (metrics["cost"], observe(carry))

    return jax.lax.scan(epoch, start(setup, key), batches)[1]
