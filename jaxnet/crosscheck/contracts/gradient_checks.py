"""Contracts of gradient checking: slopes, verdicts on planted errors, θ and distances."""

import copy
from collections.abc import Iterator

import numpy as np

from jaxnet.crosscheck.comparison import as_array
from jaxnet.crosscheck.contracts.contract import (
    Candidate,
    Contract,
    Part,
    Refused,
    contract_of,
    draw,
    explained,
    titled,
)
from jaxnet.crosscheck.equations.locate import residual
from jaxnet.crosscheck.findings import Diagnosis, Explanation
from reference_numpy import gradient_check


def _smooth(theta: np.ndarray) -> float:
    """A cost of three scales, curved everywhere, so that a one-sided quotient is off."""
    theta = np.ravel(theta)
    return float(np.sum(np.sin(theta)) + np.sum(theta**2 * np.roll(theta, 1)) + theta[0] ** 3)


def _smooth_gradient(theta: np.ndarray) -> np.ndarray:
    flat = np.ravel(theta)
    grad = np.cos(flat) + 2 * flat * np.roll(flat, 1) + np.roll(flat, -1) ** 2
    grad[0] += 3 * flat[0] ** 2
    return grad.reshape(np.shape(theta))


POINT = np.random.default_rng(0).standard_normal((3, 5))


def _quotients(candidate: Candidate) -> Diagnosis:
    """The slopes at two ε: a two-sided quotient's error falls as ε², a one-sided as ε."""
    right = _smooth_gradient(POINT)
    found, causes = [], []
    for eps in (1e-2, 1e-4):
        mine = as_array("gradient", candidate(_smooth, POINT.copy(), eps))
        if mine.shape != POINT.shape:
            raise Refused(f"expected the shape of theta, {POINT.shape}, got {mine.shape}")
        wanted = gradient_check.central_differences(_smooth, POINT, eps)
        apart = residual(mine, wanted)
        # Rounding of J, of some 10, in a quotient by 2ε: 10·u/ε, and as much on the other side.
        bound = 100 * np.finfo(float).eps / eps
        if apart > bound:
            found.append(f"ε = {eps:g}: slopes are off by {apart:.2g}, allowed {bound:.1g}")
            causes += _other_quotients(mine, eps, apart, right)
    # What does not come back: coordinates left displaced show in the calls of J.
    checks = ("the two-sided quotient at ε = 1e-2 and 1e-4, where its ε² term shows",)
    return Diagnosis(not found, tuple(found), tuple(causes), checks)


def _other_quotients(mine, eps, apart, right) -> list[Explanation]:
    one_sided = gradient_check.one_sided_differences(_smooth, POINT, eps)
    backward = -gradient_check.one_sided_differences(lambda t: _smooth(-t), -POINT, eps)
    drift, theta = [], np.ravel(POINT.copy())
    for k in range(theta.size):
        up = theta.copy()
        up[k] += eps
        down = theta.copy()
        down[k] -= eps
        drift.append((_smooth(up) - _smooth(down)) / (2 * eps))
        theta = down
    left_up, theta = [], np.ravel(POINT.copy())
    for k in range(theta.size):
        up, down = theta.copy(), theta.copy()
        up[k] += eps
        down[k] -= eps
        left_up.append((_smooth(up) - _smooth(down)) / (2 * eps))
        theta = up
    central = gradient_check.central_differences(_smooth, POINT, eps)
    named = (
        ("one-sided", one_sided, "(J(θ + ε) − J(θ))/ε"),
        ("one-sided", -backward, "(J(θ) − J(θ − ε))/ε"),
        ("θ not restored", np.reshape(drift, POINT.shape), "each coordinate stays at θ − ε"),
        ("θ not restored", np.reshape(left_up, POINT.shape), "each coordinate stays at θ + ε"),
        ("factor 2", 2 * central, "divided by ε where 2ε belongs"),
        ("factor ½", central / 2, "divided by twice the step"),
    )
    causes: list[Explanation] = []
    for name, predicted, detail in named:
        after = residual(mine, predicted)
        causes += explained(f"the checker itself: {name}", apart, after, detail)
    return causes


def _calls(candidate: Candidate) -> Diagnosis:
    """J is asked at θ ± ε eₖ for every coordinate k and, at most, at θ: nowhere else."""
    asked: list[np.ndarray] = []

    def J(theta):
        asked.append(np.array(theta, float))
        return _smooth(theta)

    theta = POINT.copy()
    candidate(J, theta, 1e-4)
    moved = [np.flatnonzero(np.ravel(at) != np.ravel(POINT)) for at in asked]
    several = sum(len(at) > 1 for at in moved)
    never = sorted(set(range(POINT.size)) - {int(k) for at in moved for k in at})
    found, causes = [], []
    if several:
        found.append(f"{several} of {len(asked)} calls of J move several coordinates at once")
        detail = "a coordinate is still displaced when the next is tried"
        causes.append(Explanation("the checker itself: θ not restored", 1.0, 0.0, "", detail))
    if never:
        found.append(f"J is never asked about coordinates {never}")
        detail = f"coordinates {never} are never moved"
        causes.append(Explanation("the checker itself: coordinates left out", 1.0, 0.0, "", detail))
    if not np.array_equal(theta, POINT):
        found.append("theta is changed in place")
        causes.append(Explanation("the checker itself: θ not restored", 1.0, 0.0, "", "given θ"))
    checks = ("every coordinate moved, one at a time; theta as it was",)
    return Diagnosis(not found, tuple(found), tuple(causes), checks)


