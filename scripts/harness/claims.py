"""Claims: a sentence, what was measured, the set in which the sentence is true, a verdict."""

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, SupportsFloat, get_args

import numpy as np
from scipy.special import stdtrit

Kind = Literal["exact", "statistical", "timing"]
Verdict = Literal["holds", "refuted", "inconclusive", "not run"]

MIN_SEEDS = 20
CONFIDENCE = 0.95
RESAMPLES = 2_000


class Criterion(NamedTuple):
    """The closed set [low, high] of values in which a sentence is true.

    An open end at x is stored as the double next to x, which describes the same doubles.
    """

    low: float
    high: float
    text: str


class Claim(NamedTuple):
    """One sentence and how it fared; build it with exact, statistical, timing or not_run.

    measured: the value, or the statistic over seeds; None where nothing ran.
    interval: 95 % interval of a statistical claim, else None.
    seeds: how many seeds the value rests on, 0 where it rests on none.
    verdict: "holds", "refuted", "inconclusive" or "not run"; always "not run" for a timing.
    expected: the verdict that the author recorded.
    """

    text: str
    kind: Kind
    measured: float | bool | str | None
    interval: tuple[float, float] | None
    criterion: Criterion
    seeds: int
    verdict: Verdict
    expected: Verdict
    note: str

    @property
    def judged(self) -> bool:
        """Whether the verdict counts: timings and claims that did not run do not."""
        return self.kind != "timing" and self.verdict != "not run"

    @property
    def as_expected(self) -> bool:
        """Whether the verdict is the recorded one, or does not count."""
        return not self.judged or self.verdict == self.expected


TRUE = Criterion(1.0, 1.0, "true")
UNJUDGED = Criterion(-math.inf, math.inf, "shown, not judged")


def at_least(low: float) -> Criterion:
    """The values ≥ low.

    >>> at_least(0.5).text
    '≥ 0.5'
    """
    low = _bound("low", low)
    return Criterion(low, math.inf, f"≥ {_number(low)}")


def above(low: float) -> Criterion:
    """The values > low."""
    low = _bound("low", low)
    return Criterion(math.nextafter(low, math.inf), math.inf, f"> {_number(low)}")


def at_most(high: float) -> Criterion:
    """The values ≤ high."""
    high = _bound("high", high)
    return Criterion(-math.inf, high, f"≤ {_number(high)}")


def below(high: float) -> Criterion:
    """The values < high."""
    high = _bound("high", high)
    return Criterion(-math.inf, math.nextafter(high, -math.inf), f"< {_number(high)}")


def between(low: float, high: float) -> Criterion:
    """The values in [low, high], ends included; low = high asks for that very value.

    >>> between(0.9, 1.1).text
    'in [0.9, 1.1]'
    """
    low, high = _bound("low", low), _bound("high", high)
    if low > high:
        raise ValueError(f"between: expected low ≤ high, got {low} and {high}")
    text = f"= {_number(low)}" if low == high else f"in [{_number(low)}, {_number(high)}]"
    return Criterion(low, high, text)


def judge(low: float, high: float, criterion: Criterion) -> Verdict:
    """Verdict on an interval: inside the criterion, outside it, or neither.

    An interval with a NaN end is neither. A single value x is the interval [x, x].

    >>> judge(0.4, 0.6, above(0.5))
    'inconclusive'
    """
    if low >= criterion.low and high <= criterion.high:
        return "holds"
    if high < criterion.low or low > criterion.high:
        return "refuted"
    return "inconclusive"


def exact(
    text: str,
    measured: SupportsFloat | bool,
    criterion: Criterion,
    *,
    expected: Verdict = "holds",
    note: str = "",
) -> Claim:
    """A deterministic claim, judged in quick runs too.

    measured: one number, judged against a criterion of numbers, or one bool with TRUE. An
    infinity is a number here; NaN makes the claim inconclusive.
    """
    value = _scalar(text, measured)
    if isinstance(value, bool) != (criterion is TRUE):
        raise TypeError(
            f"exact({text!r}): a bool goes with TRUE and a number with a set of numbers, "
            f"got {value!r} with {criterion.text!r}"
        )
    _check_expected(text, expected, note)
    if math.isnan(value):
        note = _join(note, "The measured value is not a number.")
    verdict = judge(value, value, criterion)
    return Claim(text, "exact", value, None, criterion, 0, verdict, expected, note)


