"""Adam beside plain descent, momentum and RMSprop: in badly scaled valleys and on digits.

The valleys' condition numbers are 10 to 1,000, along an axis and turned by 45°, each method at the
best of a grid of α. On digits a random search over Adam's α, β₁, β₂ and ε competes with its
defaults at the α of a grid, and ε runs over eight decades; what is best is chosen on some seeds
and judged on others. The updates are compared with optax, torch, Keras and the reference in
float64. Answers the notes' text on Adam.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxnet import optimizers
from jaxnet.crosscheck.backends import frameworks
from jaxnet.training import descend
from reference_numpy import optimizers as reference
from scripts.harness import (
    MARKERS,
    Claim,
    above,
    at_least,
    at_most,
    exact,
    new_figure,
    not_run,
    run_alone,
    seed_keys,
    series,
    spread,
    statistical,
)
from scripts.optimization import _digits, _valleys
from scripts.optimization._frameworks_adam import keras_path, torch_path

TITLE = "Adam's defaults, its ε, and its kin"
NOTES_SECTION = "Adam Optimization Algorithm"
NOTES_FIGURES = ()

RULES = {
    "plain": (optimizers.gradient_descent, np.geomspace(0.004, 2, 40)),
    "momentum": (optimizers.momentum, np.geomspace(0.08, 38, 40)),
    "rmsprop": (optimizers.rmsprop, np.geomspace(3e-4, 0.6, 40)),
    "adam": (optimizers.adam, np.geomspace(3e-4, 0.6, 40)),
}
LABELS = {"plain": "plain", "momentum": "momentum", "rmsprop": "RMSprop", "adam": "Adam"}
STEPS, QUICK_STEPS = 3_000, 2_800
DIGITS = {
    "plain": np.array([0.1, 0.3, 1.0, 3.0]),
    "momentum": np.array([0.3, 1.0, 3.0, 10.0]),
    "rmsprop": np.array([0.001, 0.003, 0.01, 0.03, 0.1]),
    "adam": np.array([0.001, 0.003, 0.01, 0.03, 0.1]),
}
SEARCHED = 24  # configurations of the random search
EPSILONS = np.geomspace(1e-10, 1e-2, 9)
EPSILON_ALPHA = 0.01
MINOR = slice(0, 7)  # the six decades from 1e-10 to 1e-4
DEFAULT = 2  # ε = 1e-8

# On the way to the minimum; circling about it multiplies differences of rounding.
AGREED_STEPS, AGREED_ALPHA = 1_000, 5e-4
GRADIENTS = np.geomspace(1e-12, 1e3, 31)
SMALL = 1e-6  # factor of the cost in a valley whose gradients come close to ε
SMALL_EPSILONS = np.array([1e-12, 1e-8, 1e-6, 1e-4])


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    seeds_key, search_key = jax.random.split(key)
    with jax.enable_x64(True):
        results = _exactly(QUICK_STEPS if quick else STEPS)
        agreement = _agreement(results["agreed"])
    searched = _search(search_key)
    groups = {
        "adam": _settings(alpha=DIGITS["adam"]),
        "searched": searched,
        "epsilon": _settings(alpha=EPSILON_ALPHA, eps=EPSILONS),
    }
    together = {name: np.concatenate([g[name] for g in groups.values()]) for name in searched}
    *others, of_adam = _digits.tune(
        seed_keys(seeds_key, quick, seeds=_digits.SEEDS),
        [
            *((RULES[name][0], alphas) for name, alphas in DIGITS.items() if name != "adam"),
            (_adam, together),
        ],
        epochs=5,
    )
    ends = np.cumsum([len(group["alpha"]) for group in groups.values()])[:-1]
    parts = zip(*(np.split(values, ends) for values in of_adam), strict=True)
    digits = dict(zip(DIGITS, others, strict=False))
    digits |= {name: _digits.Tuned(*part) for name, part in zip(groups, parts, strict=True)}
    return {
        **results,
        "agreement": agreement,
        "searched": searched,
        "digits": digits,
    }


def _settings(alpha: Any, eps: Any = 1e-8) -> dict[str, np.ndarray]:
    """Adam's settings with the usual β₁ = 0.9 and β₂ = 0.999."""
    alpha, eps = np.broadcast_arrays(alpha, eps)
    usual = {"spare1": np.full(len(alpha), 0.1), "spare2": np.full(len(alpha), 0.001)}
    return {"alpha": alpha, **usual, "eps": eps}


