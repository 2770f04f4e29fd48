"""Rows for the laws that initial weights are drawn from.

Random numbers cannot agree, their law can: the weights, divided by the standard deviation that the
notes' scheme gives them, should be standard normal. Four statistics are held against their exact
values, each within what a sample of that size can be off:

    E z,   E z²,   E z⁴,   sup |F_N − Φ|

the last the distance of the empirical distribution from the normal one (Kolmogorov and Smirnov).
"""

from itertools import pairwise
from typing import Any

import jax
import numpy as np
from scipy import stats

from jaxnet.crosscheck import layout
from jaxnet.crosscheck.cases.case import Absolute, Args, Case, Results, sizes
from jaxnet.initializers import INITIALIZERS
from reference_numpy import initializers as reference

SIGMAS = 6.0
"""Standard errors that a mean may be off: a right sampler fails once in 5e8 draws."""

MISSED = 2e-9
"""The same probability for the distance, from 2·exp(−2Nt²) ≤ MISSED (Dvoretzky, Kiefer, Wolfowitz;
Massart's constant), which holds for every law and every N."""

SCHEMES = ("normal", "xavier", "he", "glorot")
SCALES = {"normal": 0.01}


Law = Any
"""The law of z, a frozen distribution of scipy.stats."""

NORMAL: Law = stats.norm()


def uniform(variance: float = 1.0) -> Law:
    """U(−a, a) with a²/3 = variance."""
    a = np.sqrt(3 * variance)
    return stats.uniform(-a, 2 * a)


def truncated() -> Law:
    """Normal, cut at ±2 of its own σ and rescaled to variance 1, as JAX and keras draw it."""
    return stats.truncnorm(-2, 2, scale=1 / stats.truncnorm(-2, 2).std())


def expected(law: Law) -> np.ndarray:
    """The exact statistics of a law; its distance from the normal one on a fine grid."""
    z = np.linspace(-6, 6, 200_001)
    distance = np.abs(law.cdf(z) - NORMAL.cdf(z)).max()
    return np.array([law.moment(1), law.moment(2), law.moment(4), distance])


def sampled(law: Law, args: Args) -> dict[str, Absolute]:
    """The exact statistics of a law, and how far those of a sample may be from them."""
    count = int(np.prod(args["sizes"]))
    variances = np.array([law.moment(2 * k) - law.moment(k) ** 2 for k in (1, 2, 4)])
    # |sup|F_N − Φ| − sup|F − Φ|| ≤ sup|F_N − F|.
    distance = np.sqrt(np.log(2 / MISSED) / (2 * count))
    allowed = np.array([*SIGMAS * np.sqrt(variances / count), distance])
    return {"statistics": Absolute(allowed, expected(law))}


def statistics(W: Any, scheme: str) -> Results:
    """The statistics of weights W (n_out, n_in), in units of the scheme's standard deviation."""
    n_out, n_in = np.shape(W)
    z = np.sort(np.ravel(np.asarray(W, np.float64))) / reference.SCHEMES[scheme](n_in, n_out)
    rank, cdf = np.arange(z.size + 1) / z.size, NORMAL.cdf(z)
    distance = max(np.abs(rank[1:] - cdf).max(), np.abs(rank[:-1] - cdf).max())
    return {"statistics": np.array([z.mean(), (z**2).mean(), (z**4).mean(), distance])}


def _draw(rng: np.random.Generator) -> Args:
    n_in, n_out = sizes(rng, 2, low=150, high=350)
    return {"sizes": [n_in, n_out], "seed": int(rng.integers(1000))}


def reference_statistics(args: Args, scheme: str) -> Results:
    """What the NumPy reference draws."""
    rng = np.random.default_rng(args["seed"])
    return statistics(reference.initialize(rng, args["sizes"], scheme)[0][0], scheme)


def _jaxnet(args: Args, scheme: str) -> Results:
    ((n_in, n_out),) = pairwise(args["sizes"])
    w = SCALES.get(scheme, 1.0) * INITIALIZERS[scheme](jax.random.key(args["seed"]), n_in, n_out)
    return statistics(layout.columns(w), scheme)


def _row(scheme: str) -> Case:
    return Case(
        name=f"initializers/law_of_{scheme}",
        quantity=f"moments and distribution of weights by {scheme}, against the notes' normal law",
        draw=_draw,
        reference=lambda args: {"statistics": expected(NORMAL)},
        jaxnet=lambda args: _jaxnet(args, scheme),
        errors=lambda args: sampled(NORMAL, args),
        traced=False,
    )


CASES = tuple(_row(scheme) for scheme in SCHEMES)
"""Apart from the registry's other rows: their bounds are of sampling, a percent and not 1e-13."""
