"""The verdict on bias and variance."""

import jax.numpy as jnp
import pytest

import reference_numpy.diagnostics
from jaxnet.diagnostics import bias_variance


@pytest.mark.parametrize(
    ("train", "dev", "base", "expected"),
    [
        # The notes' four cases, base error 0, and the second again where people err as well.
        (1, 11, 0, "variance"),
        (15, 16, 0, "bias"),
        (15, 30, 0, "both"),
        (0.5, 1, 0, "neither"),
        (15, 16, 14, "neither"),
        (20, 21, 14, "bias"),
        # At the threshold a gap is not high yet; a dev error below the train error is no variance.
        (5, 10, 0, "neither"),
        (5.1, 10, 0, "bias"),
        (5, 10.1, 0, "variance"),
        (4, 3, 0, "neither"),
    ],
)
def test_verdict(train, dev, base, expected):
    assert bias_variance(train, dev, base) == expected
    assert reference_numpy.diagnostics.bias_variance(train, dev, base) == expected


def test_thresholds_are_arguments_in_the_unit_of_the_errors():
    assert bias_variance(0.01, 0.11) == "neither"  # shares against thresholds in per cent
    assert bias_variance(0.01, 0.11, bias_threshold=0.05, variance_threshold=0.05) == "variance"
    assert bias_variance(15, 16, bias_threshold=20) == "neither"
    assert bias_variance(15, 16, variance_threshold=0.5) == "both"
    assert bias_variance(jnp.asarray(15.0), jnp.asarray(30.0), jnp.asarray(0.0)) == "both"


@pytest.mark.parametrize(
    ("errors", "named"),
    [
        ((13, 16, 14), "train_error.*14"),
        ((15, 13, 14), "dev_error.*14"),
        ((101, 102, 0), "train_error.*101"),
        ((1, 101, 0), "dev_error.*101"),
        ((1, 2, -1), "base_error.*-1"),
        ((float("nan"), 2, 0), "train_error.*nan"),
        ((1, float("nan"), 0), "dev_error.*nan"),
    ],
)
def test_refuses_errors(errors, named):
    with pytest.raises(ValueError, match=named):
        bias_variance(*errors)


@pytest.mark.parametrize("threshold", ["bias_threshold", "variance_threshold"])
def test_refuses_thresholds(threshold):
    with pytest.raises(ValueError, match=threshold):
        bias_variance(1, 2, **{threshold: -1})