def _adam(setting: dict[str, Any]) -> optax.GradientTransformation:
    return optimizers.adam(
        setting["alpha"], b1=1 - setting["spare1"], b2=1 - setting["spare2"], eps=setting["eps"]
    )


def _search(key: jax.Array) -> dict[str, np.ndarray]:
    """Random configurations, every number log-uniform in its range."""
    ranges = {
        "alpha": (1e-3, 0.1),
        "spare1": (0.03, 1.0),  # 1 − β₁
        "spare2": (3e-4, 0.1),  # 1 − β₂
        "eps": (1e-10, 1e-4),
    }
    u = np.asarray(jax.random.uniform(key, (len(ranges), SEARCHED)))
    return {
        name: low * (high / low) ** u[row] for row, (name, (low, high)) in enumerate(ranges.items())
    }


def _exactly(steps: int) -> dict[str, Any]:
    """What involves no chance: one program in float64."""

    def first_step(gradient, eps):
        path = descend(lambda w: w * gradient, optimizers.adam(1.0, eps=eps), 0.0, steps=1)
        return jnp.abs(path.w[1])

    def small(scale, eps):
        return _scaled_valley(optimizers.adam(0.01, eps=eps), scale)

    @jax.jit
    def run():
        return {
            "steps": {
                name: _valleys.steps_by_rate(build, rates, steps=steps)
                for name, (build, rates) in RULES.items()
            },
            "first": jax.vmap(lambda eps: jax.vmap(lambda g: first_step(g, eps))(GRADIENTS))(
                jnp.array([1e-8, 1e-4])
            ),
            "agreed": {
                "ours": _scaled_valley(optimizers.adam(AGREED_ALPHA)),
                "optax": _scaled_valley(optax.adam(AGREED_ALPHA)),
                "scaled": _scaled_valley(optimizers.adam(AGREED_ALPHA), SMALL),
            },
            "plain_cost": small(1.0, 1e-8),
            "small_cost": jax.vmap(lambda eps: small(SMALL, eps))(jnp.array(SMALL_EPSILONS)),
        }

    return jax.device_get(run())


def _scaled_valley(optimizer: optax.GradientTransformation, scale: Any = 1.0) -> jax.Array:
    """1,000 steps in a valley of condition 100 at 45° whose cost is multiplied by scale."""
    H = _valleys.hessian(100, np.pi / 4)
    start = jnp.array([0.0, 1.0])
    return descend(lambda w: scale * (w @ H @ w) / 2, optimizer, start, steps=AGREED_STEPS).w


H = np.array([[0.505, -0.495], [-0.495, 0.505]])  # condition 100, turned by 45°


def _agreement(agreed: dict[str, np.ndarray]) -> dict[str, float]:
    """Largest difference of 1,000 steps from each other implementation that is there."""
    ours, start = agreed["ours"], agreed["ours"][0]
    apart = {
        "optax": np.abs(ours - agreed["optax"]).max(),
        "reference": np.abs(ours[:201] - _reference_path(start, steps=200)).max(),
    }
    settings: Any = {"steps": AGREED_STEPS, "alpha": AGREED_ALPHA, "eps": 1e-8}
    if frameworks.installed("torch"):
        apart["torch"] = np.abs(ours - torch_path(lambda w: H @ w, start, **settings)).max()
    if frameworks.installed("keras"):
        # On the cost that is scaled down, where ε counts.
        path = keras_path(lambda w: SMALL * (H @ w), start, **settings)
        apart["keras"] = np.abs(agreed["scaled"] - path).max()
        gradient = 1e-7
        step = keras_path(
            lambda w: np.array([gradient]) + 0 * w, np.zeros(1), steps=1, alpha=1.0, eps=1e-8
        )
        law = gradient / (gradient + 1e-8 / np.sqrt(1 - 0.999))
        apart["keras_first"] = abs(abs(step[1, 0]) / law - 1)
    return {name: float(value) for name, value in apart.items()}


