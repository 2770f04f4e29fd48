"""Contracts of hyperparameter search: on which scale is drawn, and the refined box."""

from collections.abc import Callable, Iterator
from typing import Any

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
    distance_bound,
    uniform_distance,
)
from jaxnet.crosscheck.findings import Diagnosis, Explanation
from reference_numpy import search

DRAWS = 2000

SCALES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "uniform": lambda r: r,
    "log_uniform": np.log,
    "one_minus_log_uniform": lambda r: np.log1p(-r),
}
RANGES = {
    "uniform": ((-2.0, 5.0), (0.1, 0.9)),
    "log_uniform": ((1e-4, 1.0), (0.02, 7.0)),
    "one_minus_log_uniform": ((0.9, 0.999), (0.3, 0.99)),
    "integers": ((2, 12), (-1, 1)),
}


def _position(scale: Callable, r: np.ndarray, a: float, b: float) -> np.ndarray:
    """Where numbers lie between a and b on a scale, 0 to 1; NaN where the scale has no number."""
    low, high = sorted((float(scale(np.float64(a))), float(scale(np.float64(b)))))
    return (scale(r) - low) / (high - low)


def _drawn(candidate: Candidate, a: Any, b: Any, seed: int = 0) -> np.ndarray:
    r = as_array("draws", candidate(np.random.default_rng(seed), a, b, DRAWS))
    if r.shape != (DRAWS,):
        raise Refused(f"expected shape ({DRAWS},), got {r.shape}")
    return r.astype(float)


def _scale_part(kind: str, a: float, b: float) -> Part:
    def run(candidate: Candidate) -> Diagnosis:
        r = _drawn(candidate, a, b)
        slack = 4 * np.finfo(np.float32).eps * max(abs(a), abs(b))
        inside = bool(np.all((r >= a - slack) & (r <= b + slack)))
        distances = {
            name: uniform_distance(_position(scale, np.clip(r, a, b), a, b))
            for name, scale in SCALES.items()
            if not (name == "log_uniform" and a <= 0) and not (name.startswith("one") and b >= 1)
        }
        bound = distance_bound(DRAWS)
        causes = [
            # The distance left is sampling error: under its bound it counts as none.
            Explanation(
                "scale", distances[kind], 0.0, "", f"the draws are {name}: distance {d:.2g}"
            )
            for name, d in distances.items()
            if name != kind and d <= bound
        ]
        found = "" if inside else f"draws from {r.min():.4g} to {r.max():.4g}, outside the range; "
        return verdict(
            inside and distances[kind] <= bound,
            f"{DRAWS} draws within the range, and even on its scale within Kolmogorov's "
            f"{bound:.3f} (false alarm ≤ {FALSE_ALARM:g})",
            f"{found}distance to {kind} {distances[kind]:.3f}, bound {bound:.3f}",
            causes,
        )

    return titled(f"from {a:g} to {b:g}", run)


def _integers_part(a: int, b: int) -> Part:
    def run(candidate: Candidate) -> Diagnosis:
        r = _drawn(candidate, a, b)
        whole = bool(np.all(r == np.round(r)))
        counts = np.array([np.sum(r == k) for k in range(a, b + 1)])
        outside = DRAWS - int(counts.sum())
        p = float(stats.chisquare(counts).pvalue) if counts.sum() else 0.0
        causes = []
        for name, share in (
            ("off by one: b left out", np.r_[np.ones(b - a), 0]),
            ("rounding: ends half as often", np.r_[0.5, np.ones(b - a - 1), 0.5]),
        ):
            expected = share / share.sum() * DRAWS
            fits = np.all(counts[expected == 0] == 0) and outside == 0
            kept = expected > 0
            if fits and stats.chisquare(counts[kept], expected[kept]).pvalue >= FALSE_ALARM:
                detail = f"counts are {counts.tolist()}"
                causes.append(Explanation(name, 1.0, 0.0, "", detail))
        return verdict(
            whole and not outside and p >= FALSE_ALARM,
            f"{DRAWS} draws: integers, {a} … {b} alike by χ² (false alarm ≤ {FALSE_ALARM:g})",
            f"counts of {a} … {b}: {counts.tolist()}, {outside} others",
            causes,
        )

    return titled(f"integers from {a} to {b}", run)


