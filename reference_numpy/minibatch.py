"""Mini-batches (notes: Mini-batch Gradient Descent)."""

import numpy as np
from numpy.typing import ArrayLike

from reference_numpy._arrays import Array, array, require, require_matrix


def partition(
    rng: np.random.Generator, X: ArrayLike, Y: ArrayLike, batch_size: int
) -> list[tuple[Array, Array]]:
    """Shuffle the examples and cut them into mini-batches: one epoch.

    X = [X{1} … X{T}],  Y = [Y{1} … Y{T}],  T = ⌈m / batch_size⌉

    X and Y are shuffled by one permutation. The last mini-batch is smaller where batch_size does
    not divide m; every example is in exactly one.

    rng: generator; one rng.permutation(m) is drawn. X: (n, m). Y: (K, m).
    batch_size: 1 (stochastic) to m (batch gradient descent).
    Returns a list of (X{t}, Y{t}), copies.
    Raises ValueError for shapes that do not fit or a batch_size outside 1 … m.
    Source: notes, Mini-batch Gradient Descent.

    >>> X = np.arange(7.0)[None, :]
    >>> [x.shape for x, y in partition(np.random.default_rng(0), X, -X, 3)]
    [(1, 3), (1, 3), (1, 1)]
    """
    X, Y = array(X), array(Y)
    require_matrix("X", X)
    require_matrix("Y", Y)
    m = X.shape[1]
    require(Y.shape[1] == m, "Y", f"{m} columns, as X", f"shape {Y.shape}")
    fine = int(batch_size) == batch_size and 1 <= batch_size <= m
    require(fine, "batch_size", f"an integer from 1 to {m}", batch_size)
    order = rng.permutation(m)
    batches = [order[start : start + batch_size] for start in range(0, m, batch_size)]
    return [(X[:, batch], Y[:, batch]) for batch in batches]
