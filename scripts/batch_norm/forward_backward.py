"""Batch norm between X W + b and the activation: forward, backward, and what rounding does to it.

X → Z → Z̃ → A for 50 random layers in float64, A = tanh Z̃, with the gradient of a weighted sum of
A by everything before it: by jax.grad, by the closed form of the reference, by torch. Two sums
over the batch that the closed form implies, for ε from 0 to 1. Then float32 on inputs around an
offset of up to 10⁵, with the variance in two passes and in one. Answers the notes' last heading.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxnet import layers
from jaxnet.crosscheck.backends import frameworks
from jaxnet.layers import BatchNormParams
from reference_numpy import batch_norm as reference
from scripts.batch_norm._chain import BATCH, EPS, apart, by_reference, by_torch, chain, draw_layers
from scripts.harness import (
    INK,
    TRUE,
    Claim,
    at_least,
    at_most,
    between,
    exact,
    new_figure,
    not_run,
    run_alone,
    series,
)

TITLE = "Batch norm forward and backward, and its rounding"
NOTES_SECTION = "Batch Regularization"
NOTES_FIGURES = ()

LAYERS = 50
EPSILONS = (0.0, *(10.0**power for power in range(-8, 1)))  # of the two sums
FORWARD = ("mu", "var", "out", "A")
BACKWARD = ("dZ", "dgamma", "dbeta", "dW", "dX")
SYMBOLS = {
    "mu": "μ",
    "var": "σ²",
    "out": "Z̃",
    "A": "A",
    "dZ": "dZ",
    "dgamma": "dγ",
    "dbeta": "dβ",
    "dW": "dW",
    "dX": "dX",
}

# Float32: 64 examples of 64 units. Multiples of 1/16 within ±8 have sums and means over 64 that
# float32 holds exactly up to an offset of 10⁴; multiples of 1/1024 are held, their means are not.
SHIFTED = 64
COARSE, FINE = 2.0**-4, 2.0**-10
SHIFTS = (0.0, 1e1, 1e2, 1e3, 1e4, 1e5)
SHIFT = 1e4


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    count = 20 if quick else LAYERS
    chain_key, sums_key, shift_key = jax.random.split(key, 3)

    @jax.jit
    def in_float64():
        drawn = draw_layers(chain_key, count)
        return drawn, jax.vmap(chain)(drawn), _sums(sums_key)

    with jax.enable_x64(True):
        drawn, ours, results = jax.device_get(in_float64())
    results["Z"], results["out"], results["A"] = (ours[name][0] for name in ("Z", "out", "A"))
    results["reference_apart"] = apart(ours, by_reference, drawn)
    if frameworks.installed("torch"):
        results["torch_apart"] = apart(ours, by_torch, drawn)
    return results | _shifted(shift_key)


def _sums(key: jax.Array) -> dict[str, jax.Array]:
    """Σ dz and Σ dz·ẑ over the batch with the sizes of their terms, for each ε; (ε, units)."""
    keys = jax.random.split(key, 4)
    z = 2 + jax.random.normal(keys[0], (BATCH, 64))
    dout = jax.random.normal(keys[1], (BATCH, 64))
    gamma = jax.random.uniform(keys[2], (64,), minval=0.5, maxval=2.0)
    norm = BatchNormParams(gamma, jax.random.normal(keys[3], (64,)))

    @jax.vmap
    def one(eps):
        out, pull_back, batch = jax.vjp(
            lambda z: layers.batch_norm(norm, z, eps=eps), z, has_aux=True
        )
        (dz,) = pull_back(dout)
        z_hat = (out - norm.beta[None]) / norm.gamma[None]
        predicted = gamma * eps * (batch.var + eps) ** -1.5 * jnp.sum(dout * z_hat, axis=0)
        return {
            "sum_dz": jnp.sum(dz, axis=0),
            "size_dz": jnp.sum(jnp.abs(dz), axis=0),
            "sum_dz_z_hat": jnp.sum(dz * z_hat, axis=0),
            "size_dz_z_hat": jnp.sum(jnp.abs(dz * z_hat), axis=0),
            "predicted": predicted,
        }

    return one(jnp.array(EPSILONS))


def _one_pass(z: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Normalised z and its variance as the mean of squares minus the squared mean."""
    mean = z.mean(axis=0)
    var = jnp.square(z).mean(axis=0) - jnp.square(mean)
    return (z - mean[None]) / jnp.sqrt(var + EPS)[None], var


def _two_pass(z: jax.Array) -> tuple[jax.Array, jax.Array]:
    unit = BatchNormParams(jnp.ones(SHIFTED), jnp.zeros(SHIFTED))
    out, batch = layers.batch_norm(unit, z, eps=EPS)
    return out, batch.var


