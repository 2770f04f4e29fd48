"""Early stopping (notes: Other Regularization Methods, fig. 55)."""

import numpy as np
from numpy.typing import ArrayLike

from reference_numpy._arrays import array, require


def rule(dev_costs: ArrayLike, patience: int, min_delta: float = 0.0) -> tuple[int, int]:
    """Where training stops, and which epoch's parameters it returns.

    Epoch e improves if J_dev(e) < min(J_dev(0), …, J_dev(e − 1)) − min_delta.

    Training stops at the first epoch that ends `patience` epochs in a row without improvement, or
    at the last epoch. The best epoch is the first with the lowest cost up to there.

    dev_costs: cost on the dev set after each epoch, (epochs,), without NaN.
    patience: 1 or more. min_delta: 0 or more. Returns best_epoch and stop_epoch, counted from 0.
    Raises ValueError for an empty curve, NaN, or values out of range.
    Source: notes, Other Regularization Methods (fig. 55).

    >>> rule([3.0, 2.0, 1.0, 2.0, 3.0, 0.5], patience=2)
    (2, 4)
    >>> rule([3.0, 2.0, 1.0], patience=2)
    (2, 2)
    """
    costs = array(dev_costs)
    fine = costs.ndim == 1 and costs.size > 0 and not np.any(np.isnan(costs))
    require(fine, "dev_costs", "one number per epoch, none of them NaN", dev_costs)
    require(int(patience) == patience and patience >= 1, "patience", "an integer ≥ 1", patience)
    require(min_delta >= 0, "min_delta", "a number ≥ 0", min_delta)
    lowest, waited, stop_epoch = np.inf, 0, costs.size - 1
    for epoch, cost in enumerate(costs):
        waited = 0 if cost < lowest - min_delta else waited + 1
        lowest = min(lowest, cost)
        if waited == patience:
            stop_epoch = epoch
            break
    best_epoch = int(np.argmin(costs[: stop_epoch + 1]))
    return best_epoch, stop_epoch
