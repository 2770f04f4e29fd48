"""Gradient descent with momentum in long valleys and on digits, beside plain descent.

Valleys of condition number 10 to 1,000, along an axis and turned by 45°: the path across the
valley at equal α, and the steps to stay within 1 % of the first distance with each method at the
best of a grid of α. On digits each method's α is chosen on some seeds and judged on others. A
constant gradient shows what β does to the velocity in the notes' averaged form and in the trace
form of other libraries. Answers figure 68 of the notes.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.figure import Figure

from jaxnet import optimizers
from jaxnet.training import descend
from reference_numpy import optimizers as reference
from scripts.harness import (
    TRUE,
    Claim,
    above,
    at_most,
    below,
    between,
    exact,
    new_figure,
    run_alone,
    seed_keys,
    series,
    statistical,
)
from scripts.optimization import _digits, _valleys

TITLE = "Momentum damps the zigzag and pays off in long valleys only"
NOTES_SECTION = "Gradient Descent with Momentum"
NOTES_FIGURES = (68,)

BETA = 0.9
# Up to the largest stable α of each, 2/L for plain descent and (1+β)/(1−β) times that.
LIMITS = {"plain": 2.0, "momentum": 2 * (1 + BETA) / (1 - BETA)}
SHARES = np.geomspace(0.002, 1, 64)
STEPS, QUICK_STEPS = 5_000, 3_000
SHOWN_CONDITION, SHOWN_ALPHA, SHOWN_STEPS = 20, 1.8, 60
AGREED_STEPS = 1_000
BETAS = (0.5, 0.9, 0.99)
DIGITS = {"plain": 0.05 * 2.0 ** np.arange(8), "momentum": 0.1 * 2.0 ** np.arange(8)}
LABELS = {"plain": "plain descent", "momentum": f"momentum, β = {BETA}"}


def _build(name: str):
    if name == "plain":
        return optimizers.gradient_descent
    return lambda alpha: optimizers.momentum(alpha, beta=BETA)


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    steps = QUICK_STEPS if quick else STEPS
    with jax.enable_x64(True):

        @jax.jit
        def run():
            shown = {
                name: _valleys.descent(
                    _build(name)(SHOWN_ALPHA), SHOWN_CONDITION, 0.0, steps=SHOWN_STEPS
                )
                for name in LIMITS
            }
            counted = {
                name: _valleys.steps_by_rate(_build(name), limit * SHARES, steps=steps)
                for name, limit in LIMITS.items()
            }
            return {
                "shown": shown,
                "steps": counted,
                "velocity": jax.vmap(_velocities)(jnp.array(BETAS)),
                "agreement": _agreement(),
            }

        results = jax.device_get(run())
    tuned = _digits.tune(
        seed_keys(key, quick, seeds=_digits.SEEDS),
        [(_build(name), alphas) for name, alphas in DIGITS.items()],
        epochs=5,
    )
    return {
        **results,
        "digits": dict(zip(DIGITS, tuned, strict=True)),
        "reference_apart": _valleys.reference_apart(
            results["agreement"]["ours"][:201],
            reference.momentum_init,
            partial(reference.momentum_update, learning_rate=2.0, beta=BETA),
        ),
    }


def _velocities(beta: Any) -> dict[str, Any]:
    """Velocity after each of 3,000 steps under a constant gradient of 1, at α = 1."""

    def velocity(optimizer):
        return -jnp.diff(descend(lambda w: w, optimizer, 0.0, steps=3_000).w)

    return {
        "averaged": velocity(optimizers.momentum(1.0, beta=beta)),
        "trace": velocity(optax.sgd(1.0, momentum=beta)),
    }


def _agreement() -> dict[str, Any]:
    """The same descent by this library, by optax' averages, and by optax' trace."""
    averaged = optax.chain(optax.ema(BETA, debias=False), optax.scale_by_learning_rate(2.0))
    rules = {
        "ours": optimizers.momentum(2.0, beta=BETA),
        "optax": averaged,
        "trace": optax.sgd(2.0 * (1 - BETA), momentum=BETA),
    }
    return {
        name: _valleys.descent(rule, 100, np.pi / 4, steps=AGREED_STEPS)
        for name, rule in rules.items()
    }


def _crossings(across: np.ndarray) -> int:
    return int(np.sum(np.diff(np.sign(across)) != 0))


def draw(measurements: dict[str, Any]) -> Figure:
    plain, momentum = (_valleys.fewest(measurements, name)[0] for name in LIMITS)
    figure, axes = new_figure(
        2,
        2,
        height=7.4,
        title=f"Momentum takes {momentum[0] / plain[0]:.1f} times plain descent's steps at "
        f"condition 10, {momentum[-1] / plain[-1]:.2f} times at 1,000",
    )
    styles: dict[str, Any] = dict(zip(LIMITS, series(2), strict=True))
    _valleys.draw_paths(axes[0, 0], SHOWN_CONDITION, measurements["shown"], LABELS, styles, 0.8)
    axes[0, 0].set_title(f"Condition {SHOWN_CONDITION}, α = {SHOWN_ALPHA}/L for both")
    for name, style in styles.items():
        for angle, (marker, where) in enumerate((("o", "axis-aligned"), ("x", "turned by 45°"))):
            axes[0, 1].plot(
                _valleys.CONDITIONS,
                _valleys.fewest(measurements, name)[angle],
                marker=marker,
                markersize=5 if angle == 0 else 9,
                label=f"{LABELS[name]}, {where}",
                **style | ({"linestyle": ""} if angle else {}),
            )
    axes[0, 1].set(
        title="Each method at its best α",
        xlabel="condition number",
        ylabel="steps to stay within 1 %",
        xscale="log",
        yscale="log",
        ylim=(10, 3e4),
    )
    axes[0, 1].legend(loc="upper left", fontsize=9)

    for beta, velocity, style in zip(
        BETAS, measurements["velocity"]["trace"], series(3), strict=True
    ):
        axes[1, 0].plot(np.arange(1, 601), velocity[:600], label=f"β = {beta}", **style)
    axes[1, 0].plot(
        np.arange(1, 601), measurements["velocity"]["averaged"][-1][:600], ":", color="0.3",
        label="averaged form, β = 0.99",
    )  # fmt: skip
    axes[1, 0].set(
        title="Trace form, constant gradient of 1: 1/(1−β)",
        xlabel="step",
        ylabel="velocity (gradients)",
        yscale="log",
    )
    axes[1, 0].legend(loc="lower right", fontsize=9)

    _digits.draw_curves(axes[1, 1], measurements["digits"], DIGITS, LABELS, styles)
    return figure


def claims(measurements: dict[str, Any]) -> list[Claim]:
    across = {name: path[:, 1] for name, path in measurements["shown"].items()}
    travelled = {name: np.abs(np.diff(one)).sum() for name, one in across.items()}
    plain, momentum = (_valleys.fewest(measurements, name) for name in LIMITS)
    ratio = dict(zip(_valleys.CONDITIONS, (momentum / plain)[0], strict=True))
    velocity = {name: one[:, -1] for name, one in measurements["velocity"].items()}
    friction = 1 / velocity["trace"]
    agreement = measurements["agreement"]
    digits = {name: tuned.judged("cost") for name, tuned in measurements["digits"].items()}
    return [
        exact(
            f"At α = {SHOWN_ALPHA}/L momentum oscillates less: its path crosses the valley's floor "
            "half as often as plain descent's or less (ratio).",
            _crossings(across["momentum"]) / _crossings(across["plain"]),
            at_most(0.5),
        ),
        exact(
            "And the way that it goes across the valley is shorter (ratio).",
            travelled["momentum"] / travelled["plain"],
            below(1),
        ),
        *(
            exact(
                f"Each at its best α, momentum (β = {BETA}) needs fewer steps than plain descent "
                f"at condition {condition} (ratio).",
                ratio[condition],
                below(1),
            )
            for condition in (100, 300, 1000)
        ),
        *(
            exact(
                f"Each at its best α, momentum (β = {BETA}) needs fewer steps than plain descent "
                f"at condition {condition} (ratio).",
                ratio[condition],
                below(1),
                expected="refuted",
                note="No α makes the error of β = 0.9 shrink faster than by √0.9 a step, which "
                "plain descent beats in a short valley.",
            )
            for condition in (10, 20)
        ),
        exact(
            "Turning the valley by 45° changes neither method's steps (largest ratio).",
            max(float((steps[1] / steps[0]).max()) for steps in (plain, momentum)),
            between(0.99, 1.01),
        ),
        exact(
            "Under a constant gradient g the averaged form's velocity tends to g (largest relative "
            "difference over β).",
            np.abs(velocity["averaged"] - 1).max(),
            at_most(1e-12),
        ),
        exact(
            "The trace form's tends to g/(1−β) (largest relative difference).",
            np.abs(velocity["trace"] * (1 - np.array(BETAS)) - 1).max(),
            at_most(1e-12),
        ),
        exact(
            "So 1−β is the friction, the force over the velocity that it keeps up (largest "
            "relative difference).",
            np.abs(friction / (1 - np.array(BETAS)) - 1).max(),
            at_most(1e-12),
        ),
        exact(
            "β is a friction: the larger β, the slower.",
            bool(np.all(np.diff(velocity["trace"]) < 0)),
            TRUE,
            expected="refuted",
            note="The trace's velocity grows with β, the averaged form's ends the same for every "
            "β; the friction is 1−β.",
        ),
        exact(
            "1,000 steps agree with optax (largest difference).",
            np.abs(agreement["ours"] - agreement["optax"]).max(),
            at_most(1e-9),
        ),
        exact(
            "The trace form takes the same 1,000 steps with α(1−β) in place of α (largest "
            "difference).",
            np.abs(agreement["ours"] - agreement["trace"]).max(),
            at_most(1e-9),
        ),
        exact(
            "200 steps agree with the reference (largest difference).",
            measurements["reference_apart"],
            at_most(1e-12),
        ),
        statistical(
            "On digits 80 updates with momentum end at a lower training cost than without, each at "
            "the α chosen on other seeds (log₂ of the ratio).",
            np.log2(digits["plain"] / digits["momentum"]),
            above(0),
        ),
    ]


if __name__ == "__main__":
    run_alone(__file__)