def _reference_path(start: np.ndarray, steps: int) -> np.ndarray:
    params: Any = [(start[:, None],)]
    state, path = reference.adam_init(params), [start]
    for _ in range(steps):
        gradients: Any = [(H @ params[0][0],)]
        params, state = reference.adam_update(params, gradients, state, learning_rate=AGREED_ALPHA)
        path.append(params[0][0][:, 0])
    return np.array(path)


def draw(measurements: dict[str, Any]) -> Figure:
    digits = measurements["digits"]
    errors = {name: 100 * digits[name].judged("error").mean() for name in ("adam", "searched")}
    figure, axes = new_figure(
        2,
        2,
        height=7.4,
        title=f"Adam's defaults end at {errors['adam']:.1f} % test error, the best of "
        f"{SEARCHED} random settings at {errors['searched']:.1f} %",
    )
    styles: dict[str, Any] = dict(zip(RULES, series(4), strict=True))
    for ax, angle, where in ((axes[0, 0], 0, "along an axis"), (axes[0, 1], 1, "turned by 45°")):
        for (name, style), marker in zip(styles.items(), MARKERS, strict=False):
            ax.plot(
                _valleys.CONDITIONS,
                _valleys.fewest(measurements, name)[angle],
                marker=marker,
                label=LABELS[name],
                **style,
            )
        ax.set(
            title=f"Valley {where}, best α of each",
            xlabel="condition number",
            ylabel="steps to stay within 1 %",
            xscale="log",
            yscale="log",
            ylim=(15, 6e3),
        )
        ax.legend(loc="upper left", fontsize=9)
    _digits.draw_curves(axes[1, 0], digits, DIGITS, LABELS, styles)
    _draw_settings(axes[1, 1], measurements)
    seeds = len(digits["adam"].judged("error"))
    figure.supxlabel(
        f"Crosses: means over {seeds} seeds; the line: their median, the band their middle half.",
        fontsize=10,
    )
    return figure


def _draw_settings(ax: Axes, measurements: dict[str, Any]) -> None:
    """Test error against ε: the default's sweep, and all settings of the random search."""
    digits, searched = measurements["digits"], measurements["searched"]
    sweep = digits["epsilon"]
    errors = np.stack([100 * sweep.judged("error", s) for s in range(len(EPSILONS))], axis=1)
    dark, light = series(2)
    means = [100 * digits["searched"].judged("error", s).mean() for s in range(SEARCHED)]
    ax.plot(searched["eps"], means, "x", color=light["color"], label="random settings")
    label = f"only ε varies, α = {EPSILON_ALPHA}"
    spread(ax, EPSILONS, errors, label=label, marker="o", **dark)
    ax.set(xscale="log", yscale="log", xlabel="ε", ylabel="test error (%)", title="Adam's settings")
    ax.set_yticks([5, 10, 20, 40, 80], labels=["5", "10", "20", "40", "80"])
    ax.minorticks_off()
    ax.set_ylim(5, 200)
    ax.legend(loc="upper center", fontsize=9)


