"""Initial weights and biases (notes: Random Initialization, Vanishing / Exploding gradients)."""

from itertools import pairwise

import numpy as np

from reference_numpy._arrays import Params, require, require_known

# scheme -> standard deviation of the entries of W[l], from n[l−1] and n[l]
SCHEMES = {
    "zeros": lambda n_prev, n: 0.0,
    "normal": lambda n_prev, n: 0.01,
    "xavier": lambda n_prev, n: np.sqrt(1 / n_prev),
    "he": lambda n_prev, n: np.sqrt(2 / n_prev),
    "glorot": lambda n_prev, n: np.sqrt(2 / (n_prev + n)),
}


def initialize(rng: np.random.Generator, layer_sizes, scheme: str) -> Params:
    """Initial params of a network: normal weights, zero biases.

    W[l] = N(0, 1) · s,  b[l] = 0

    zeros: s = 0.  normal: s = 0.01.  xavier: s = √(1/n[l−1]).  he: s = √(2/n[l−1]).
    glorot: s = √(2/(n[l−1] + n[l]))

    The notes' "Xavier" is LeCun's rule. Glorot and Bengio's is the last one, which the notes print
    as √(2/n[l−1] · n[l]); the sum is meant. Zeros keeps the units of a layer identical for ever.

    rng: generator; one rng.standard_normal((n[l], n[l−1])) per layer, none for zeros.
    layer_sizes: n[0], …, n[L], two or more. scheme: one of the five names.
    Returns a list of (W[l], b[l]), (n[l], n[l−1]) and (n[l], 1).
    Raises ValueError for an unknown scheme or sizes that are not positive integers.
    Source: notes, Random Initialization (fig. 30), Vanishing / Exploding gradients.

    >>> [(W.shape, b.shape) for W, b in initialize(np.random.default_rng(0), (5, 4, 3), "he")]
    [((4, 5), (4, 1)), ((3, 4), (3, 1))]
    """
    require_known("scheme", scheme, SCHEMES)
    sizes = list(layer_sizes)
    fine = len(sizes) >= 2 and all(int(n) == n and n >= 1 for n in sizes)
    require(fine, "layer_sizes", "two or more positive integers", sizes)
    params = []
    for n_prev, n in pairwise(sizes):
        s = SCHEMES[scheme](n_prev, n)
        W = rng.standard_normal((n, n_prev)) * s if s else np.zeros((n, n_prev))
        b = np.zeros((n, 1))
        params.append((W, b))
    return params
