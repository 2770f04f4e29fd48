"""How large the parts should be, what a dev set can tell, and why a test set is kept apart.

The notes' policies are cut for m from 10² to 10⁶, at random and class by class. What n examples can
tell is counted on two Gaussian classes, where a straight classifier errs on 5 % and the same one
turned by an angle on a little more, exactly known: per seed a million examples in 100 dev sets of
10,000, on which the two classifiers are told apart or not, each on a dev set of its own (unpaired)
or both on the same one (paired). Then 32 small networks are trained on 200 digits and one is chosen
by its error on 100 others; 750 test and 747 further examples judge it. Answers figure 41 of the
notes, whose wheel of ideas and experiments turns on the dev set, and the text around it.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from jaxnet import Dataset, Setup, evaluate, make_train, mlp, optimizers, regularizers
from jaxnet.data import datasets, splits
from reference_numpy import splits as reference
from scripts.harness import (
    COLOURS,
    TRUE,
    Claim,
    above,
    at_most,
    between,
    exact,
    new_figure,
    run_alone,
    seed_keys,
    series,
    spread,
    statistical,
)
from scripts.practice._digits import CLASSES, PIXELS

TITLE = "Train, dev and test sets: how large, and what each is good for"
NOTES_SECTION = "Train / Dev / Test sets"
NOTES_FIGURES = (41,)

HALVES, THIRDS = (0.7, 0.3), (0.6, 0.2, 0.2)
POLICIES = (
    *((m, fractions) for fractions in (HALVES, THIRDS) for m in (100, 1_000, 10_000)),
    (10**6, (0.98, 0.01, 0.01)),
    (10**6, (0.99, 0.005, 0.005)),
)
CLASS_SHARES = (0.6, 0.3, 0.1)

ERROR = 0.05  # of the straight classifier
DEV = 10_000  # examples in a dev set, as many as the notes find enough
DEV_SETS = 100
SIZES = (100, 1_000, DEV)
LEVEL, POWER = 0.05, 0.8

CANDIDATES = 32
SEEDS = 40
PARTS = (200, 100, 750)  # train, dev, test; the rest is fresh


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    policy_key, count_key, choose_key = jax.random.split(key, 3)
    angles = _angles()
    disagreement = np.array([_disagreement(angle) for angle in angles])
    counts = _counts(seed_keys(count_key, quick), jnp.asarray(angles, jnp.float32))
    return {
        **_cut(policy_key),
        "difference": _error(angles) - ERROR,
        "disagreement": disagreement,
        "standard_errors": counts["standard_errors"],
        "told": counts["told"],
        "chosen": _candidates(seed_keys(choose_key, quick, SEEDS), epochs=10 if quick else 25),
    }


def _cut(key: jax.Array) -> dict[str, Any]:
    """Every policy cut by both functions: sizes, and whether the parts are a partition."""
    rng = np.random.default_rng(int(jax.random.bits(key)))
    sizes, same_sizes, partition, off = [], [], [], []
    for m, fractions in POLICIES:
        labels = np.asarray(rng.choice(len(CLASS_SHARES), size=m, p=CLASS_SHARES))
        at_random = splits.split(key, m, fractions)
        by_class = splits.stratified(key, jnp.asarray(labels), fractions)
        for parts in (by_class, at_random):
            together = np.concatenate([np.asarray(part) for part in parts])
            partition.append(np.array_equal(np.sort(together), np.arange(m)))
        sizes.append([len(part) for part in at_random])
        same_sizes.append(sizes[-1] == [len(part) for part in reference.split(rng, m, fractions)])
        off.append([_off_share(labels, parts, fractions) for parts in (by_class, at_random)])
    return {"sizes": sizes, "same_sizes": same_sizes, "partition": partition, "off": np.array(off)}


def _off_share(labels: np.ndarray, parts: Any, fractions: tuple[float, ...]) -> float:
    """Largest distance, in examples, of a class's number in a part from its share."""
    counts = np.array([np.bincount(labels[np.asarray(part)], minlength=3) for part in parts])
    return np.abs(counts - np.outer(fractions, counts.sum(axis=0))).max()


def _error(angle: Any) -> Any:
    """Error of the classifier that is turned by an angle: Φ(−μ cos θ), with Φ(−μ) = 5 %."""
    return ndtr(ndtri(ERROR) * np.cos(angle))