def _shifted(key: jax.Array) -> dict[str, Any]:
    """Float32: output and variance around each offset; (grids, shifts, examples, units)."""
    draws = np.asarray(jax.random.normal(key, (SHIFTED, SHIFTED)), np.float64)
    inputs = []
    for spacing in (COARSE, FINE):
        z = spacing * np.round(np.clip(2 * draws, -7.9, 7.9) / spacing)
        inputs.append([z + shift for shift in SHIFTS])
    exactly = np.array(inputs)
    rounded = exactly.astype(np.float32)
    both = jax.jit(jax.vmap(jax.vmap(lambda z: (_two_pass(z), _one_pass(z)))))
    (out, var), (one_out, one_var) = jax.device_get(both(rounded))
    ones, zeros = np.ones((SHIFTED, 1)), np.zeros((SHIFTED, 1))
    of_reference = [
        reference.forward(z.T, ones, zeros, EPS)[0] for z in exactly[0, [0, SHIFTS.index(SHIFT)]]
    ]
    return {
        "representable": np.array((rounded == exactly)[:, : SHIFTS.index(SHIFT) + 1].all()),
        "true_var": exactly[:, 0].var(axis=1),
        "two_pass_out": out,
        "two_pass_var": var,
        "one_pass_out": one_out,
        "one_pass_var": one_var,
        "reference_change": np.abs(of_reference[1] - of_reference[0]).max(),
    }


def _changes(measurements: dict[str, Any], name: str) -> np.ndarray:
    """Largest change of the output from that without an offset, (grids, shifts)."""
    out = measurements[f"{name}_out"].astype(np.float64)
    return np.abs(out - out[:, :1]).max(axis=(2, 3))


def _var_errors(measurements: dict[str, Any], name: str) -> np.ndarray:
    """Largest relative error of the variance over the units, (grids, shifts)."""
    true = measurements["true_var"][:, None]
    return np.abs(measurements[f"{name}_var"] / true - 1).max(axis=2)


def draw(measurements: dict[str, Any]) -> Figure:
    at = SHIFTS.index(SHIFT)
    lost = _var_errors(measurements, "one_pass")[1, at]
    figure, axes = new_figure(
        2,
        2,
        height=7.2,
        title="jax.grad, the closed form and torch agree to rounding; at an offset of 10⁴ a\n"
        f"one-pass variance in float32 is wrong by up to {100 * lost:,.0f} %, two passes are not",
    )
    _draw_layer(axes[0, 0], measurements)
    _draw_apart(axes[0, 1], measurements)
    _draw_sums(axes[1, 0], measurements)
    ax, styles = axes[1, 1], series(2)
    for name, label, style, marker in (
        ("one_pass", "one pass, mean z² − μ²", styles[1], "s"),
        ("two_pass", "two passes (jaxnet)", styles[0], "o"),
    ):
        errors = np.maximum(_var_errors(measurements, name)[1], 1e-8)
        ax.plot(np.maximum(SHIFTS, 1), errors, label=label, marker=marker, **style)
    ax.axhline(1, color=INK, linewidth=1)
    ax.set(
        title="Float32 variance around an offset",
        xlabel="offset of the inputs (the unit of z)",
        ylabel="largest relative error of σ²",
        xscale="log",
        yscale="log",
    )
    ax.set_xticks(np.maximum(SHIFTS, 1), labels=["0", "10", "10²", "10³", "10⁴", "10⁵"])
    ax.minorticks_off()
    ax.legend(loc="upper left")
    return figure


def _draw_layer(ax: Axes, measurements: dict[str, Any]) -> None:
    """One layer's units as X W + b, after batch norm, and after tanh."""
    for place, name in enumerate(("Z", "out", "A")):
        values = measurements[name]
        for unit, style in enumerate(series(values.shape[1])):
            x = place + (unit - 1.5) * 0.17
            ax.scatter(
                np.full(len(values), x), values[:, unit], s=14, color=style["color"], alpha=0.8
            )
            ax.hlines(values[:, unit].mean(), x - 0.07, x + 0.07, color=INK, linewidth=1.2)
    ax.set_xticks(range(3), labels=["Z = X W + b", "Z̃ = γ ẑ + β", "A = tanh Z̃"])
    ax.set(title=f"{len(measurements['Z'])} examples, four units (line: mean)", ylabel="value")
    ax.grid(visible=False, axis="x")


def _draw_apart(ax: Axes, measurements: dict[str, Any]) -> None:
    names = [*FORWARD, *BACKWARD]
    for who, label, marker, style in (
        ("reference_apart", "closed form (reference)", "o", series(2)[0]),
        ("torch_apart", "torch", "s", series(2)[1]),
    ):
        if who in measurements:
            found = measurements[who]
            here = [name for name in names if name in found]
            x = [names.index(name) for name in here]
            ax.plot(
                x,
                [max(found[name], 1e-4) for name in here],
                marker,
                color=style["color"],
                label=label,
            )
    ax.axhline(1, color=INK, linewidth=1)
    ax.text(len(names) - 0.6, 1.15, "bound", ha="right", va="bottom")
    ax.set_xticks(range(len(names)), labels=[SYMBOLS[name] for name in names])
    ax.set(
        title="jaxnet with jax.grad against",
        ylabel="difference over its rounding bound",
        yscale="log",
        ylim=(1e-4, 4),
    )
    ax.legend(loc="lower left", fontsize=9)


