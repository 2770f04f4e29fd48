"""Bias or variance (notes: Bias and Variance, figs. 42 and 43)."""

from reference_numpy._arrays import require


def bias_variance(
    train_error: float,
    dev_error: float,
    base_error: float = 0.0,
    *,
    bias_threshold: float = 5.0,
    variance_threshold: float = 5.0,
) -> str:
    """Whether a model has high bias, high variance, both or neither.

    bias = train error − base error,  variance = dev error − train error

    Each is high if it is strictly greater than its threshold. The notes give four examples and no
    thresholds; these defaults separate them.

    train_error, dev_error, base_error: per cent, in [0, 100]; the base error is the best that can
    be reached, such as a person's. bias_threshold, variance_threshold: percentage points, ≥ 0.
    Returns "bias", "variance", "both" or "neither".
    Raises ValueError for errors outside [0, 100] or below the base error, or negative thresholds.
    Source: notes, Bias and Variance.

    >>> [bias_variance(1, 11), bias_variance(15, 16), bias_variance(15, 30), bias_variance(0.5, 1)]
    ['variance', 'bias', 'both', 'neither']
    >>> bias_variance(15, 16, 14)
    'neither'
    """
    require(0 <= base_error <= 100, "base_error", "per cent in [0, 100]", base_error)
    for name, error in {"train_error": train_error, "dev_error": dev_error}.items():
        expected = f"per cent, from the base error {base_error} to 100"
        require(base_error <= error <= 100, name, expected, error)
    require(bias_threshold >= 0, "bias_threshold", "a number ≥ 0", bias_threshold)
    require(variance_threshold >= 0, "variance_threshold", "a number ≥ 0", variance_threshold)
    high_bias = train_error - base_error > bias_threshold
    high_variance = dev_error - train_error > variance_threshold
    if high_bias and high_variance:
        return "both"
    return "bias" if high_bias else "variance" if high_variance else "neither"
