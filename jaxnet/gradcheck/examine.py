"""Given slopes beside measured ones: which disagree, and how small an error would have shown."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from jaxnet.gradcheck.slopes import (
    CAUGHT,
    NOISES,
    Probe,
    Values,
    deviation,
    noises,
    probe,
    spread,
)
from jaxnet.gradcheck.steps import adapted_steps, sample

RESOLVED = 0.01
"""A slope whose error may exceed this part of the largest one is not known: it is left out."""


EXPLAINED = 4.0
"""Times the rounding allowed for that an error bound may reach by rounding alone.

Rounding makes the spread 8 deviations of D(s) on average, with a deviation of 5; with the 8 allowed
for, 32 is three deviations up.
"""


class Examination(NamedTuple):
    """Given slopes beside measured ones, an entry a line.

    slope: measured. allowance: how far the given slope may be from it. caught: the smallest error
    of the given slope that would have been found with 99 % confidence. excluded: no step gives a
    known slope (a kink); then only the one-sided slopes were asked. disagrees: the given slope is
    further off than allowed. retried: looked at again with smaller steps. steps: the first ones.
    noise: standard deviation of the rounding error of f.
    """

    slope: np.ndarray
    allowance: np.ndarray
    caught: np.ndarray
    excluded: np.ndarray
    disagrees: np.ndarray
    retried: np.ndarray
    steps: np.ndarray
    noise: float


def examine(
    values: Values,
    given: np.ndarray,
    steps: np.ndarray,
    least: np.ndarray,
    groups: np.ndarray,
    unit: float,
    *,
    adapt: bool = True,
) -> Examination:
    """Compare given slopes with two-sided differences along every line.

    Every line is differenced once. A line is suspect if the given slope is further off than the
    rounding measured and the truncation found on a few lines allow, or if its one-sided slopes are
    apart as no other's. Suspects are settled one by one with smaller steps: `settle`.

    values: of f. given: slopes (p,). steps: s (p,). least: the smallest step of each line that
    rounding leaves meaning to. groups: number of the parameter array of each line. unit: u.
    adapt: look for better steps where the given ones do not suit.
    Raises ValueError for values of f that are not finite or differ between two calls.
    """
    every = np.arange(given.size)
    here = _value_here(values, given.size)
    if adapt:
        steps = adapted_steps(values, here, steps, least, groups, unit)
    few = sample(groups)
    measured = noises(values, few, steps[few])
    # The value itself is rounded to within half a unit: uniform, of deviation u|f|/√12.
    noise = max(unit * abs(here) / np.sqrt(12), float(np.nan_to_num(np.quantile(measured, 0.75))))

    wide = probe(values, here, every, steps)
    narrow = probe(values, here, few, steps[few] / 2)
    truncation, usual_gap = np.zeros(given.size), np.zeros(given.size)
    for group in np.unique(groups):
        at, of = groups == group, groups[few] == group
        halves_differ = np.abs(wide.slope[few] - narrow.slope)[of]
        truncation[at] = 4 * np.median(np.nan_to_num(halves_differ, nan=0.0))
        usual_gap[at] = np.median(np.nan_to_num(np.abs(wide.gap[at]), nan=0.0))
    sigma = deviation(noise, steps)
    allowance = NOISES * sigma + truncation
    # What is further off than allowed is settled, by EXPLAINED times the rounding and more where
    # truncation, up to the allowance and 1.5 times over, is in its spread: see `settle`.
    caught = ((EXPLAINED + 1) * NOISES + CAUGHT) * sigma + 3 * truncation
    # Outside the domain of f (of a log, say) there is no difference; a smaller step may have one.
    apart = np.nan_to_num(np.abs(given - wide.slope), nan=np.inf)
    finite = np.isfinite(wide.slope)
    scale = max(np.max(np.abs(given)), np.max(np.abs(wide.slope[finite]), initial=0.0))
    gap_noise = np.sqrt(6) * noise / steps
    # A function that changes over distances of about s u^(−1/3) has gaps of u^(1/3) of its slopes.
    usual_gap = np.maximum(usual_gap, unit ** (1 / 3) * scale)
    kink_like = np.abs(wide.gap) > NOISES * gap_noise + 10 * usual_gap

    slope, disagrees = wide.slope.copy(), apart > allowance
    excluded, retried = np.zeros(given.size, bool), np.zeros(given.size, bool)
    suspects = np.flatnonzero(disagrees | kink_like)
    with np.errstate(divide="ignore", invalid="ignore"):
        suspects = suspects[np.argsort(-np.nan_to_num(apart / allowance)[suspects])]
    done, batch = 0, 128
    while done < suspects.size:
        lines = suspects[done : done + batch]
        settled = settle(
            values, here, given[lines], lines, steps[lines], least[lines], noise, scale
        )
        slope[lines], allowance[lines], excluded[lines], disagrees[lines] = settled
        caught[lines], retried[lines] = 2 * allowance[lines], True
        done, batch = done + batch, 2 * batch
        # The worst come first: once some are found wrong the rest, as it stands, will do.
        if np.any(disagrees[lines]):
            break
    outside = ~np.isfinite(slope)
    if outside.all():
        raise ValueError(
            f"cost: expected finite values, got {given.size} NaN or infinite gradients: every "
            f"difference with steps of {np.min(steps):.2g} and less; move away from the edge of "
            f"the domain"
        )
    excluded, disagrees = excluded | outside, disagrees & ~outside
    return Examination(slope, allowance, caught, excluded, disagrees, retried, steps, noise)


def _value_here(values: Values, lines: int) -> float:
    """f(0), asked twice."""
    (one, other), _ = values(np.zeros(2, int), np.zeros(2))
    (again, _), _ = values(np.zeros(2, int), np.zeros(2))
    if not np.isfinite(one):
        raise ValueError(
            f"cost: expected finite values, got {lines} NaN or infinite gradients: the cost is "
            f"{one} at params"
        )
    if not one == other == again:
        raise not_deterministic(one, other if one != other else again)
    return float(one)


def not_deterministic(one: float, other: float) -> ValueError:
    return ValueError(
        f"cost: expected a deterministic function, got {one:.17g} and then {other:.17g} at the "
        f"same params; draw nothing inside it, fix the random key, turn dropout off"
    )


def settle(
    values: Values,
    here: float,
    given: np.ndarray,
    lines: np.ndarray,
    steps: np.ndarray,
    least: np.ndarray,
    noise: float,
    scale: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Look at lines again with steps s, s/2, s/4, …, taking for each line the step that suits it.

    Each step has an error bound, rounding + `spread`. Where it stays within EXPLAINED times the
    rounding, with the next step too, rounding may be all there is, and that is the allowance.
    Otherwise it is the larger of the two bounds: one spread may be small by chance where several
    kinks meet. A step is good if its allowance is at most RESOLVED of the largest slope, or what
    rounding makes it at the widest step, and, unless rounding explains it, at most half of the
    slope itself (a step far beyond where f saturates gives slopes that are small and double).
    The widest good step is taken that rounding explains, else that of the smallest allowance.
    The given slope disagrees if it is further off than allowed there and with the next step.
    A line without a good step, at a kink say, is excluded; the given slope must lie between the two
    one-sided slopes all the same, where these are known.
    Returns slopes, allowances, whether excluded, whether the given slope disagrees.
    """
    least = np.maximum(least, 1e-9 * steps)
    halvings = int(np.clip(np.log2(np.min(steps / least)), 2, 13))
    ladder = steps / 2.0 ** np.arange(halvings + 1)[:, None]
    probes = [probe(values, here, lines, rung) for rung in ladder]
    spreads = np.array([spread(*pair) for pair in pairwise(probes)])
    spreads = np.nan_to_num(spreads, nan=np.inf)
    slopes, gaps = (np.array([getattr(p, name) for p in probes]) for name in Probe._fields)
    column = np.arange(lines.size)

    def choose(noise_of: np.ndarray | float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rounding = NOISES * deviation(noise_of, ladder[:-1])
        bound = rounding + spreads
        noise_alone = bound <= EXPLAINED * rounding
        explained = noise_alone[:-1] & noise_alone[1:]
        bound = np.where(explained, EXPLAINED * rounding[:-1], np.maximum(bound[:-1], bound[1:]))
        limit = np.maximum(RESOLVED * scale, EXPLAINED * rounding[0])
        good = (bound <= limit) & (explained | (bound <= np.abs(slopes[:-2]) / 2))
        first = explained & good
        least_bound = np.where(good, bound, np.inf).argmin(axis=0)
        rung = np.where(first.any(axis=0), first.argmax(axis=0), least_bound)
        return rung, bound[rung, column], np.logical_not(good.any(axis=0))

    def off(rung, allowance):
        apart = np.abs(given - np.array([slopes[rung, column], slopes[rung + 1, column]]))
        return np.all(apart > allowance, axis=0)

    rung, allowance, excluded = choose(noise)
    suspect = off(rung, allowance) & ~excluded
    if suspect.any():
        # Perhaps f is noisier along these lines than along those that σ was measured on.
        own = np.full(lines.size, noise)
        at = np.flatnonzero(suspect)
        own[at] = np.maximum(noise, noises(values, lines[at], ladder[rung[at], at]))
        rung, allowance, excluded = choose(own)
    disagrees = off(rung, allowance)

    sides = np.array([slopes - gaps / 2, slopes + gaps / 2])
    # A one-sided slope has the noise σ√2/s, and the truncation s f″/2, by which halves differ.
    room = NOISES * np.sqrt(2) * noise / ladder[:-1]
    room = room + 2 * np.nan_to_num(np.abs(np.diff(sides, axis=1)), nan=np.inf).sum(axis=0)
    best = room.argmin(axis=0)
    low, high = sides.min(axis=0)[best, column], sides.max(axis=0)[best, column]
    # Sides that have not settled (f varies over less than the narrowest step) say nothing.
    largest = np.maximum(np.abs(low), np.abs(high)) / 2
    known = room[best, column] <= np.maximum(largest, RESOLVED * scale)
    between = (given >= low - room[best, column]) & (given <= high + room[best, column])
    return (
        slopes[rung, column],
        allowance,
        excluded,
        np.where(excluded, known & ~between, disagrees),
    )