def _disagreement(angle: float) -> float:
    """Share of examples on which the two classifiers differ: ∫ φ(z) Φ(−|μ + z| cot θ) dz.

    z is the noise across the straight boundary, from which the example is then μ + z away.
    """
    z = np.linspace(-9, 9, 20_001)
    away = np.abs(z - ndtri(ERROR))
    other_side = ndtr(-away / max(np.tan(angle), 1e-9))
    return float(np.trapezoid(np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * other_side, z))


def _deviation(angle: float, paired: bool) -> float:
    """Standard deviation of the difference of the two dev errors."""
    p, difference = _error(angle), _error(angle) - ERROR
    if paired:
        return np.sqrt((_disagreement(angle) - difference**2) / DEV)
    return np.sqrt((ERROR * (1 - ERROR) + p * (1 - p)) / DEV)


def _angles() -> np.ndarray:
    """Angles for the curve of power; the last two are told with POWER, unpaired and paired."""
    needed = ndtri(1 - LEVEL / 2) + ndtri(POWER)

    def needed_angle(paired: bool) -> Any:
        return brentq(
            lambda angle: _error(angle) - ERROR - needed * _deviation(angle, paired), 0.05, 0.8
        )

    told = np.array([needed_angle(paired) for paired in (False, True)])
    # Evenly spaced in the difference of the errors, up to 1.5 points.
    curve = np.arccos(ndtri(ERROR + np.linspace(0, 0.015, 11)) / ndtri(ERROR))
    return np.append(curve, told)


