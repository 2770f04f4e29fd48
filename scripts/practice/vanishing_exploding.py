"""Outputs and gradients of networks of up to 250 layers: how they vanish and explode.

The two-unit linear network of figure 59 with weights of (a) 1.5 and 0.5 times the identity and (b)
every element 1.5 and 0.5, as the text says; ŷ and its gradient by W[1] at every depth to 250, in
float64 and float32; the same network with tanh and ReLU. Then networks of 150 layers of 128 units
with normal weights of standard deviation g/√128, for three gains g.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from matplotlib.figure import Figure

from jaxnet.activations import ACTIVATIONS
from jaxnet.layers import Layer, dense
from reference_numpy import mlp as reference
from scripts.harness import (
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
from scripts.practice._deep import Pairs, depth_statistics, draw_pairs

TITLE = "Vanishing and exploding in deep networks"
NOTES_SECTION = "Vanishing / Exploding gradients"
NOTES_FIGURES = (59,)

DEEPEST = 250
CASES = (("identity", 1.5), ("identity", 0.5), ("elements", 1.5), ("elements", 0.5))
EIGENVALUES = (1.5, 0.5, 3.0, 1.0)  # of the cases' weight matrices, the largest
NAMES = ("1.5 · I", "0.5 · I", "elements 1.5", "elements 0.5")
HIDDEN = ("linear", "tanh", "relu")
DEPTH, WIDTH, EXAMPLES = 150, 128, 8
GAINS = (1.0, float(np.sqrt(2)), 2.0)
BEHIND = 100  # layers after which the tanh network is at its fixed point


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    with jax.enable_x64(True):
        outputs, gradients = (np.asarray(each) for each in _two_units(jnp.float64))
        single = np.asarray(_two_units(jnp.float32)[0][:, 0])
    return {
        "outputs": outputs,
        "gradients": gradients,
        "single": single,
        "numpy_zero": _numpy_zero(),
        "reference_apart": _reference_apart(outputs, gradients),
        "deep": _deep(seed_keys(key, quick)),
    }


def _matrices() -> np.ndarray:
    """W of every case, (cases, 2, 2)."""
    shapes = {"identity": np.eye(2), "elements": np.ones((2, 2))}
    return np.stack([scale * shapes[kind] for kind, scale in CASES])


@jax.jit(static_argnums=0)
def _two_units(dtype) -> tuple[jax.Array, jax.Array]:
    """ŷ and ‖dŷ/dW[1]‖ of networks of 1 … 250 layers, (cases, activations, depths).

    All layers have the same W, the output layer its first row; x = (1, 1).
    """
    x = jnp.ones((1, 2), dtype)
    zero = jnp.zeros(2, dtype)

    def outputs(first, w, g):
        """ŷ of L layers, for L from 1: the first layer, L − 2 more, and the output layer."""

        def layer(a, _):
            z = dense(Layer(w, zero), a)
            return g(z), z[0, 0]  # Z's first unit is ŷ if the network ends here

        z1 = dense(Layer(first, zero), x)
        _, rest = lax.scan(layer, g(z1), length=DEEPEST - 1)
        return jnp.append(z1[0, 0], rest)

    def case(w):
        found = []
        for name in HIDDEN:
            g = ACTIVATIONS[name]
            jacobian = jax.jacrev(lambda first, g=g: outputs(first, w, g))(w)
            found.append((outputs(w, w, g), jnp.sqrt(jnp.square(jacobian).sum(axis=(1, 2)))))
        return tuple(jnp.stack(both) for both in zip(*found, strict=True))

    return lax.map(case, jnp.asarray(_matrices(), dtype))


def _numpy_zero() -> int:
    """The number of layers of 0.5 · I at which NumPy's float32 output is 0."""
    a = np.ones(2, np.float32)
    for depth in range(1, DEEPEST + 1):
        a = (np.float32(0.5) * np.eye(2, dtype=np.float32)) @ a
        if a[0] == 0:
            return depth
    return DEEPEST + 1


def _reference_apart(outputs: np.ndarray, gradients: np.ndarray) -> float:
    """Largest relative difference from the reference at 20 and 250 layers, all cases."""
    apart = []
    X = np.ones((2, 1))
    for c, W in enumerate(_matrices()):
        for h, hidden in enumerate(HIDDEN):
            for depth in (20, DEEPEST):
                params = [(W, np.zeros((2, 1)))] * (depth - 1) + [(W[:1], np.zeros((1, 1)))]
                y, caches = reference.forward(params, X, hidden=hidden, output="linear")
                dW, _ = reference.backward(params, caches, 0 * y)[0]  # dZ[L] = ŷ
                for ours, theirs in (
                    (outputs[c, h, depth - 1], y.item()),
                    (gradients[c, h, depth - 1], np.linalg.norm(dW / y)),
                ):
                    # Behind tanh both may have underflowed to 0.
                    apart.append(0.0 if ours == theirs else abs(ours / theirs - 1))
    return float(np.max(apart))