def claims(measurements: dict[str, Any]) -> list[Claim]:
    first = measurements["first"]
    law = GRADIENTS / (GRADIENTS + np.array([[1e-8], [1e-4]]))
    digits, agreement = measurements["digits"], measurements["agreement"]
    adam, searched, sweep = digits["adam"], digits["searched"], digits["epsilon"]
    errors = np.stack([100 * sweep.judged("error", s) for s in range(len(EPSILONS))], axis=1)
    plain, fewest = _valleys.fewest(measurements, "plain"), _valleys.fewest(measurements, "adam")
    small, usual = measurements["small_cost"], measurements["plain_cost"]
    conditions = np.array(_valleys.CONDITIONS)
    ratio = {
        name: np.log2(digits[name].judged("cost") / adam.judged("cost"))
        for name in ("plain", "momentum", "rmsprop")
    }
    return [
        exact(
            "The first step is α|g|/(|g|+ε), for g from 1e-12 to 1e3 and ε = 1e-8 and 1e-4 "
            "(largest relative difference).",
            np.abs(first / law - 1).max(),
            at_most(1e-12),
        ),
        exact(
            "In a badly scaled valley along an axis Adam needs fewer steps than plain descent, "
            "each at its best α, from condition 100 on (smallest ratio of plain descent's to its).",
            (plain / fewest)[0][conditions >= 100].min(),
            above(1),
        ),
        exact(
            "At condition 1,000 it does at 45° too, unlike RMSprop (ratio).",
            (plain / fewest)[1, -1],
            above(1),
        ),
        *(
            statistical(
                f"On digits 80 updates of Adam end at a lower training cost than {other}, each at "
                "the α chosen on other seeds (log₂ of the ratio).",
                ratio[name],
                above(0),
            )
            for name, other in (("plain", "80 of plain descent"), ("rmsprop", "80 of RMSprop"))
        ),
        statistical(
            "They end at a lower training cost than 80 with momentum too, or at most a tenth above "
            "it (log₂ of the ratio).",
            ratio["momentum"],
            at_least(-np.log2(1.1)),
        ),
        statistical(
            f"Adam's defaults, with α from a grid of {len(DIGITS['adam'])}, come within 2 points "
            f"of test error of the best of {SEARCHED} random settings of α, β₁, β₂ and ε (points).",
            100 * (adam.judged("error") - searched.judged("error")),
            at_most(2),
        ),
        statistical(
            "And within a factor 1.5 of its training cost (log₂ of the ratio).",
            np.log2(adam.judged("cost") / searched.judged("cost")),
            at_most(np.log2(1.5)),
        ),
        statistical(
            "On digits ε matters little over six decades, 1e-10 to 1e-4: the test error differs "
            "from that of 1e-8 by at most 1 point (largest difference over ε of a seed, points).",
            np.abs(errors[:, MINOR] - errors[:, [DEFAULT]]).max(axis=1),
            at_most(1),
        ),
        exact(
            "Where gradients are small it does not matter either: on a cost scaled by 1e-6 the "
            "path with ε = 1e-4 stays within 0.01 of that with 1e-12 (largest difference).",
            np.abs(small[-1] - small[0]).max(),
            at_most(0.01),
            expected="refuted",
            note="With gradients below ε the step is α g/ε and no longer α: Adam stands nearly "
            "still.",
        ),
        exact(
            "As long as ε is small beside the gradients the scale of the cost does not matter: "
            "scaled by 1e-6, with ε = 1e-12, the first 50 steps differ by at most 1e-4.",
            np.abs(small[0] - usual)[:51].max(),
            at_most(1e-4),
        ),
        exact(
            "1,000 steps agree with optax (largest difference).",
            agreement["optax"],
            at_most(1e-9),
        ),
        exact(
            "200 steps agree with the reference (largest difference).",
            agreement["reference"],
            at_most(1e-12),
        ),
        _with("torch", "1,000 steps agree with torch (largest difference).", agreement, 1e-9),
        _with(
            "keras",
            "Keras' first step is α|g|/(|g| + ε̂/√(1−β₂)): its ε̂ = 1e-8 acts as 3.2e-7 "
            "(relative difference at g = 1e-7).",
            agreement,
            1e-9,
            measured="keras_first",
        ),
        _with(
            "keras",
            "So with the same ε Keras takes other steps where gradients are small: on the cost "
            "scaled by 1e-6 the paths part by 0.001 or more in 1,000 steps (largest difference).",
            agreement,
            0.001,
            apart=True,
        ),
    ]


def _with(
    name: str,
    text: str,
    agreement: dict[str, float],
    bound: float,
    *,
    measured: str = "",
    apart: bool = False,
) -> Claim:
    """A claim that needs a framework."""
    criterion = at_least(bound) if apart else at_most(bound)
    if (measured or name) not in agreement:
        return not_run(text, "exact", f"{name}, in [compare]", criterion)
    return exact(text, agreement[measured or name], criterion)


if __name__ == "__main__":
    run_alone(__file__)