@jax.jit
def _counts(keys: jax.Array, angles: jax.Array) -> dict[str, jax.Array]:
    """Standard errors (seeds, sizes), and how often the two are told apart (seeds, 2, angles)."""

    def dev_set(key):
        # An example of one class is the mirror image of one of the other, and as hard: all are
        # drawn from the class on the positive side.
        x = jax.random.normal(key, (2, DEV)).at[0].add(-ndtri(ERROR))
        wrong = x[0] < 0

        def both(angle):
            other = jnp.cos(angle) * x[0] + jnp.sin(angle) * x[1] < 0
            return jnp.array([jnp.sum(other), jnp.sum(other & ~wrong), jnp.sum(wrong & ~other)])

        return wrong.reshape(-1, min(SIZES)).mean(axis=1), lax.map(both, angles)

    def seed(key):
        errors, counts = lax.map(dev_set, jax.random.split(key, DEV_SETS))
        groups = [errors.reshape(-1, size // min(SIZES)).mean(axis=1) for size in SIZES]
        other, only_other, only_first = counts.transpose(2, 0, 1).astype(jnp.float32)
        first = errors.mean(axis=1)[:, None]
        # Unpaired: the other classifier's error is that on the next dev set.
        other = jnp.roll(other, 1, axis=0) / DEV
        variance = (first * (1 - first) + other * (1 - other)) / DEV
        unpaired = jnp.abs(other - first) / jnp.sqrt(variance)
        apart = jnp.maximum(only_other + only_first, 1)
        paired = jnp.abs(only_other - only_first) / jnp.sqrt(apart)
        told = jnp.stack([unpaired, paired]) > ndtri(1 - LEVEL / 2)
        deviations = jnp.stack([jnp.std(group, ddof=1) for group in groups])
        return {"standard_errors": deviations, "told": told.mean(axis=1)}

    return lax.map(seed, keys)


def _candidates(keys: jax.Array, *, epochs: int) -> dict[str, np.ndarray]:
    """Errors (seeds, candidates) of networks with α, λ and initial weights drawn at random."""

    def build(hyper):
        optimizer = optimizers.gradient_descent(hyper["alpha"])
        penalty = regularizers.l2(hyper["lam"], m=PARTS[0])
        return Setup(mlp((PIXELS, 16, CLASSES)), optimizer, penalty=penalty)

    train_one = make_train(build, batch_size=50, epochs=epochs)

    def seed(key, drawn, digits):
        split_key, run_key = jax.random.split(key)
        train, dev, test, fresh = splits.cut(split_key, digits, PARTS)

        def candidate(given):
            hyper, key = given
            run = train_one(key, hyper, train)
            model = build(hyper).model
            return {
                name: evaluate(model, run.params, run.state, part).error
                for name, part in (("dev", dev), ("test", test), ("fresh", fresh))
            }

        # Mapped rather than vmapped: as fast here, and half as long to compile.
        return lax.map(candidate, (drawn, jax.random.split(run_key, CANDIDATES)))

    def run(keys: jax.Array, drawn: Any, digits: Dataset) -> dict[str, jax.Array]:
        return lax.map(lambda one: seed(one[0], one[1], digits), (keys, drawn))

    # log-uniform: α from 0.1 to 1, λ from 0.01 to 3
    rng = np.random.default_rng(np.asarray(jax.random.key_data(keys)).ravel())
    share = rng.random((2, len(keys), CANDIDATES)).astype(np.float32)
    drawn = {"alpha": 0.1 * 10 ** share[0], "lam": 0.01 * 300 ** share[1]}
    return jax.device_get(jax.jit(run)(keys, drawn, datasets.whole("digits")))


def _of_chosen(measurements: dict[str, Any], tried: int = CANDIDATES) -> dict[str, np.ndarray]:
    """Errors (seeds,) of the model with the lowest dev error of the first `tried`."""
    errors = measurements["chosen"]
    best = errors["dev"][:, :tried].argmin(axis=1)[:, None]
    return {name: np.take_along_axis(e, best, axis=1)[:, 0] for name, e in errors.items()}


def _ratios(measurements: dict[str, Any]) -> np.ndarray:
    """Measured over predicted standard error, (seeds, sizes)."""
    return measurements["standard_errors"] / np.sqrt(ERROR * (1 - ERROR) / np.array(SIZES))


def draw(measurements: dict[str, Any]) -> Figure:
    unpaired, paired = 100 * measurements["difference"][-2:]
    chosen = _of_chosen(measurements)
    optimism = 100 * (chosen["fresh"] - chosen["dev"]).mean()
    figure, axes = new_figure(
        2,
        2,
        title=f"10,000 dev examples tell apart errors {unpaired:.2f} points apart, {paired:.2f} "
        f"when paired;\nchoosing by 100 of them flatters the chosen by {optimism:.1f} points",
        height=7.8,
    )
    _draw_policies(axes[0, 0], measurements)

    ax = axes[0, 1]
    spread(
        ax, SIZES, 100 * measurements["standard_errors"], band="range",
        label="measured (band: all seeds)", marker="o", **series(2)[1],
    )  # fmt: skip
    n = np.geomspace(80, 12_000, 50)
    predicted = 100 * np.sqrt(ERROR * (1 - ERROR) / n)
    ax.plot(n, predicted, label="√(p(1−p)/n)", **series(2)[0])
    ax.set(xscale="log", yscale="log", title=f"Standard error of a dev error of {ERROR:.0%}")
    ax.set(xlabel="examples in the dev set n", ylabel="standard error (points)")
    ax.set_yticks([0.2, 0.5, 1, 2], labels=["0.2", "0.5", "1", "2"])
    ax.minorticks_off()
    ax.legend()

    _draw_power(axes[1, 0], measurements)
    _draw_choice(axes[1, 1], measurements)
    return figure


def _draw_policies(ax: Axes, measurements: dict[str, Any]) -> None:
    names = ("train", "dev", "test")
    colours = (COLOURS[0], COLOURS[3], COLOURS[5])
    for row, ((m, _), sizes) in enumerate(zip(POLICIES, measurements["sizes"], strict=True)):
        # Two parts are train and test.
        parts = dict(zip(names if len(sizes) == 3 else names[::2], sizes, strict=True))
        left = 0.0
        for name, colour in zip(names, colours, strict=True):
            share = 100 * parts.get(name, 0) / m
            ax.barh(row, share, left=left, color=colour, label=name if row == 0 else None)
            left += share
        text = " / ".join(f"{size:,}" for size in sizes)
        ax.text(2, row, text, color="white", va="center", fontsize=9)
    ax.set_yticks(range(len(POLICIES)), labels=[f"{m:,}" for m, _ in POLICIES])
    ax.invert_yaxis()
    ax.set(xlabel="share (%)", ylabel="examples m", title="The notes' policies, cut", xlim=(0, 100))
    ax.grid(visible=False)
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3)


def _draw_power(ax: Axes, measurements: dict[str, Any]) -> None:
    difference = 100 * measurements["difference"]
    for side, name, style in zip((0, 1), ("unpaired", "paired"), series(2), strict=True):
        told = 100 * measurements["told"][:, side]
        curve = slice(side, -2)  # paired with itself, a classifier is never told apart
        spread(ax, difference[curve], told[:, curve], label=name, marker="o", band="range", **style)
        place = difference[side - 2]
        ax.plot([place, place], [0, 100 * POWER], color=style["color"], linewidth=1)
        ax.annotate(f"{place:.2f}", (place, 0), xytext=(3, 3), textcoords="offset points",
                    color=style["color"])  # fmt: skip
    ax.axhline(100 * POWER, color="0.4", linewidth=1)
    ax.set(
        xlabel=f"true difference from an error of {ERROR:.0%} (points)",
        ylabel="told apart (% of dev sets)",
        title="Power of a dev set of 10,000 (band: all seeds)",
        ylim=(0, 102),
    )
    ax.legend(loc="center right")


def _draw_choice(ax: Axes, measurements: dict[str, Any]) -> None:
    tried = np.unique(np.geomspace(1, CANDIDATES, 12).round().astype(int))
    names = {"dev": "dev, 100 examples, chooses", "test": "test", "fresh": "fresh examples"}
    styles = dict(zip(names, series(3), strict=True))
    for name, label in names.items():
        errors = 100 * np.stack([_of_chosen(measurements, k)[name] for k in tried], axis=1)
        mean = errors.mean(axis=0)
        ax.plot(tried, mean, label=label, marker="o", **styles[name])
        half = 2 * errors.std(axis=0, ddof=1) / np.sqrt(len(errors))
        ax.fill_between(tried, mean - half, mean + half, color=styles[name]["color"], alpha=0.15,
                        linewidth=0)  # fmt: skip
    ax.set(
        xscale="log",
        xlabel="models of which the best on dev is chosen",
        ylabel="error of the chosen model (%)",
        title="Choosing flatters (mean ± 2 standard errors)",
        ylim=(0, None),
    )
    ticks = [1, 2, 4, 8, 16, 32]
    ax.set_xticks(ticks, labels=[str(tick) for tick in ticks])
    ax.minorticks_off()
    ax.legend(loc="lower left")


def claims(measurements: dict[str, Any]) -> list[Claim]:
    unpaired, paired = measurements["difference"][-2:]
    told = measurements["told"]
    ratios = _ratios(measurements)
    log_n = np.log(SIZES) - np.log(SIZES).mean()
    slope = np.log(measurements["standard_errors"]) @ log_n / (log_n @ log_n)
    chosen = _of_chosen(measurements)
    return [
        exact(
            "Of every policy (70/30 and 60/20/20 of 10² to 10⁴ examples, 98/1/1 and 99/0.5/0.5 of "
            "10⁶), cut at random or class by class, no example is in two parts and none is lost.",
            all(measurements["partition"]),
            TRUE,
        ),
        exact(
            "The parts are of the sizes of the reference's.",
            all(measurements["same_sizes"]),
            TRUE,
        ),
        exact(
            "Cut class by class, a class in a part is one example from its share at most (largest "
            "distance in examples).",
            measurements["off"][:, 0].max(),
            at_most(1),
        ),
        exact(
            "Of a million examples 98/1/1 leaves 10,000 to the dev set and as many to the test "
            "set.",
            measurements["sizes"][-2] == [980_000, 10_000, 10_000],
            TRUE,
        ),
        *(
            statistical(
                f"The standard error of a 5 % dev error on {size:,} examples is √(p(1−p)/n) (ratio "
                f"of measured to predicted).",
                ratios[:, index],
                between(0.9, 1.1),
            )
            for index, size in enumerate(SIZES)
        ),
        statistical(
            "The standard error falls as n to the power −½ (slope of the logarithms).",
            slope,
            between(-0.52, -0.48),
        ),
        statistical(
            f"Each on a dev set of its own, {unpaired:.2%} between the errors of two models near "
            f"5 % are told with the power of {POWER:.0%} that the formula gives for 10,000 "
            f"examples.",
            told[:, 0, -2],
            between(0.75, 0.85),
        ),
        statistical(
            f"On the same dev set {paired:.2%} are told with that power, the models differing on "
            f"{measurements['disagreement'][-1]:.1%} of the examples.",
            told[:, 1, -1],
            between(0.75, 0.85),
        ),
        statistical(
            f"That smaller difference is missed by the unpaired comparison most of the time (power "
            f"at {paired:.2%}).",
            told[:, 0, -1],
            at_most(0.5),
        ),
        statistical(
            f"Two models of equal error are told apart by mistake in {LEVEL:.0%} of unpaired "
            f"comparisons.",
            told[:, 0, 0],
            between(0.025, 0.075),
        ),
        statistical(
            f"The dev error of the model chosen among {CANDIDATES} by 100 dev examples is below "
            f"its error on fresh examples: optimistic.",
            chosen["fresh"] - chosen["dev"],
            above(0),
        ),
        statistical(
            "The test error of that model is its error on fresh examples, within 1.5 points: "
            "unbiased.",
            chosen["test"] - chosen["fresh"],
            between(-0.015, 0.015),
        ),
    ]


if __name__ == "__main__":
    run_alone(__file__)
