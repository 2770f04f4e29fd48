"""Which step suits a function: the default, unless a few slopes show that it does not."""

import numpy as np

from jaxnet.gradcheck.slopes import Probe, Values, probe, ratio, spread


def sample(groups: np.ndarray) -> np.ndarray:
    """A few lines of every group (parameter array): up to eight, fewer where there are many."""
    rng = np.random.default_rng(0)
    names = np.unique(groups)
    each = max(2, min(8, 64 // names.size))
    members = [np.flatnonzero(groups == name) for name in names]
    chosen = [rng.choice(lines, min(each, lines.size), replace=False) for lines in members]
    return np.sort(np.concatenate(chosen))


def adapted_steps(
    values: Values,
    here: float,
    steps: np.ndarray,
    least: np.ndarray,
    groups: np.ndarray,
    unit: float,
) -> np.ndarray:
    """The steps, made wider or narrower where the default does not suit a parameter array.

    u^(1/3) suits a function that changes over distances of about 1. It is kept where the slopes of
    a few lines are as well known as they should be then: to u^(2/3) with two digits to spare.
    Otherwise powers of 8 are tried. How well they are known: the upper quartile of `spread` and
    what rounding f to u|f| does to D, beside the largest. Of the steps that reach the aim, or else
    come within a factor four of the best, the nearest to the default is taken.
    """
    few = sample(groups)
    within = [np.flatnonzero(groups[few] == group) for group in np.unique(groups)]

    def known(factors: list[float], lines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Error and size of the slopes for every factor, (factors, lines), in one call."""
        tried = np.outer(factors, steps[lines]).ravel()
        at = np.tile(lines, len(factors))
        both = probe(values, here, np.tile(at, 2), np.concatenate([tried, tried / 2]))
        wide, narrow = (
            Probe(*half) for half in zip(*(np.split(one, 2) for one in both), strict=True)
        )
        error = spread(wide, narrow) + unit * abs(here) / tried
        slopes = np.abs(np.nan_to_num(narrow.slope, posinf=0, neginf=0))
        shape = len(factors), lines.size
        return np.nan_to_num(error, nan=np.inf).reshape(shape), slopes.reshape(shape)

    def quality(error: np.ndarray, slopes: np.ndarray) -> float:
        return ratio(float(np.quantile(error, 0.75, method="higher")), float(np.max(slopes)))

    aim = 100 * unit ** (2 / 3)
    base = [one[0] for one in known([1.0], few)]
    adapted = steps.copy()
    for of in within:
        if quality(*(each[of] for each in base)) <= aim:
            continue
        lines = few[of]
        factors = [
            8.0**k
            for k in sorted(range(-8, 5), key=abs)
            if np.all(8.0**k * steps[lines] >= 2 * least[lines])
        ] or [1.0]
        found = np.array([quality(*each) for each in zip(*known(factors, lines), strict=True)])
        good = found <= max(aim, 4 * np.min(found))
        adapted[groups == groups[lines[0]]] *= factors[int(np.argmax(good))]
    return adapted
