"""When to stop, as a rule on the curve of dev costs."""

from typing import NamedTuple

import jax.numpy as jnp
from jax.lax import cummax, cummin
from jaxtyping import Array, Float, Int

from jaxnet.types import Scalar
from jaxnet.validation import check_count, check_non_negative


class EarlyStop(NamedTuple):
    """Whose parameters to keep, and where training ends; both count epochs from 0."""

    best_epoch: Int[Array, ""]
    stop_epoch: Int[Array, ""]


def early_stopping(
    dev_costs: Float[Array, " epochs"], *, patience: int, min_delta: Scalar = 0.0
) -> EarlyStop:
    """Stop when the dev cost has not improved for `patience` epochs in a row.

    epoch e improves if cost_e < min(cost_0 … cost_(e−1)) − min_delta
    stop_epoch: the first that is the last of `patience` epochs without improvement, or the last
    best_epoch: the first with the lowest cost up to stop_epoch

    dev_costs: the cost after each epoch, shape (epochs,). NaN counts as no improvement.
    patience: ≥ 1. min_delta: ≥ 0, what an improvement must exceed; may be traced.
    Returns EarlyStop(best_epoch, stop_epoch). It looks at no epoch after stop_epoch, so the whole
    curve and its beginning give the same answer once training stops.
    Raises ValueError for an empty curve, a patience below 1 or a negative min_delta.

    Elsewhere: Keras' patience is this one. Flax' EarlyStopping and scikit-learn's n_iter_no_change
    wait one epoch more: theirs is this one minus 1. The best cost so far is the lowest, whatever
    min_delta, as in scikit-learn; Keras and Flax let it move only by improvements that exceed
    min_delta, so a slow steady fall goes on for longer there, and the epoch they call best need
    not be the lowest. Keras returns the last parameters unless restore_best_weights is set.
    Source: notes §5, other regularization methods (fig. 55).

    >>> stop = early_stopping(jnp.array([3.0, 1.0, 2.0, 2.0, 0.0]), patience=2)
    >>> stop.best_epoch.item(), stop.stop_epoch.item()
    (1, 3)
    """
    if dev_costs.ndim != 1 or dev_costs.size == 0:
        raise ValueError(
            f"dev_costs: expected one cost per epoch, shape (epochs,), got {dev_costs.shape}"
        )
    check_count("patience", patience)
    check_non_negative("min_delta", min_delta)
    costs = jnp.where(jnp.isnan(dev_costs), jnp.inf, dev_costs)
    epochs = jnp.arange(len(costs))
    best_before = jnp.concatenate([jnp.full(1, jnp.inf, costs.dtype), cummin(costs)[:-1]])
    improved = costs < best_before - jnp.asarray(min_delta, costs.dtype)
    waited = epochs - cummax(jnp.where(improved, epochs, -1))
    enough = waited >= patience
    stop_epoch = jnp.where(jnp.any(enough), jnp.argmax(enough), len(costs) - 1)
    best_epoch = jnp.argmin(jnp.where(epochs <= stop_epoch, costs, jnp.inf))
    return EarlyStop(best_epoch, stop_epoch)