def _verdicts(candidate: Candidate) -> Diagnosis:
    """Gradients with errors of known size in each single coordinate: all must be seen."""
    right = _smooth_gradient(POINT)
    found, causes, passed = [], [], []

    def distance(grad: np.ndarray) -> float:
        result = candidate(_smooth, POINT.copy(), grad.copy(), eps=1e-5)
        if not hasattr(result, "relative_distance"):
            raise Refused("expected a gradient_check.GradientCheck")
        return float(result.relative_distance)

    own = distance(right)
    if own > 1e-7:
        found.append(f"a right gradient is at distance {own:.2g}, which is above 1e-7")
        causes += _why_distant(own, right)
    for k in range(right.size):
        wrong = right.copy()
        wrong.flat[k] += 0.1 * (abs(wrong.flat[k]) + 1)
        seen = distance(wrong)
        expected = gradient_check.relative_distance(right, wrong)
        if abs(seen - expected) > 1e-4 * expected + 1e-7:
            passed.append(k)
            if len(passed) == 1:
                found.append(
                    f"an error in coordinate {k} is at distance {seen:.3g}, expected {expected:.3g}"
                )
    if passed and own <= 1e-7:
        blind = all(distance(_planted(right, k)) <= 1e-7 for k in passed)
        name = "coordinates left out" if blind else "the distance"
        detail = f"errors in coordinates {passed} of {right.size} are misjudged"
        causes.append(Explanation(f"the checker itself: {name}", 1.0, 0.0, "", detail))
    for factor, called in ((0.0, "zero"), (2.0, "doubled"), (-1.0, "negated")):
        if distance(factor * right) < 1e-3:
            found.append(f"a {called} gradient passes")
    checks = (f"errors of a tenth in each of {right.size} coordinates, each at its distance",)
    return Diagnosis(not found, tuple(found), tuple(causes), checks)


def _planted(right: np.ndarray, k: int) -> np.ndarray:
    wrong = right.copy()
    wrong.flat[k] += 1.0
    return wrong


def _why_distant(own: float, right: np.ndarray) -> list[Explanation]:
    one = gradient_check.relative_distance(
        gradient_check.one_sided_differences(_smooth, POINT, 1e-5), right
    )
    central = gradient_check.central_differences(_smooth, POINT, 1e-5)
    named = (("one-sided", one), ("factor 2", gradient_check.relative_distance(2 * central, right)),
             ("factor ½", gradient_check.relative_distance(central / 2, right)))  # fmt: skip
    return [
        Explanation(f"the checker itself: {name}", own, abs(own - d), "", f"gives distance {d:.3g}")
        for name, d in named
        if abs(own - d) <= 0.01 * own
    ]


def _flatten_parts() -> Iterator[Part]:
    rng = np.random.default_rng(2)
    params = [(rng.standard_normal(s), rng.standard_normal((s[0], 1))) for s in ((4, 3), (2, 4))]

    def run(candidate: Candidate) -> Diagnosis:
        theta = as_array("theta", candidate(copy.deepcopy(params)))
        right = gradient_check.flatten(params)
        if np.array_equal(np.ravel(theta), right) and theta.shape == right.shape:
            return Diagnosis(True, (), (), ("every entry of W and b, in order",))
        missing = [
            f"{'Wb'[i]}{layer}"
            for layer, each in enumerate(params, start=1)
            for i, one in enumerate(each)
            if not np.isin(one, theta).all()
        ]
        causes = []
        if missing and all(name.startswith("b") for name in missing):
            rest = np.concatenate([np.ravel(W) for W, _ in params])
            after = residual(np.ravel(theta), rest)
            detail = f"{', '.join(missing)} are not in θ"
            causes = explained("the checker itself: biases left out", 1.0, after, detail)
        elif not missing:
            causes = [Explanation("permutation", 1.0, 0.0, "θ", "all entries, in another order")]
        found = f"{theta.size} entries, expected {right.size}; not there: {', '.join(missing)}"
        return Diagnosis(False, (found,), tuple(causes), ("θ",))

    yield titled("two layers", run)


def contracts() -> Iterator[Contract]:
    """gradient_check: central_differences, check, flatten, relative_distance."""
    differences = [titled("slopes", _quotients), titled("calls", _calls)]
    yield contract_of(
        "gradient_check.central_differences",
        gradient_check.central_differences,
        "J: array ↦ number; theta: array of any shape ↦ the slopes in its shape, two-sided.",
        differences,
    )
    yield contract_of(
        "gradient_check.check",
        gradient_check.check,
        "J: array ↦ number; theta, grad: arrays of one shape ↦ a gradient_check.GradientCheck.",
        [titled("planted errors", _verdicts)],
    )
    yield contract_of(
        "gradient_check.flatten",
        gradient_check.flatten,
        "params: list of (W, b) ↦ θ, one vector of every weight and bias.",
        _flatten_parts(),
    )
    distances = [
        draw(f"gradients of some {size:g}", gradient_check.relative_distance,
             tuple(size * np.random.default_rng(seed).standard_normal(7) for seed in (0, 1)))
        for size in (1.0, 1e-6, 1e6)
    ]  # fmt: skip
    yield contract_of(
        "gradient_check.relative_distance",
        gradient_check.relative_distance,
        "a, b: arrays of one shape ↦ ‖a − b‖/(‖a‖ + ‖b‖).",
        [
            *distances,
            draw("two zeros", gradient_check.relative_distance, (np.zeros(3), np.zeros(3))),
        ],
    )
