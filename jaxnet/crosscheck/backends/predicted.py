"""What other conventions than the notes' come to, in Bounded numbers, apart from update rules."""

import numpy as np

from jaxnet.crosscheck import bounds
from jaxnet.crosscheck.bounds import Bounded
from jaxnet.crosscheck.cases import batch_norm
from jaxnet.crosscheck.cases.case import Args, Results


def derivative_at_0(args: Args, at_0: float, below: float) -> Results:
    """An activation with slope 1 above 0, `below` below it, and `at_0` for its derivative at 0."""
    Z = args["Z"]
    derivative = np.where(Z > 0, 1.0, np.where(Z < 0, below, at_0))
    A = np.where(Z > 0, Z, below * Z)
    return {"A": bounds.rounded(A, 2), "dZ": bounds.rounded(derivative)}


def mean_over_all_entries(args: Args) -> Results:
    """(1/(m·n_out)) Σ (ŷ − y)² and its gradient: no ½, and the mean over output units as well."""
    apart = bounds.bounded(args["Z"]) - args["Y"]
    return {"J": bounds.mean(apart * apart)[0, 0], "dZ": 2 * apart / args["Z"].size}


def decayed_everywhere(args: Args) -> Results:
    """θ := (1 − αλ/m) θ − α dθ, for weights and biases alike."""
    alpha, results = bounds.bounded(args["learning_rate"]), {}
    for name in ("W1", "b1", "W2", "b2"):
        theta = bounds.bounded(args[name])
        shrink = alpha * args["lam"] / args["m"] * theta
        stepped = theta - alpha * args[f"d{name}"] - shrink
        # (1 − αλ/m)θ − α dθ, or θ − α(dθ + (λ/m)θ): one more product and sum.
        more = np.abs(stepped.value) + np.abs(theta.value)
        results[name] = Bounded(stepped.value, stepped.error + more)
    return results


def slope_at_zero(args: Args, at_0: float) -> Results:
    """The L1 penalty and its gradient with another derivative of |w| at 0."""
    rate = bounds.bounded(args["lam"]) / (2 * args["m"])
    weights = [args["W1"], args["W2"]]
    sizes = np.concatenate([np.abs(W).ravel() for W in weights])
    total = bounds.total(bounds.bounded(sizes)) * bounds.rounded(rate.value, 2)
    slopes = [rate * np.where(W == 0, at_0, np.sign(W)) for W in weights]
    return {"J": total[0], "dW1": slopes[0], "dW2": slopes[1]}


def dropout_by_rate(args: Args) -> Results:
    """Errors of dropout by its rate: 1 − (1 − keep_prob) is off by a unit of 1, which is
    1/keep_prob units of its own."""
    units = (4 + 2 / args["keep_prob"]) / args["keep_prob"]
    return {"out": units * np.abs(args["A"]), "dA": units * np.abs(args["weights"])}


def one_pass_batch_norm(args: Args) -> Results:
    """Errors of batch norm whose variance is E z² − (E z)².

    Both terms round in proportion to themselves and their difference keeps that: the error of the
    variance is that of E z², mean²/variance times larger than in two passes.
    """
    Z = bounds.bounded(args["Z"])
    mu, mean_of_squares = bounds.mean(Z, axis=1), bounds.mean(Z * Z, axis=1)
    return batch_norm.training_errors(args, mean_of_squares - mu * mu)