def statistical(
    text: str,
    samples: Any,
    criterion: Criterion,
    *,
    expected: Verdict = "holds",
    note: str = "",
    method: Literal["t", "bootstrap"] = "t",
    statistic: Callable[[np.ndarray], Any] = np.mean,
) -> Claim:
    """A claim about the mean over seeds, judged by its 95 % interval.

    samples: (seeds,), one number per seed; to compare two arms, their paired difference.
    method: "t" is Student's interval of the mean. "bootstrap" is the percentile interval of
        any `statistic` of the samples, resampled over their first axis (so that a row of
        several columns stays together, as a ratio of means needs); the note then says so.
    statistic: with method="bootstrap", a function samples -> number, such as np.median.

    Fewer than 20 samples are not judged ("not run"). A sample that is not finite is never
    dropped: the claim is inconclusive, without an interval, and the note says how many.
    """
    values = np.asarray(samples, dtype=np.float64)
    if method not in ("t", "bootstrap"):
        raise ValueError(f"method: expected 't' or 'bootstrap', got {method!r}")
    if method == "t" and statistic is not np.mean:
        raise ValueError("statistic: only the mean has a t interval; pass method='bootstrap'")
    if values.ndim == 0 or values.size == 0 or (method == "t" and values.ndim != 1):
        raise ValueError(
            f"statistical({text!r}): expected samples of shape (seeds,), got {values.shape}"
        )
    _check_bounds(text, criterion)
    _check_expected(text, expected, note)
    seeds = len(values)
    if method == "bootstrap":
        name = getattr(statistic, "__name__", "statistic").replace("_", " ").strip("<>")
        note = _join(note, f"95 % bootstrap interval of the {name}.")

    broken = int(np.sum(~np.isfinite(values).reshape(seeds, -1).all(axis=1)))
    interval: tuple[float, float] | None = None
    if broken:
        note = _join(note, f"{broken} of {seeds} samples are not finite.")
        measured = math.nan
    elif seeds == 1:
        measured = float(statistic(values))
    elif method == "bootstrap":
        measured, interval = bootstrap_interval(values, statistic)
    else:
        measured, interval = t_interval(values)

    if seeds < MIN_SEEDS:
        verdict: Verdict = "not run"
    elif interval is None:
        verdict = "inconclusive"
    else:
        verdict = judge(*interval, criterion)
    return Claim(text, "statistical", measured, interval, criterion, seeds, verdict, expected, note)


def timing(text: str, measured: SupportsFloat | str, *, note: str = "") -> Claim:
    """A measured time or ratio of times: shown, never judged."""
    value = measured if isinstance(measured, str) else _scalar(text, measured)
    return Claim(text, "timing", value, None, UNJUDGED, 0, "not run", "holds", note)


def not_run(text: str, kind: Kind, needs: str, criterion: Criterion) -> Claim:
    """A claim that could not run here; needs: what to install, e.g. "torch, in [compare]"."""
    if kind not in get_args(Kind):
        raise ValueError(f"kind: expected one of {', '.join(get_args(Kind))}, got {kind!r}")
    return Claim(text, kind, None, None, criterion, 0, "not run", "holds", f"Needs {needs}.")


def t_interval(samples: np.ndarray) -> tuple[float, tuple[float, float]]:
    """Mean of samples (n,) and its 95 % t interval, mean ± t(n−1, 0.975) s/√n.

    n ≥ 2; s² is the variance with n − 1. Equal samples have an interval of zero width.
    """
    n = len(samples)
    if np.all(samples == samples[0]):
        return float(samples[0]), (float(samples[0]), float(samples[0]))
    quantile = float(stdtrit(n - 1, 0.5 + CONFIDENCE / 2))
    with np.errstate(over="ignore", invalid="ignore"):  # an infinite interval says it all
        mean = float(np.mean(samples))
        half_width = quantile * float(np.std(samples, ddof=1)) / math.sqrt(n)
    return mean, (mean - half_width, mean + half_width)


def bootstrap_interval(
    samples: np.ndarray, statistic: Callable[[np.ndarray], Any]
) -> tuple[float, tuple[float, float]]:
    """Statistic of samples (n, ...) and its 95 % percentile bootstrap interval.

    2,000 resamples over the first axis by a generator of fixed seed, so that the same samples
    always give the same interval. At n = 20 its coverage is 92 to 94 %, a little short of 95.
    """
    n = len(samples)
    measured = float(statistic(samples))
    rows = np.random.default_rng(0).integers(n, size=(RESAMPLES, n))
    resampled = np.array([float(statistic(samples[row])) for row in rows])
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return measured, (float(low), float(high))


def _scalar(text: str, measured: Any) -> float | bool:
    value = np.asarray(measured)
    if value.ndim != 0 or value.dtype.kind not in "biuf":
        raise TypeError(f"{text!r}: expected one number or bool as measured, got {measured!r}")
    return bool(value) if value.dtype.kind == "b" else float(value)


def _bound(name: str, value: float) -> float:
    value = float(value)
    if not math.isfinite(value):
        raise ValueError(f"{name}: expected a finite number, got {value}")
    return value


def _check_bounds(text: str, criterion: Criterion) -> None:
    if criterion is TRUE:
        raise TypeError(f"statistical({text!r}): expected a set of numbers, got TRUE")


def _check_expected(text: str, expected: str, note: str) -> None:
    if expected not in ("holds", "refuted", "inconclusive"):
        raise ValueError(
            f"expected of {text!r}: expected 'holds', 'refuted' or 'inconclusive', got {expected!r}"
        )
    if expected != "holds" and not note.strip():
        raise ValueError(f"note of {text!r}: say in one sentence why it is {expected}")


def _number(value: float) -> str:
    short = f"{value:.6g}"
    return short if float(short) == value else repr(value)


def _join(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)