def _seeds(kind: str) -> Part:
    def run(candidate: Candidate) -> Diagnosis:
        a, b = RANGES[kind][0]
        one, again, other = (_drawn(candidate, a, b, seed) for seed in (0, 0, 1))
        detail = "the generator given does not matter"
        if np.array_equal(one, other):
            cause = Explanation("reused key", 1.0, 0.0, "", detail)
            return Diagnosis(False, ("two seeds draw the same",), (cause,), ("seeds matter",))
        hidden = Explanation("not a function of its arguments", 1.0, 0.0, "", "hidden randomness")
        distinct = len(np.unique(one)) > (1 if kind == "integers" else DRAWS // 2)
        return verdict(
            bool(np.array_equal(one, again)) and distinct,
            "seeds matter, and nothing else does; draws differ",
            "one seed draws differently each time, or draws repeat",
            [hidden] if distinct else [],
        )

    return titled("seeds", run)


def _sampler_parts(kind: str) -> Iterator[Part]:
    for a, b in RANGES[kind]:
        yield _integers_part(int(a), int(b)) if kind == "integers" else _scale_part(kind, a, b)
    yield _seeds(kind)
    ends = (5, 2) if kind == "integers" else (0.9, 0.5)
    yield refused("a > b", (np.random.default_rng(0), *ends, 3), name="reversed range accepted")


SPACE = {
    "alpha": ("log_uniform", 1e-4, 1.0),
    "beta": ("one_minus_log_uniform", 0.9, 0.999),
    "keep": ("uniform", 0.3, 1.0),
    "units": ("integers", 2, 40),
}


def _refined(candidate: Candidate) -> Diagnosis:
    """The new box lies in the old one, contains the best point, and is smaller on its own scale."""
    found, causes = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        shrink = (0.5, 0.3, 0.8)[seed % 3]
        points, scores = search.random(rng, SPACE, 7), rng.random(7)
        if seed % 4 == 0:  # the best point at an end of the box, where half a width does not fit
            best = int(np.argmin(scores))
            for name, (_, low, high) in SPACE.items():
                points[name][best] = low if seed % 8 else high
        best = int(np.argmin(scores))
        box = candidate(
            dict(SPACE), {k: v.copy() for k, v in points.items()}, scores.copy(), shrink=shrink
        )
        right = search.refine(SPACE, points, scores, shrink=shrink)
        for name, (kind, low, high) in right.items():
            got = tuple(box[name])
            if len(got) != 3 or got[0] != kind:
                raise Refused(f"expected {name}: (kind, low, high), got {got}")
            _, a, b = got
            value = float(points[name][best])
            # A box takes its ends to the scale and back: a few roundings.
            slack = 1e-12 * (abs(low) + abs(high))
            if not a - slack <= value <= b + slack:
                found.append(
                    f"{name} from {a:.6g} to {b:.6g} does not contain the best {value:.6g}"
                )
                causes += _box_of(name, (a, b), points, scores, shrink, value)
            elif abs(a - low) > 1e-9 * abs(low) + slack or abs(b - high) > 1e-9 * abs(high) + slack:
                found.append(f"{name} from {a:.6g} to {b:.6g}, expected {low:.6g} to {high:.6g}")
                causes += _box_of(name, (a, b), points, scores, shrink, value)
    ranked = sorted(causes, key=lambda one: -sum(one.name == other.name for other in causes))
    unique = {one.name: one for one in reversed(ranked)}
    ordered = sorted(unique.values(), key=lambda one: [o.name for o in ranked].index(one.name))
    checks = ("40 boxes of four scales contain the best point and are the reference's",)
    return Diagnosis(not found, tuple(found[:3]), tuple(ordered), checks)


def _box_of(name, ends, points, scores, shrink, value) -> list[Explanation]:
    """Which change of the rule gives these ends."""
    kind, old_low, old_high = SPACE[name]
    right = np.array(search.refine(SPACE, points, scores, shrink=shrink)[name][1:], float)
    before = float(np.abs(np.array(ends, float) - right).max()) / (old_high - old_low)
    causes = []

    def tried(called: str, detail: str, box: tuple[float, float]) -> None:
        after = float(np.abs(np.array(ends, float) - np.array(box, float)).max())
        causes.extend(explained(called, before, after / (old_high - old_low), detail, name))

    worst = int(np.argmax(scores))
    for called, index in (("sign: the worst point", worst), ("box: around the last point", -1)):
        at = {key: np.array([one[index]]) for key, one in points.items()}
        box = search.refine({name: SPACE[name]}, {name: at[name]}, [0.0], shrink=shrink)
        tried(called, "the box is around another point than the best", box[name][1:])
    for other in ("uniform", "log_uniform", "one_minus_log_uniform"):
        if other == kind or kind == "integers":
            continue
        if (other == "log_uniform" and old_low <= 0) or (other.startswith("one") and old_high >= 1):
            continue
        space = {name: (other, old_low, old_high)}
        box = search.refine(space, {name: np.array([value])}, [0.0], shrink=shrink)
        tried("scale", f"the box is as wide as on the scale {other}", box[name][1:])
    half, double = {"shrink": shrink / 2}, {"shrink": min(1.0, 2 * shrink)}
    for called, options in (("factor ½", half), ("factor 2", double)):
        box = search.refine({name: SPACE[name]}, {name: np.array([value])}, [0.0], **options)
        tried(called, "of the width", box[name][1:])
    if not ends[0] <= value <= ends[1] and not causes:
        outside = min(abs(value - end) for end in ends) / (old_high - old_low)
        causes.append(Explanation("box", outside, 0.0, name, "it does not contain the best point"))
    elif not ends[0] <= value <= ends[1]:
        outside = min(abs(value - end) for end in ends) / (old_high - old_low)
        causes.insert(
            0, Explanation("box", outside, 0.0, name, "it does not contain the best point")
        )
    return causes


def contracts() -> Iterator[Contract]:
    """The four samplers of search, and search.refine."""
    for kind in RANGES:
        yield contract_of(
            f"search.{kind}",
            getattr(search, kind),
            "rng: numpy Generator; a ≤ b: the range; size: how many ↦ (size,).",
            _sampler_parts(kind),
        )
    yield contract_of(
        "search.refine",
        search.refine,
        "space: name ↦ (kind, low, high); points: name ↦ (N,); scores (N,), lower is better "
        "↦ the smaller space around the best point.",
        [titled("boxes", _refined)],
    )
