"""The notes' algorithms written out by hand: NumPy only, float64, in the notes' own layout.

Examples are columns: X (n, m), W (n[l], n[l−1]), b (n[l], 1), Y (K, m). Parameters are a list of
(W, b). Randomness comes from a numpy.random.Generator given as `rng`. Nothing given is changed.
One file per concept, one line of code per equation, each equation in the docstring above its line.

    activations           g and g′
    losses                loss of an example, its gradient, the cost
    logistic_regression   forward and gradients, by loop and vectorised
    mlp                   L-layer forward, cost and backward
    initializers          first weights
    regularizers          L2, L1, dropout
    augmentation          flip, rotate, zoom, elastic distortion
    early_stopping        when to stop
    normalization         zero mean, unit variance
    batch_norm            the same inside a network
    gradient_check        numerical gradients and the check
    minibatch             one epoch's mini-batches
    averages              exponentially weighted average
    optimizers            gradient descent, momentum, RMSprop, Adam
    schedules             learning-rate decay
    search                grid, random, coarse-to-fine search
    diagnostics           bias or variance
    splits                train, dev and test sets

>>> import numpy as np
>>> import reference_numpy as ref
>>> rng = np.random.default_rng(0)
>>> X, Y = rng.standard_normal((5, 7)), np.array([[0, 1, 1, 0, 1, 0, 1]])
>>> params = ref.initializers.initialize(rng, (5, 4, 1), "he")
>>> before = ref.mlp.cost(params, X, Y)
>>> grads = ref.mlp.backward(params, ref.mlp.forward(params, X)[1], Y)
>>> state = ref.optimizers.adam_init(params)
>>> params, state = ref.optimizers.adam_update(params, grads, state, learning_rate=0.01)
>>> bool(ref.mlp.cost(params, X, Y) < before)
True
"""

from reference_numpy import (
    activations,
    augmentation,
    averages,
    batch_norm,
    diagnostics,
    early_stopping,
    gradient_check,
    initializers,
    logistic_regression,
    losses,
    minibatch,
    mlp,
    normalization,
    optimizers,
    regularizers,
    schedules,
    search,
    splits,
)

__all__ = [
    "activations",
    "augmentation",
    "averages",
    "batch_norm",
    "diagnostics",
    "early_stopping",
    "gradient_check",
    "initializers",
    "logistic_regression",
    "losses",
    "minibatch",
    "mlp",
    "normalization",
    "optimizers",
    "regularizers",
    "schedules",
    "search",
    "splits",
]