def _draw_sums(ax: Axes, measurements: dict[str, Any]) -> None:
    """The share of Σ|dz·ẑ| that is left in the sum, median over units, against ε."""
    size = measurements["size_dz_z_hat"]
    eps = np.array(EPSILONS)
    for name, label, style in (
        ("predicted", "γε(σ²+ε)^(−3/2) Σ dz̃·ẑ", {"color": "0.5", "linewidth": 4}),
        ("sum_dz_z_hat", "Σ dz·ẑ", {**series(2)[0], "marker": "o"}),
    ):
        share = np.median(np.abs(measurements[name]) / size, axis=1)
        ax.plot(eps[1:], share[1:], label=label, **style)
    share = np.median(np.abs(measurements["sum_dz"]) / measurements["size_dz"], axis=1)
    ax.plot(eps[1:], share[1:], label="Σ dz", marker="s", **series(2)[1])
    ax.set(
        title="Two sums over the batch (float64)",
        xlabel="ε (the unit of σ²)",
        ylabel="|sum| over the sum of sizes",
        xscale="log",
        yscale="log",
    )
    ax.legend(loc="center right", fontsize=9)


def claims(measurements: dict[str, Any]) -> list[Claim]:
    at = SHIFTS.index(SHIFT)
    changes = _changes(measurements, "two_pass")[:, at]
    var_error = {name: _var_errors(measurements, name)[1, at] for name in ("one_pass", "two_pass")}
    size = measurements["size_dz_z_hat"]
    worst_std = np.sqrt(measurements["true_var"].min())
    mean_bound = SHIFTED * float(np.finfo(np.float32).eps) * (SHIFT + 8) / worst_std
    ratio = "(largest difference over its rounding bound, float64)"
    return [
        exact(
            f"Forward, X → Z → Z̃ → A: jaxnet equals the closed form of the reference {ratio}.",
            max(measurements["reference_apart"][name] for name in FORWARD),
            at_most(1),
        ),
        exact(
            f"Backward: jax.grad equals the closed form of the reference {ratio}.",
            max(measurements["reference_apart"][name] for name in BACKWARD),
            at_most(1),
        ),
        _of_torch(f"Forward: jaxnet equals torch {ratio}.", measurements, ("out", "A")),
        _of_torch(f"Backward: jax.grad equals torch's autograd {ratio}.", measurements, BACKWARD),
        exact(
            "Σ dz over the batch is 0 at every ε (largest |Σ dz| / Σ |dz|).",
            np.max(np.abs(measurements["sum_dz"]) / measurements["size_dz"]),
            at_most(1e-13),
        ),
        exact(
            "Σ dz·ẑ = γε(σ²+ε)^(−3/2) Σ dz̃·ẑ at every ε (largest difference over Σ |dz·ẑ|).",
            np.max(np.abs(measurements["sum_dz_z_hat"] - measurements["predicted"]) / size),
            at_most(1e-13),
        ),
        exact(
            "At ε = 0 that sum is 0 (largest |Σ dz·ẑ| / Σ |dz·ẑ|).",
            np.max(np.abs(measurements["sum_dz_z_hat"][0]) / size[0]),
            at_most(1e-13),
        ),
        exact(
            f"At ε = {EPS:g} it is not (median over units of the same share).",
            np.median((np.abs(measurements["sum_dz_z_hat"]) / size)[EPSILONS.index(EPS)]),
            at_least(1e-8),
        ),
        exact(
            "Inputs in float32, multiples of 1/16 and of 1/1024 within ±8, are exactly "
            "representable before and after every shift up to 10⁴.",
            bool(measurements["representable"]),
            TRUE,
        ),
        exact(
            "Where their means are representable too (1/16), the shift by 10⁴ leaves the float32 "
            "output unchanged bit for bit (largest change).",
            changes[0],
            between(0, 0),
        ),
        exact(
            "Where only the inputs are representable (1/1024), the shift by 10⁴ leaves the "
            "float32 output unchanged too (largest change).",
            changes[1],
            between(0, 0),
            expected="refuted",
            note="The mean, near 10⁴, is rounded to float32, and the centred values carry that "
            "rounding along; representable inputs alone are not enough.",
        ),
        exact(
            "What changes then is the rounding of the mean and no more (largest change over "
            "n·ulp(mean)/σ).",
            changes[1] / mean_bound,
            at_most(1),
        ),
        exact(
            "The reference, float64, does not change by the shift (largest change).",
            measurements["reference_change"],
            between(0, 0),
        ),
        exact(
            "At the shift of 10⁴ the two-pass variance in float32 is right (largest relative "
            "error, 1/1024).",
            var_error["two_pass"],
            at_most(1e-4),
        ),
        exact(
            "A one-pass variance fails there (largest relative error).",
            var_error["one_pass"],
            at_least(0.5),
        ),
    ]


def _of_torch(text: str, measurements: dict[str, Any], names: tuple[str, ...]) -> Claim:
    criterion = at_most(1)
    if "torch_apart" not in measurements:
        return not_run(text, "exact", "torch, in [compare]", criterion)
    worst = max(measurements["torch_apart"][name] for name in names)
    return exact(text, worst, criterion)


if __name__ == "__main__":
    run_alone(__file__)
