"""Learning-rate decay (notes: Learning Rate Decay, fig. 71).

Each function gives the learning rate of an epoch from the first one, α₀; none compounds on a rate
that has decayed already. `epoch` is a number or an array of them.
"""

import numpy as np
from numpy.typing import ArrayLike

from reference_numpy._arrays import Array, array, require


def inverse_time(epoch: ArrayLike, learning_rate: float, *, decay_rate: float) -> Array:
    """Decay by one over time.

    α = α₀ / (1 + decay_rate · epoch)

    epoch: 0 or more. learning_rate: α₀ ≥ 0. decay_rate: 0 or more, per epoch.
    Returns α in the shape of epoch. Raises ValueError for negative values.
    Source: notes, Learning Rate Decay.

    >>> inverse_time([0, 1, 3], 0.2, decay_rate=1.0)
    array([0.2 , 0.1 , 0.05])
    """
    epoch = _epochs(epoch, learning_rate, first=0)
    require(decay_rate >= 0, "decay_rate", "a number ≥ 0", decay_rate)
    return learning_rate / (1 + decay_rate * epoch)


def exponential(epoch: ArrayLike, learning_rate: float, *, base: float = 0.95) -> Array:
    """Decay by a constant factor per epoch.

    α = base^epoch · α₀

    epoch: 0 or more. learning_rate: α₀ ≥ 0. base: in (0, 1].
    Returns α in the shape of epoch. Raises ValueError for values out of range.
    Source: notes, Learning Rate Decay (fig. 71, base 0.95).

    >>> exponential([0, 1, 2], 0.5, base=0.5)
    array([0.5  , 0.25 , 0.125])
    """
    epoch = _epochs(epoch, learning_rate, first=0)
    require(0 < base <= 1, "base", "a number in (0, 1]", base)
    return base**epoch * learning_rate


def inverse_sqrt(epoch: ArrayLike, learning_rate: float, *, k: float = 1.0) -> Array:
    """Decay by one over the square root, of the epoch or of the mini-batch number t.

    α = k / √epoch · α₀   or   α = k / √t · α₀

    Both are counted from 1: at 0 the formula has no value.

    epoch: the epoch or t, 1 or more. learning_rate: α₀ ≥ 0. k: 0 or more.
    Returns α in the shape of epoch. Raises ValueError for values out of range.
    Source: notes, Learning Rate Decay (fig. 71).

    >>> inverse_sqrt([1, 4, 16], 0.5, k=2.0)
    array([1.  , 0.5 , 0.25])
    """
    epoch = _epochs(epoch, learning_rate, first=1)
    require(k >= 0, "k", "a number ≥ 0", k)
    return k / np.sqrt(epoch) * learning_rate


def staircase(
    epoch: ArrayLike, learning_rate: float, *, factor: float = 0.5, epochs_per_stair: int = 10
) -> Array:
    """Decay in stairs: constant, then lower by a factor.

    α = factor^⌊epoch / epochs_per_stair⌋ · α₀

    epoch: 0 or more. learning_rate: α₀ ≥ 0. factor: in (0, 1]. epochs_per_stair: above 0.
    Returns α in the shape of epoch. Raises ValueError for values out of range.
    Source: notes, Learning Rate Decay.

    >>> staircase([0, 2, 3, 6], 0.5, factor=0.5, epochs_per_stair=3)
    array([0.5  , 0.5  , 0.25 , 0.125])
    """
    epoch = _epochs(epoch, learning_rate, first=0)
    require(0 < factor <= 1, "factor", "a number in (0, 1]", factor)
    require(epochs_per_stair > 0, "epochs_per_stair", "a number above 0", epochs_per_stair)
    return factor ** np.floor(epoch / epochs_per_stair) * learning_rate


def _epochs(epoch, learning_rate, *, first):
    epoch = array(epoch)
    require(0 <= learning_rate < np.inf, "learning_rate", "a finite number ≥ 0", learning_rate)
    require(np.all(epoch >= first), "epoch", f"numbers ≥ {first}", epoch)
    return epoch
