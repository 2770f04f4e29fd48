"""Bugs written after the hypotheses were, in losses, normalisation, sampling and data.

As in `fresh`, the names were set down before the first run.
"""

from scripts.mutants.fresh import fresh

BN_FORWARD, BN_BACKWARD = "batch_norm.forward", "batch_norm.backward"

MUTANTS = (
    fresh(
        40,
        "γ on Z in place of the normalised Z",
        ("other array", "missing term"),
        BN_FORWARD,
        ("gamma * Z_hat + beta", "gamma * Z + beta"),
    ),
    fresh(
        41,
        "ẑ forgotten in the term through the variance",
        ("missing factor",),
        BN_BACKWARD,
        ("through_var = Z_hat * np.sum", "through_var = np.sum"),
    ),
    fresh(
        42,
        "1/√(σ² + ε) forgotten",
        ("missing factor",),
        BN_BACKWARD,
        (
            "(dZ_hat - through_mu - through_var) / np.sqrt(var + eps)",
            "dZ_hat - through_mu - through_var",
        ),
    ),
    fresh(
        43,
        "γ in its own gradient",
        ("factor γ",),
        BN_BACKWARD,
        ("np.sum(dZ_tilde * Z_hat, axis=1", "np.sum(gamma * dZ_tilde * Z_hat, axis=1"),
    ),
    fresh(
        44,
        "the variance taken for the deviation",
        ("missing sqrt", "missing root", "square root", "root"),
        "batch_norm.evaluate",
        ("np.sqrt(var + eps)", "(var + eps)"),
    ),
    fresh(
        45,
        "the running variance follows the batch's mean",
        ("other array",),
        "batch_norm.update_running",
        ("(1 - decay) * batch_var", "(1 - decay) * batch_mean"),
    ),
    fresh(
        46,
        "the sign of the other classes in the Jacobian",
        ("sign",),
        "activations.softmax_derivative",
        ("(delta - A[None, :, :])", "(delta + A[None, :, :])"),
    ),
    fresh(
        47,
        "the slope on the wrong side",
        ("swapped", "sign", "other side"),
        "activations.leaky_relu",
        ("slope * Z, Z)", "Z, slope * Z)"),
    ),
    fresh(
        48,
        "leaky ReLU′(0) is the slope",
        ("kink convention",),
        "activations.leaky_relu_derivative",
        ("np.real(Z) < 0", "np.real(Z) <= 0"),
    ),
    fresh(
        49,
        "the sign of the term of the ones",
        ("sign",),
        "losses.binary_cross_entropy_gradient",
        ("negative - positive", "negative + positive"),
    ),
    fresh(
        50,
        "labels smoothed",
        ("label smoothing", "extra term", "Y"),
        "losses.binary_cross_entropy_from_logits",
        ("above - Y * Z", "above - (0.9 * Y + 0.05) * Z"),
    ),
    fresh(
        51,
        "the mean over the outputs",
        ("mean in place of sum", "factor 1/n", "factor ⅓", "factor 1/3"),
        "losses.squared_error",
        ("np.sum((A - Y) ** 2, axis=0)", "np.mean((A - Y) ** 2, axis=0)"),
    ),
    fresh(
        52,
        "2 in the gradient of the halved square",
        ("factor 2",),
        "losses.squared_error_gradient",
        ("return A - Y", "return 2 * (A - Y)"),
    ),
    fresh(
        53,
        "scaled by the range, not the deviation",
        ("range", "other statistic", "other function"),
        "normalization.fit",
        ("np.where(constant, 1.0, sigma)", "np.where(constant, 1.0, np.ptp(X, 1, keepdims=True))"),
    ),
    fresh(
        54,
        "mini-batches that overlap by one example",
        ("extra rows", "overlap", "leak"),
        "minibatch.partition",
        ("order[start : start + batch_size]", "order[max(start - 1, 0) : start + batch_size]"),
    ),
    fresh(
        55,
        "examples drawn with replacement",
        ("replacement", "missing rows", "permutation"),
        "minibatch.partition",
        ("rng.permutation(m)", "rng.integers(m, size=m)"),
    ),
    fresh(
        56,
        "parts not shuffled",
        ("permutation", "not shuffled"),
        "splits.split",
        ("rng.permutation(int(m))", "np.arange(int(m))"),
    ),
    fresh(
        57,
        "biases drawn like weights",
        ("biases", "extra term on biases"),
        "initializers.initialize",
        ("b = np.zeros((n, 1))", "b = rng.standard_normal((n, 1)) * s"),
    ),
    fresh(
        58,
        "1 − β given back in place of β",
        ("one minus it", "complement", "scale"),
        "search.one_minus_log_uniform",
        (
            'return from_uniform(rng.random(size), "one_minus_log_uniform", a, b)',
            'return 1 - from_uniform(rng.random(size), "one_minus_log_uniform", a, b)',
        ),
    ),
    fresh(
        59,
        "the upper end never drawn",
        ("off by one", "end"),
        "search.integers",
        ('"integers", a, b)', '"integers", a, max(a, b - 1))'),
    ),
    fresh(
        60,
        "the box does not shrink",
        ("box", "factor 2", "shrink"),
        "search.refine",
        ("points[name][best].item(), shrink)", "points[name][best].item(), 1.0)"),
    ),
    fresh(
        61,
        "degrees taken for radians",
        ("unit", "radians", "factor π/180", "factor 180/π"),
        "augmentation.rotate",
        (
            "np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))",
            "np.sin(degrees), np.cos(degrees)",
        ),
    ),
    fresh(
        62,
        "shrinks where it should enlarge",
        ("reciprocal", "inverse", "1/factor in place of factor", "factor factor²"),
        "augmentation.zoom",
        ("(y - c_y) / factor", "(y - c_y) * factor"),
        ("(x - c_x) / factor", "(x - c_x) * factor"),
    ),
    fresh(
        63,
        "min_delta ignored",
        ("min_delta ignored", "min_delta taken as 0", "min_delta"),
        "early_stopping.rule",
        ("cost < lowest - min_delta", "cost < lowest"),
    ),
    fresh(
        64,
        "whole units dropped, the same for all examples",
        ("broadcast", "shared randomness", "axis", "correlation"),
        "regularizers.dropout_mask",
        (
            "rng.random(shape) < keep_prob",
            "np.broadcast_to(rng.random((shape[0], 1)) < keep_prob, shape).copy()",
        ),
    ),
    fresh(
        65,
        "dropout keeps too many: ≤ of a rounded number",
        ("factor", "share", "keep_prob"),
        "regularizers.dropout_mask",
        ("rng.random(shape) < keep_prob", "np.floor(10 * rng.random(shape)) <= 10 * keep_prob"),
    ),
    fresh(
        66,
        "predictions for the smallest score",
        ("sign",),
        "evaluation.accuracy",
        ("np.argmax(scores, axis=0)", "np.argmin(scores, axis=0)"),
        source="scripts/mutants/right.py",
    ),
    fresh(
        67,
        "every second coordinate checked",
        ("the checker itself", "coordinates left out"),
        "gradient_check.check",
        (
            "distance = relative_distance(numerical, grad)",
            "distance = relative_distance(numerical.flat[::2], grad.flat[::2])",
        ),
    ),
)
