"""What normalizing the inputs does to the bowl that descent runs on, and to real data.

Linear regression on two uniform features, one in [0, s] with s from 1 to 10: its Hessian, the
updates that descent with α = 1/L needs to come to a hundredth of its distance, and the largest
stable α, found by bisection. Features in [1, 1000] and [0, 1] for the clouds and the contours. Then
logistic regression on the 30 measurements of tumours and on the pixels of digits, raw and
normalized, each with α = 1/L̂; and dev sets normalized with statistics of their own. Answers
figures 56 to 58.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from matplotlib.figure import Figure

from jaxnet import Dataset, Setup, descend, losses, make_train, mlp, optimizers
from jaxnet.data import datasets, normalization, splits
from jaxnet.models import forward_pass
from jaxnet.training.evaluation import score
from reference_numpy import normalization as reference
from scripts.harness import (
    Claim,
    above,
    at_least,
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
from scripts.practice import _digits as digits
from scripts.practice._normalization_drawing import draw_clouds, draw_contours

TITLE = "Normalizing the inputs makes the bowl round"
NOTES_SECTION = "Normalizing Inputs"
NOTES_FIGURES = (56, 57, 58)

EXAMPLES = 100
SCALES = tuple(np.geomspace(1, 10, 8))
STEPS, TOLERANCE = 5_000, 0.01  # of the distance to the optimum
NEAR_STEPS, HALVINGS = 200, 16  # of one run, and of the interval of α, in the bisection
PATH = 40
UPDATES = 200
BATCH = 16  # of a dev set that comes in parts, one class each


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    keys = seed_keys(key, quick)
    with jax.enable_x64(True):
        bowls = jax.device_get(_bowls(keys))
        clouds, contours, apart = _clouds(jax.random.fold_in(key, 1))
    return {
        **bowls,
        "clouds": clouds,
        "contours": contours,
        "reference_apart": apart,
        "real": {"tumours": _real(keys, *_tumours()), "digits": _real(keys, *_pixels())},
    }


def _bowls(keys: jax.Array) -> dict[str, Any]:
    """Condition number, steps and largest stable α, all (scales, seeds); "own" is normalized."""

    def bowl(x, start):
        """Of the cost of linear regression with features x (m, 2) and an intercept."""
        m = x.shape[0]
        ones = jnp.concatenate([x, jnp.ones((m, 1))], axis=1)
        H = ones.T @ ones / m
        eigenvalues = jnp.linalg.eigvalsh(H)

        def J(w):  # (1/m) Σ ½ (ŷ − y)² with the target that w = 0 gives, so the optimum is there
            return w @ H @ w / 2

        path = descend(J, optimizers.gradient_descent(1 / eigenvalues[-1]), start, steps=STEPS)
        distance = jnp.linalg.norm(path.w, axis=1)
        near = distance <= TOLERANCE * distance[0]

        def halve(bracket, _):
            low, high = bracket
            alpha = jnp.sqrt(low * high)
            costs = descend(J, optimizers.gradient_descent(alpha), start, steps=NEAR_STEPS).cost
            stable = costs[-1] <= costs[0]  # False for NaN
            return (jnp.where(stable, alpha, low), jnp.where(stable, high, alpha)), None

        (low, high), _ = lax.scan(halve, (jnp.array(1e-4), jnp.array(1e2)), length=HALVINGS)
        return {
            "condition": eigenvalues[-1] / eigenvalues[0],
            "largest": eigenvalues[-1],
            "steps": jnp.where(near.any(), near.argmax(), STEPS),
            "stable": jnp.sqrt(low * high),
        }

    def member(key, scale):
        x_key, w_key = jax.random.split(key)
        x = jax.random.uniform(x_key, (EXAMPLES, 2)) * jnp.array([scale, 1.0])
        start = jax.random.normal(w_key, (3,))
        own = normalization.apply(normalization.fit(x), x)
        return jax.tree.map(
            lambda *both: jnp.stack(both),
            *(bowl(features, start) for features in (x, own)),
        )

    @jax.jit
    def program(keys):
        return jax.vmap(lambda scale: jax.vmap(lambda key: member(key, scale))(keys))(
            jnp.asarray(SCALES)
        )

    return program(keys)


def _clouds(key: jax.Array) -> tuple[dict[str, Any], dict[str, Any], float]:
    """The cloud of the notes' ranges raw and normalized, descent on both, and the reference."""
    x_key, w_key = jax.random.split(key)

    @jax.jit
    def program():
        x = jax.random.uniform(x_key, (300, 2)) * jnp.array([999.0, 1.0]) + jnp.array([1.0, 0.0])
        fitted = normalization.fit(x)
        centred = x - fitted.mu[None]
        scaled = normalization.apply(fitted, x)
        start = jnp.array([1.0, 1.0]) * jax.random.uniform(w_key, (2,), minval=0.8)

        def contour(x):
            H = x.T @ x / x.shape[0]

            def J(w):
                return losses.cost(losses.squared_error(x @ w, jnp.zeros(x.shape[0])))

            L = jnp.linalg.eigvalsh(H)[-1]
            path = descend(J, optimizers.gradient_descent(1.8 / L), start, steps=PATH)
            return {"path": path.w, "optimum": jnp.zeros(2), "hessian": H}

        return x, fitted, centred, scaled, contour(centred), contour(scaled)

    x, fitted, centred, scaled, raw, own = jax.device_get(program())
    mu, sigma = reference.fit(x.T)
    apart = max(
        np.abs(mu[:, 0] / fitted.mu - 1).max(),
        np.abs(sigma[:, 0] / fitted.sigma - 1).max(),
        np.abs(reference.apply(x.T, mu, sigma).T - scaled).max(),
    )
    clouds = {
        "Raw": x,
        "Centred": centred,
        "Divided by σ": scaled,
        "Divided by σ²": centred / fitted.sigma**2,
    }
    return clouds, {"raw": raw, "normalized": own}, float(apart)


