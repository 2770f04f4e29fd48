"""Rows 7 to 11, 13, 14, 37 to 44 and 46 to 48: initial weights, losses, normalisation, sampling."""

from scripts.mutants.planting import Edit, Mutant

INITIALIZE = "initializers.initialize"
DRAW = "rng.standard_normal((n, n_prev)) * s"
BN_FORWARD, BN_BACKWARD = "batch_norm.forward", "batch_norm.backward"
VARIANCE = "np.sum((Z - mu) ** 2, axis=1, keepdims=True) / m"

MUTANTS = (
    Mutant(
        "7a",
        "all initial weights zero",
        ("symmetry",),
        INITIALIZE,
        (Edit(DRAW, "np.zeros((n, n_prev))", "initialize"),),
    ),
    Mutant(
        "7b",
        "all initial weights of a layer equal",
        ("symmetry",),
        INITIALIZE,
        (Edit(DRAW, "np.full((n, n_prev), rng.standard_normal() * s)", "initialize"),),
    ),
    Mutant(
        "8",
        "the same randomness for every layer",
        ("shared randomness",),
        INITIALIZE,
        (
            Edit("from itertools import pairwise", "import copy\nfrom itertools import pairwise"),
            Edit("rng.standard_normal(", "copy.deepcopy(rng).standard_normal(", "initialize"),
        ),
    ),
    Mutant(
        "9a",
        "Xavier without the square root",
        ("factor",),
        INITIALIZE,
        (Edit("np.sqrt(1 / n_prev)", "1 / n_prev"),),
    ),
    Mutant(
        "9b",
        "fan_in and fan_out swapped",
        ("swapped fans",),
        INITIALIZE,
        (Edit("np.sqrt(2 / n_prev)", "np.sqrt(2 / n)"), Edit("sqrt(1 / n_prev)", "sqrt(1 / n)")),
    ),
    Mutant(
        "10",
        "log(0) for saturated predictions",
        ("saturation",),
        "losses.binary_cross_entropy_from_logits",
        (
            Edit(
                "return (above - Y * Z + np.log1p(np.exp(-size)))[0]",
                "A = sigmoid(Z)\n    return -(Y * np.log(A) + (1 - Y) * np.log(1 - A))[0]",
                "binary_cross_entropy_from_logits",
            ),
        ),
    ),
    Mutant(
        "11a",
        "softmax without subtracting the maximum",
        ("overflow",),
        "activations.softmax",
        (Edit("np.exp(Z - np.max(np.real(Z), axis=0, keepdims=True))", "np.exp(Z)", "softmax"),),
    ),
    Mutant(
        "11b",
        "cross-entropy from logits without subtracting the maximum",
        ("overflow",),
        "losses.softmax_cross_entropy_from_logits",
        (
            Edit(
                "shifted = Z - np.max(np.real(Z), axis=0, keepdims=True)",
                "shifted = Z",
                "softmax_cross_entropy_from_logits",
            ),
        ),
    ),
    Mutant(
        "13a",
        "(m, 1) against (1, m) broadcasts to (m, m)",
        ("broadcast",),
        "logistic_regression.gradients",
        (Edit("dZ = A - Y", "dZ = A.T - Y", "gradients"),),
    ),
    Mutant(
        "13b",
        "labels (m,) against logits (m, 1) accepted",
        ("broadcast",),
        "losses.binary_cross_entropy_from_logits",
        (
            Edit('    require_shape("Y", Y, values.shape)\n', "", "_matrices"),
            Edit("require(rows is None or len(Y) == rows", "require(True", "_matrices"),
        ),
    ),
    Mutant(
        "14a",
        "a label equal to K, whose one-hot column is empty, accepted",
        ("label range",),
        "losses.softmax_cross_entropy_from_logits",
        (Edit("    _require_distributions(Y)\n", "", "softmax_cross_entropy_from_logits"),),
    ),
    Mutant(
        "14b",
        "a label outside [0, 1] accepted",
        ("label range",),
        "losses.binary_cross_entropy_from_logits",
        (Edit('    require(fine, "Y", "labels in [0, 1]", "others")\n', "", "_matrices"),),
    ),
    Mutant(
        "37a",
        "batch norm's backward pass ignores the gradient through the mean",
        ("missing term",),
        BN_BACKWARD,
        (Edit(" - through_mu", "", "backward"),),
    ),
    Mutant(
        "37b",
        "batch norm's backward pass ignores the gradient through the variance",
        ("missing term",),
        BN_BACKWARD,
        (Edit(" - through_var", "", "backward"),),
    ),
    Mutant(
        "38",
        "evaluation uses the statistics of the batch",
        ("train mode at evaluation",),
        "batch_norm.evaluate",
        (
            Edit(
                "return gamma * (Z - mean)",
                "mean, var = np.mean(Z, 1, keepdims=True), np.var(Z, 1, keepdims=True)\n"
                "    return gamma * (Z - mean)",
                "evaluate",
            ),
        ),
    ),
    Mutant(
        "39a",
        "batch norm takes the unbiased variance",
        ("factor n/(n−1)",),
        BN_FORWARD,
        (Edit(VARIANCE, VARIANCE.replace("/ m", "/ (m - 1)"), "forward"),),
    ),
    Mutant(
        "39b",
        "inputs normalised by the unbiased standard deviation",
        ("factor n/(n−1)",),
        "normalization.fit",
        (Edit("keepdims=True) / m)", "keepdims=True) / (m - 1))", "fit"),),
    ),
    Mutant(
        "40a",
        "one-pass variance in batch norm",
        ("cancellation",),
        BN_FORWARD,
        (Edit(VARIANCE, "np.sum(Z**2, axis=1, keepdims=True) / m - mu**2", "forward"),),
    ),
    Mutant(
        "40b",
        "one-pass variance in the normalisation of inputs",
        ("cancellation",),
        "normalization.fit",
        (
            Edit(
                "np.sqrt(np.sum((X - mu) ** 2, axis=1, keepdims=True) / m)",
                "np.sqrt(np.maximum(np.sum(X**2, axis=1, keepdims=True) / m - mu**2, 0))",
                "fit",
            ),
        ),
    ),
    Mutant(
        "41",
        "the test set normalised with its own statistics",
        ("leak",),
        "normalization.apply",
        (
            Edit(
                "return (X - mu) / sigma",
                "mu, sigma = fit(X)\n    return (X - mu) / sigma",
                "apply",
            ),
        ),
    ),
    Mutant(
        "42",
        "a constant feature gives NaN",
        ("division by zero",),
        "normalization.fit",
        (Edit("np.where(constant, 1.0, sigma)", "sigma", "fit"),),
    ),
    Mutant(
        "43",
        "X and Y shuffled separately",
        ("permutation",),
        "minibatch.partition",
        (
            Edit(
                "return [(X[:, batch], Y[:, batch]) for batch in batches]",
                "Y = Y[:, rng.permutation(m)]\n"
                "    return [(X[:, batch], Y[:, batch]) for batch in batches]",
                "partition",
            ),
        ),
    ),
    Mutant(
        "44",
        "the last partial batch lost",
        ("missing rows",),
        "minibatch.partition",
        (Edit("range(0, m, batch_size)", "range(0, m - batch_size + 1, batch_size)", "partition"),),
    ),
    Mutant(
        "46",
        "β sampled on a log scale instead of 1−β",
        ("scale",),
        "search.one_minus_log_uniform",
        (Edit('"one_minus_log_uniform"', '"log_uniform"', "one_minus_log_uniform"),),
    ),
    Mutant(
        "47",
        "the learning rate sampled linearly",
        ("scale",),
        "search.log_uniform",
        (Edit('"log_uniform"', '"uniform"', "log_uniform"),),
    ),
    Mutant(
        "48",
        "the refined box excludes the best point",
        ("box",),
        "search.refine",
        (
            Edit(
                "for s in (centre - half, centre + half))",
                "for s in (centre + half / 2, end))",
                "_shrink",
            ),
            Edit(
                "return kind, max(low, min(ends[0], best)), min(high, max(ends[1], best))",
                "return kind, max(low, ends[0]), min(high, ends[1])",
                "_shrink",
            ),
        ),
    ),
)
