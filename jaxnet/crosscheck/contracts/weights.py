"""Contract of first weights: scale, distribution, and units and layers that differ."""

from collections.abc import Callable, Iterator
from itertools import combinations, pairwise
from typing import NamedTuple

import numpy as np
from scipy import stats

from jaxnet.crosscheck.comparison import as_array
from jaxnet.crosscheck.contracts.contract import (
    Candidate,
    Contract,
    Part,
    Refused,
    contract_of,
    explained,
    refused,
    titled,
    verdict,
)
from jaxnet.crosscheck.contracts.statistics import (
    FALSE_ALARM,
    correlation,
    correlation_bound,
    deviation_interval,
    distance_bound,
    uniform_distance,
)
from jaxnet.crosscheck.findings import Diagnosis, Explanation
from reference_numpy import initializers

SIZES = (83, 61, 61, 61, 29, 5)
"""Layers wide enough to tell √2 from 1, two of one shape to tell whether they share their draws."""


def _weights(candidate: Candidate, scheme: str, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    params = candidate(np.random.default_rng(seed), SIZES, scheme)
    layers = list(params) if isinstance(params, list | tuple) else []
    if len(layers) != len(SIZES) - 1 or any(len(layer) != 2 for layer in layers):
        raise Refused(f"expected {len(SIZES) - 1} pairs (W, b), got {type(params).__name__}")
    return [(as_array("W", W), as_array("b", b)) for W, b in layers]


def _shapes(candidate: Candidate) -> Diagnosis:
    """Shapes, biases of 0, and units of a layer that differ."""
    found, causes = [], []
    for scheme in ("normal", "xavier", "he", "glorot"):
        for layer, ((W, b), (n_prev, n)) in enumerate(
            zip(_weights(candidate, scheme, 0), pairwise(SIZES), strict=True), start=1
        ):
            if W.shape != (n, n_prev) or b.shape != (n, 1):
                wanted = f"({n}, {n_prev}) and ({n}, 1)"
                found.append(f"{scheme}, layer {layer}: {W.shape} and {b.shape}, expected {wanted}")
                if W.shape == (n_prev, n):
                    causes.append(Explanation("transpose", 1.0, 0.0, f"W{layer}", "W is (in, out)"))
                continue
            if b.any():
                found.append(f"{scheme}, layer {layer}: biases are not 0")
            if np.all(W[:1] == W):
                found.append(f"{scheme}, layer {layer}: all units start alike")
                detail = "units that start alike get the same gradient and stay alike"
                causes.append(Explanation("symmetry", 1.0, 0.0, f"W{layer}", detail))
    W, b = _weights(candidate, "zeros", 0)[1]
    if W.any() or b.any():
        found.append("zeros: weights or biases that are not 0")
    return Diagnosis(
        not found, tuple(found), tuple(causes), ("shapes, biases of 0, units that differ",)
    )


# What the standard deviation may be instead, given n[l−1], n[l] and the right one.
DEVIATIONS: tuple[tuple[str, Callable[[float, float, float], float]], ...] = (
    ("factor: no square root", lambda n_prev, n, s: s**2),
    ("swapped fans", lambda n_prev, n, s: s * np.sqrt(n_prev / n)),
    ("factor √2", lambda n_prev, n, s: s * np.sqrt(2)),
    ("factor 1/√2", lambda n_prev, n, s: s / np.sqrt(2)),
    ("factor 2", lambda n_prev, n, s: 2 * s),
    ("factor ½", lambda n_prev, n, s: s / 2),
    ("factor: not scaled", lambda n_prev, n, s: 1.0),
    ("both fans in place of fan_in", lambda n_prev, n, s: s * np.sqrt(n_prev / (n_prev + n))),
    ("fan_in in place of both fans", lambda n_prev, n, s: s * np.sqrt((n_prev + n) / n_prev)),
    ("factor: fan times fan", lambda n_prev, n, s: np.sqrt(2 / n_prev * n)),
    ("factor: square root twice", lambda n_prev, n, s: np.sqrt(s)),
    ("factor 1/√3", lambda n_prev, n, s: s / np.sqrt(3)),
)  # fmt: skip


class Spread(NamedTuple):
    """Of one layer: fans, number of weights, root mean square, right standard deviation."""

    n_prev: int
    n: int
    count: int
    rms: float
    right: float


def _deviations(scheme: str) -> Part:
    def run(candidate: Candidate) -> Diagnosis:
        layers = []
        for number, (n_prev, n) in enumerate(pairwise(SIZES)):
            draws = [_weights(candidate, scheme, seed)[number][0] for seed in range(3)]
            count = sum(W.size for W in draws)
            rms = float(np.sqrt(np.sum([np.sum(W**2) for W in draws]) / count))
            right = float(initializers.SCHEMES[scheme](n_prev, n))
            layers.append(Spread(n_prev, n, count, rms, right))
        off = [one for one in layers if not _within(one, one.right)]
        causes = []
        before = max(abs(one.rms / one.right - 1) for one in layers)
        for name, other in DEVIATIONS:
            expected = [float(other(one.n_prev, one.n, one.right)) for one in layers]
            if all(_within(one, s) for one, s in zip(layers, expected, strict=True)):
                # Within the sampling error of the hypothesis; that error is not the candidate's.
                detail = "the standard deviation of every layer is the one this gives"
                causes.append(Explanation(name, before, 0.0, "W", detail))
        worst = max(layers, key=lambda one: abs(np.log(max(one.rms, 1e-300) / one.right)))
        return verdict(
            not off,
            f"standard deviations within χ² bounds, {min(one.count for one in layers)} weights or "
            f"more each (false alarm ≤ {FALSE_ALARM:g})",
            f"standard deviation of a {worst.n_prev} → {worst.n} layer {worst.rms:.5f}, expected "
            f"{worst.right:.5f}; {len(off)} of {len(layers)} layers are off",
            causes,
        )

    return titled(f"{scheme}: scale", run)


def _within(layer: Spread, deviation: float) -> bool:
    low, high = deviation_interval(layer.count)
    return low * deviation <= layer.rms <= high * deviation


def _distribution(candidate: Candidate) -> Diagnosis:
    """Normal: Kolmogorov's distance of the standardised weights, all layers and three seeds."""
    drawn = [W for seed in range(3) for W, _ in _weights(candidate, "he", seed)]
    W = np.concatenate([np.ravel(W / (np.std(W) or 1.0)) for W in drawn])
    rivals = {
        "normal": stats.norm.cdf(W),
        "distribution: uniform in place of normal": (W / np.sqrt(3) + 1) / 2,
        "distribution: truncated normal": stats.truncnorm(-2, 2, scale=1 / 0.87962566).cdf(W),
        "distribution: Laplace in place of normal": stats.laplace(scale=1 / np.sqrt(2)).cdf(W),
    }
    distances = {name: uniform_distance(u) for name, u in rivals.items()}
    bound = distance_bound(W.size)
    causes = [
        Explanation(name, distances["normal"], 0.0, "W", f"distance to it {distance:.2g}")
        for name, distance in distances.items()
        if name != "normal" and distance <= bound
    ]
    mean = abs(float(np.mean(W))) * np.sqrt(W.size)
    return verdict(
        distances["normal"] <= bound and mean <= stats.norm.isf(FALSE_ALARM / 2),
        f"normal within Kolmogorov's {bound:.3f} and of mean 0 (false alarm ≤ {FALSE_ALARM:g})",
        f"distance to the normal distribution {distances['normal']:.3f}, bound {bound:.3f}; mean "
        f"{mean:.1f} standard errors from 0",
        causes,
    )


def _independence(candidate: Candidate) -> Diagnosis:
    """Layers, and seeds, that have nothing to do with one another."""
    layers = [W for W, _ in _weights(candidate, "he", 0)]
    other = [W for W, _ in _weights(candidate, "he", 1)]
    again = [W for W, _ in _weights(candidate, "he", 0)]
    found, causes = [], []
    for i, j in combinations(range(len(layers)), 2):
        # Of layers that differ in shape one key gives the same stream, or the same corner.
        for one, two in _overlaps(layers[i], layers[j]):
            r = correlation(one, two)
            if abs(r) > correlation_bound(one.size):
                found.append(f"weights of layers {i + 1} and {j + 1} have correlation {r:.3f}")
                detail = f"layers {i + 1} and {j + 1} are multiples of one draw"
                causes += explained(
                    "shared randomness", 1.0, 1 - abs(r), detail, f"W{i + 1}, W{j + 1}"
                )
    for one, two in zip(layers, other, strict=True):
        r = correlation(one, two)
        if one.size > 100 and abs(r) > correlation_bound(one.size):
            found.append(f"two seeds give weights of correlation {r:.3f}")
            causes += explained("reused key", 1.0, 1 - abs(r), "the generator does not matter", "W")
    if any(not np.array_equal(one, two) for one, two in zip(layers, again, strict=True)):
        found.append("one seed gives different weights each time")
        detail = "randomness that is not the generator's"
        causes.append(Explanation("not a function of its arguments", 1.0, 0.0, "W", detail))
    checks = ("layers and seeds uncorrelated (Fisher's z), one seed always the same",)
    return Diagnosis(not found, tuple(dict.fromkeys(found)), tuple(causes), checks)


def _overlaps(one: np.ndarray, other: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    size = min(one.size, other.size)
    if size > 100:
        yield np.ravel(one)[:size], np.ravel(other)[:size]
    rows, columns = (min(pair) for pair in zip(one.shape, other.shape, strict=True))
    if one.shape != other.shape and rows * columns > 100:
        yield one[:rows, :columns], other[:rows, :columns]


def _initialize_parts() -> Iterator[Part]:
    yield titled("form", _shapes)
    for scheme in ("normal", "xavier", "he", "glorot"):
        yield _deviations(scheme)
    yield titled("distribution", _distribution)
    yield titled("independence", _independence)
    yield refused(
        "an unknown scheme", (np.random.default_rng(0), (3, 2), "no such scheme"),
        name="unknown scheme accepted",
    )  # fmt: skip


def contracts() -> Iterator[Contract]:
    """initializers.initialize."""
    yield contract_of(
        "initializers.initialize",
        initializers.initialize,
        "rng: numpy Generator; layer_sizes: n[0] … n[L]; scheme: zeros, normal, xavier, he or "
        "glorot ↦ list of (W (n[l], n[l−1]), b (n[l], 1)).",
        _initialize_parts(),
    )