def _tumours() -> tuple[Dataset, int]:
    return datasets.raw("breast_cancer"), 2


def _pixels() -> tuple[Dataset, int]:
    return datasets.whole("digits"), digits.CLASSES


def _real(keys: jax.Array, whole: Dataset, classes: int) -> dict[str, Any]:
    """Logistic regression on raw and on normalized features, (seeds, 2, ...), and dev statistics.

    own: dev error when the dev set is normalized with its own statistics; parts: when it comes in
    parts of one class, each normalized with its own; shifted: largest change of an output by a
    shift of the dev set, with the training's and with the dev set's own statistics.
    """
    n = whole.x.shape[1]
    model = mlp((n, classes), initializer="zeros")
    train = make_train(
        lambda alpha: Setup(model, optimizers.gradient_descent(alpha)),
        batch_size=None,
        epochs=UPDATES,
    )

    def member(key, whole):
        split_key, run_key = jax.random.split(key)
        rows = splits.split(split_key, len(whole.x), (0.6, 0.4))
        data, dev = (Dataset(whole.x[part], whole.y[part]) for part in rows)
        fitted = normalization.fit(data.x)
        identity = normalization.Normalization(jnp.zeros(n), jnp.ones(n))

        def arm(statistics):
            x = normalization.apply(statistics, data.x)
            ones = jnp.concatenate([x, jnp.ones((len(x), 1))], axis=1)
            bound = jnp.linalg.norm(ones, ord=2) ** 2 / len(x) / 2  # of the Hessian, everywhere
            run = train(run_key, 1 / bound, Dataset(x, data.y))
            return run.params, run.history["cost"][:, 0]

        def error(params, statistics, x, y):
            part = Dataset(normalization.apply(statistics, x), y)
            return score(model, params, (), part, losses.softmax_cross_entropy).error

        both = jax.tree.map(lambda *leaves: jnp.stack(leaves), identity, fitted)
        params, cost = lax.map(arm, both)
        errors = jax.vmap(lambda p, s: error(p, s, dev.x, dev.y))(params, both)
        params = jax.tree.map(lambda leaf: leaf[1], params)

        order = jnp.argsort(dev.y)
        parts = order[: len(order) // BATCH * BATCH].reshape(-1, BATCH)
        in_parts = jax.vmap(
            lambda rows: error(params, normalization.fit(dev.x[rows]), dev.x[rows], dev.y[rows])
        )(parts)

        def outputs(statistics, x):
            return forward_pass(params, (), normalization.apply(statistics, x)).zs[-1]

        moved = dev.x + fitted.sigma[None]
        return {
            "cost": cost,
            "error": errors,
            "own": error(params, normalization.fit(dev.x), dev.x, dev.y),
            "parts": in_parts.mean(),
            "shifted": jnp.stack(
                [
                    jnp.abs(outputs(fitted, moved) - outputs(fitted, dev.x)).max(),
                    jnp.abs(
                        outputs(normalization.fit(moved), moved)
                        - outputs(normalization.fit(dev.x), dev.x)
                    ).max(),
                ]
            ),
        }

    program = jax.jit(lambda keys, whole: lax.map(lambda key: member(key, whole), keys))
    return jax.device_get(program(keys, whole))


def draw(measurements: dict[str, Any]) -> Figure:
    figure, axes = new_figure(3, 3, height=9.6)
    slope = _slopes(measurements["condition"], measurements["steps"]).mean()
    figure.suptitle(
        f"Descent needs updates in proportion to the condition number (power {slope:.2f}),\n"
        "which dividing by σ brings close to 1"
    )
    clouds = measurements["clouds"]
    draw_clouds(axes[0], {name: clouds[name] for name in ("Raw", "Centred", "Divided by σ")})
    contours = measurements["contours"]
    draw_contours(axes[1, 0], contours["raw"], f"Centred only: {PATH} steps, α = 1.8/L")
    draw_contours(axes[1, 1], contours["normalized"], f"Normalized: {PATH} steps, α = 1.8/L")

    raw, normalized = series(2)
    ax = axes[1, 2]
    for side, style, name in ((1, normalized, "normalized"), (0, raw, "raw")):
        condition, steps = (measurements[k][..., side].ravel() for k in ("condition", "steps"))
        ax.plot(condition, steps, ".", color=style["color"], label=name)
    condition = np.sort(measurements["condition"][..., 0].ravel())
    ax.plot(
        condition, condition * np.log(1 / TOLERANCE), color="0.5", linewidth=1, label="κ ln 100"
    )
    ax.set(
        title="Updates to a hundredth",
        xlabel="condition number κ",
        ylabel="updates, α = 1/L",
        xscale="log",
        yscale="log",
    )
    ax.legend(fontsize=9)

    ax = axes[2, 0]
    L, stable = measurements["largest"], measurements["stable"]
    for side, style, name in ((1, normalized, "normalized"), (0, raw, "raw")):
        ax.plot(
            L[..., side].ravel(), stable[..., side].ravel(), ".", color=style["color"], label=name
        )
    line = np.sort(L.ravel())
    ax.plot(line, 2 / line, color="0.5", linewidth=1, label="2/L")
    ax.set(
        title="Largest stable α",
        xlabel="largest eigenvalue L",
        ylabel="α",
        xscale="log",
        yscale="log",
    )
    ax.legend(fontsize=9)
    for ax, (name, title) in zip(
        axes[2, 1:],
        (("tumours", "Tumours: ranges 10⁻³ to 10³"), ("digits", "Digits: pixels in [0, 1]")),
        strict=True,
    ):
        found = measurements["real"][name]
        for side, style, label in ((0, raw, "raw"), (1, normalized, "normalized")):
            spread(
                ax,
                np.arange(UPDATES),
                found["cost"][:, side],
                label=f"{label}, dev error {100 * found['error'][:, side].mean():.1f} %",
                **style,
            )
        ax.set(title=title, xlabel="update, α = 1/L̂", ylabel="cost (nats)", yscale="log")
        ax.set_ylim(0.05, 8)
        ticks = (0.1, 0.3, 1, 3)
        ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.minorticks_off()
        ax.legend(fontsize=8.5, loc="upper right")
    seeds = measurements["steps"].shape[1]
    figure.supxlabel(
        f"+: mean; star: optimum. Dots: {seeds} seeds of each of {len(SCALES)} ranges. Curves: "
        "median and middle half\nof the seeds; α = 1/L̂ with L̂ a bound of the Hessian.",
        fontsize=9.5,
    )
    return figure


def _slopes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Per seed, the power p of y ∝ xᵖ over the scales, from raw features (scales, seeds, 2)."""
    log_x, log_y = np.log(x[..., 0]), np.log(y[..., 0])
    centred = log_x - log_x.mean(axis=0)
    return (centred * log_y).sum(axis=0) / (centred**2).sum(axis=0)


def claims(measurements: dict[str, Any]) -> list[Claim]:
    clouds = measurements["clouds"]
    variance = clouds["Divided by σ"].var(axis=0)
    printed = clouds["Divided by σ²"].var(axis=0)
    condition, steps = measurements["condition"], measurements["steps"]
    product = measurements["stable"] * measurements["largest"] / 2
    tumours, pixels = measurements["real"]["tumours"], measurements["real"]["digits"]
    return [
        exact(
            "Dividing by σ gives unit variance (largest |variance − 1|).",
            np.abs(variance - 1).max(),
            at_most(1e-12),
        ),
        exact(
            "Dividing by σ², as printed, gives unit variance (largest |variance − 1|).",
            np.abs(printed - 1).max(),
            at_most(1e-12),
            expected="refuted",
            note="The variance of x/σ² is 1/σ²: erratum 4.",
        ),
        exact(
            "The reference's μ, σ and normalized features agree (largest difference, float64).",
            measurements["reference_apart"],
            at_most(1e-12),
        ),
        statistical(
            "Updates to tolerance grow in proportion to the Hessian's condition number (power of "
            "it, ranges from 1 : 1 to 10 : 1).",
            _slopes(condition, steps),
            between(0.85, 1.15),
        ),
        statistical(
            "Normalizing saves nine tenths of the updates or more at ranges of 10 : 1 (share that "
            "is left).",
            steps[-1, :, 1] / steps[-1, :, 0],
            at_most(0.1),
        ),
        statistical(
            "The largest stable α scales with 1/L (power of L).",
            _slopes(measurements["largest"], measurements["stable"]),
            between(-1.02, -0.98),
        ),
        exact(
            "It is 2/L within 5 %, raw and normalized (largest deviation, all ranges and seeds).",
            np.abs(product - 1).max(),
            at_most(0.05),
        ),
        statistical(
            "On tumours normalizing lowers the training cost after the same updates (log₁₀ of the "
            "ratio, α = 1/L̂ for each).",
            np.log10(tumours["cost"][:, 0, -1] / tumours["cost"][:, 1, -1]),
            at_least(0.3),
        ),
        statistical(
            "For features of like range normalizing is needless: after the same updates digits are "
            "within one point of dev error, raw and normalized.",
            pixels["error"][:, 0] - pixels["error"][:, 1],
            between(-0.01, 0.01),
            expected="refuted",
            note="The pixels share one range but not a mean of 0, so the bowl is long all the "
            "same: the sum of all pixels has a far larger second moment than any difference.",
        ),
        statistical(
            "For features of like range normalizing is needless: with two features in [0, 1] it "
            "saves less than half of the updates (share that is left).",
            steps[0, :, 1] / steps[0, :, 0],
            at_least(0.5),
            expected="refuted",
            note="Features in [0, 1] have a mean, by which they couple with b; centring alone "
            "divides the condition number by ten or more.",
        ),
        statistical(
            "Dev sets need the training's μ and σ: tumours that come in parts of one class, "
            f"{BATCH} each, normalized with statistics of their own, are misjudged (dev error, "
            "difference).",
            tumours["parts"] - tumours["error"][:, 1],
            at_least(0.1),
        ),
        statistical(
            "A whole dev set's own statistics do little harm: within one point of dev error.",
            tumours["own"] - tumours["error"][:, 1],
            between(-0.01, 0.01),
        ),
        statistical(
            "A dev set shifted by one σ changes the outputs (largest change, training's μ, σ).",
            tumours["shifted"][:, 0],
            above(0.1),
        ),
        exact(
            "With its own statistics the shift goes unseen (largest change of an output beside "
            "that with the training's).",
            (tumours["shifted"][:, 1] / tumours["shifted"][:, 0]).max(),
            at_most(1e-3),
        ),
    ]


if __name__ == "__main__":
    run_alone(__file__)