def _deep(keys: jax.Array) -> dict[str, dict[str, np.ndarray]]:
    """By activation, statistics of random networks: (gains, seeds, layers)."""

    def member(key):
        w_key, x_key, direction_key = jax.random.split(key, 3)
        pairs = draw_pairs(w_key, DEPTH // 2, (WIDTH, WIDTH))
        x = jax.random.normal(x_key, (EXAMPLES, WIDTH))
        direction = jax.random.normal(direction_key, (WIDTH,)) / np.sqrt(WIDTH)

        def of(gain):
            scale = gain / np.sqrt(WIDTH)
            return {
                name: depth_statistics(
                    pairs, Pairs(scale, scale), x, direction, ACTIVATIONS[name]
                )._asdict()
                for name in ("tanh", "relu")
            }

        return lax.map(of, jnp.asarray(GAINS))

    found = jax.device_get(jax.jit(lambda keys: lax.map(member, keys))(keys))
    return jax.tree.map(lambda each: np.swapaxes(each, 0, 1), found)


def _slope(values: np.ndarray, start: int = 0) -> np.ndarray:
    """Least-squares slope of log values along the last axis, from `start`."""
    logs = np.log(np.abs(values[..., start:]))
    depth = np.arange(logs.shape[-1]) - (logs.shape[-1] - 1) / 2
    return (logs * depth).sum(axis=-1) / (depth**2).sum()


def _first(condition: np.ndarray) -> int:
    """The smallest depth at which the condition is met, counted from 1."""
    return int(np.argmax(condition)) + 1 if condition.any() else DEEPEST + 1


def _tanh_slope() -> float:
    """log of the factor of a gradient in a layer of tanh at the fixed point a = tanh(1.5 a)."""
    a = 1.0
    for _ in range(200):
        a = np.tanh(1.5 * a)
    return float(np.log(1.5 * (1 - a**2)))


def draw(measurements: dict[str, Any]) -> Figure:
    figure, axes = new_figure(
        2,
        2,
        height=7.6,
        title="Signals and gradients grow or shrink by a constant factor a layer;\n"
        "elements of 0.5 do not vanish: their matrix has the eigenvalue 1",
    )
    depths = np.arange(1, DEEPEST + 1)
    limits = np.finfo(np.float32)
    styles = series(4)
    for ax, name, what in (
        (axes[0, 0], "outputs", "|ŷ|"),
        (axes[0, 1], "gradients", "‖dŷ/dW[1]‖"),
    ):
        for values, label, eigenvalue, style in zip(
            measurements[name][:, 0], NAMES, EIGENVALUES, styles, strict=True
        ):
            ax.plot(depths, values, label=f"{label}: factor {_factor(values):.4g}", **style)
            ax.plot(
                depths[::25], values[1] * eigenvalue ** (depths[::25] - 2.0), "o", color="0.5", ms=3
            )
        ax.set(
            title=f"Linear, two units: {what}",
            xlabel="layers L",
            ylabel=f"{what} (no unit)",
            yscale="log",
            ylim=(1e-80, 1e128),
        )
        ax.legend(loc="upper left", fontsize=9)
    for x, side, limit, says in (
        (0, "left", limits.max, "largest float32"),
        (DEEPEST, "right", limits.tiny, "smallest normal float32"),
    ):
        axes[0, 0].axhline(limit, color="0.4", linewidth=1)
        axes[0, 0].text(x, limit, says, ha=side, va="bottom", fontsize=9)

    ax = axes[1, 0]
    for case, style in ((0, styles[0]), (1, styles[2])):
        for name, kind in (("outputs", "|ŷ|"), ("gradients", "gradient")):
            values = measurements[name][case, HIDDEN.index("tanh")]
            line = {**style, "linestyle": "-" if name == "outputs" else ":"}
            ax.plot(depths, values, label=f"{kind}, {NAMES[case]}", **line)
    ax.set(
        title="Two units with tanh: bounded output",
        xlabel="layers L",
        ylabel="|ŷ| and ‖dŷ/dW[1]‖ (no unit)",
        yscale="log",
        ylim=(1e-110, 1e12),
    )
    ax.legend(fontsize=9, loc="lower left")

    ax = axes[1, 1]
    layers = np.arange(1, DEPTH + 1)
    for (name, label), marks in zip(
        (("tanh", "tanh"), ("relu", "ReLU")), ({"linestyle": ":"}, {"linestyle": "-"}), strict=True
    ):
        norms = measurements["deep"][name]["dz_norm"]
        for gain, values, style in zip(GAINS, norms, series(3), strict=True):
            line: dict[str, Any] = {**style, **marks}
            spread(ax, layers, values / values[:, -1:], label=f"{label}, g = {gain:.3g}", **line)
    ax.set(
        title=f"{DEPTH} layers of {WIDTH} random units",
        xlabel="layer l, counted from the input",
        ylabel="‖dZ[l]‖ / ‖dZ[L]‖",
        yscale="log",
        ylim=(1e-38, 1e26),
    )
    ax.legend(fontsize=8.5, ncols=2)
    seeds = measurements["deep"]["relu"]["dz_norm"].shape[1]
    figure.supxlabel(
        "Grey dots: powers of the largest eigenvalue. Weights of standard deviation "
        f"g/√{WIDTH}; median and middle half of {seeds} seeds.",
        fontsize=9.5,
    )
    return figure


def _factor(values: np.ndarray) -> float:
    return float(np.exp(_slope(values, start=1)))


def claims(measurements: dict[str, Any]) -> list[Claim]:
    outputs, gradients = measurements["outputs"], measurements["gradients"]
    single = measurements["single"]
    limits = np.finfo(np.float32)
    relu, tanh = (measurements["deep"][name] for name in ("relu", "tanh"))
    found = []
    for case, (name, eigenvalue) in enumerate(zip(NAMES, EIGENVALUES, strict=True)):
        expected = np.log(eigenvalue)
        found += [
            exact(
                f"Weights of {name}: log|ŷ| is linear in L with slope log {eigenvalue:g} "
                "(difference of the fitted slope).",
                abs(_slope(outputs[case, 0]) - expected),
                at_most(1e-12),
            ),
            exact(
                f"Weights of {name}: so is the logarithm of the gradient by W[1], from L = 2 on "
                "(difference).",
                abs(_slope(gradients[case, 0], start=1) - expected),
                at_most(1e-12),
            ),
        ]
    return [
        *found,
        exact(
            "All elements 0.5: ŷ vanishes as L grows, as the text says (ŷ at 250 layers over ŷ at "
            "1).",
            outputs[3, 0, -1] / outputs[3, 0, 0],
            at_most(1e-6),
            expected="refuted",
            note="Erratum 14: the matrix has the eigenvalue 1, so ŷ stays as it is.",
        ),
        exact(
            "Float32 overflows at the depth predicted, the first with 1.5ᴸ above the largest "
            "number, 219 (measured depth).",
            _first(np.isinf(single[0])),
            between(219, 219),
        ),
        exact(
            "With all elements 1.5 it overflows at 81, the first L with 3ᴸ above it.",
            _first(np.isinf(single[2])),
            between(81, 81),
        ),
        exact(
            "Underflow with 0.5 · I sets in at 127, the first L with 0.5ᴸ below the smallest "
            "normal float32.",
            _first(single[1] < limits.tiny),
            between(127, 127),
        ),
        exact(
            "From there it is 0 or subnormal and from 150 on 0, whether subnormal numbers are kept "
            "or not (first depth with ŷ = 0, XLA).",
            _first(single[1] == 0),
            between(127, 150),
        ),
        exact(
            "NumPy keeps them: its ŷ is 0 first at 150.",
            measurements["numpy_zero"],
            between(150, 150),
        ),
        exact(
            "The reference's networks of 20 and 250 layers give these outputs and gradients "
            "(largest relative difference, float64).",
            measurements["reference_apart"],
            at_most(1e-12),
        ),
        exact(
            "ReLU changes nothing where weights and inputs are positive (largest difference of "
            "ŷ and gradients from the linear network, relative).",
            max(
                np.abs(each[:, HIDDEN.index("relu")] / each[:, 0] - 1).max()
                for each in (outputs, gradients)
            ),
            at_most(1e-14),
        ),
        exact(
            "tanh bounds the outputs of 1.5 · I (largest |ŷ|).",
            np.abs(outputs[0, HIDDEN.index("tanh")]).max(),
            at_most(1.5),
        ),
        exact(
            "Behind tanh the gradient of 1.5 · I vanishes, by 1.5 (1 − a²) a layer with a = tanh "
            "1.5a (difference of the slope of its logarithm).",
            abs(_slope(gradients[0, HIDDEN.index("tanh")], start=BEHIND) - _tanh_slope()),
            at_most(1e-6),
        ),
        *(
            statistical(
                f"ReLU, {DEPTH} layers: at g = {gain:.3g} the gradient changes by g/√2 a layer on "
                "its way back (log of the factor less log g/√2).",
                -_slope(relu["dz_norm"][index]) - np.log(gain / np.sqrt(2)),
                between(-0.03, 0.03),
            )
            for index, gain in enumerate(GAINS)
        ),
        statistical(
            f"tanh, {DEPTH} layers: at g = 2 outputs stay bounded but the gradient explodes on its "
            "way back (log of the factor a layer).",
            -_slope(tanh["dz_norm"][2]),
            above(0.05),
        ),
        statistical(
            f"tanh, {DEPTH} layers: at g = 1 the gradient neither explodes nor vanishes by more "
            "than 5 % a layer.",
            -_slope(tanh["dz_norm"][0]),
            between(-0.05, 0.05),
        ),
    ]


if __name__ == "__main__":
    run_alone(__file__)
