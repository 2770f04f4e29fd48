"""Backward propagation through logistic regression: one example, then the mean of m.

Breast cancer's training part (normalized; y = 1 is benign). The computation graph of one example
with two features, at random parameters, from a traced program; then all 30 features: gradients
of single examples and of the cost by jax.grad, by the reference's loop over the examples and by its
vectorised form. Then batch gradient descent. All in float64. Answers figures 11 to 14 of the notes.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.ad_checkpoint import checkpoint_name
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxnet.activations import sigmoid
from jaxnet.data import datasets
from jaxnet.layers import Layer
from jaxnet.losses import binary_cross_entropy
from jaxnet.losses import cost as mean_loss
from jaxnet.models import logistic_regression
from jaxnet.optimizers import gradient_descent
from jaxnet.training import fit
from reference_numpy import logistic_regression as reference
from scripts.basics._graph import Node, trace
from scripts.basics._graph_drawing import draw_graph
from scripts.harness import (
    COLOURS,
    INK,
    Claim,
    at_most,
    below,
    exact,
    new_figure,
    run_alone,
    series,
)

TITLE = "Backpropagation through logistic regression: dz = a − y"
NOTES_SECTION = "Logistic regression gradient descent"
NOTES_FIGURES = (11, 12, 13, 14)

EPS = np.finfo(np.float64).eps
ITERATIONS = 200


def loss(x1, w1, x2, w2, b, y):
    """The loss of one example with two features, its steps named as in the notes."""
    z = checkpoint_name(w1 * x1 + w2 * x2 + b, "z")
    a = checkpoint_name(sigmoid(z), "a")
    return checkpoint_name(-(y * jnp.log(a) + (1 - y) * jnp.log(1 - a)), "L")


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    data_key, w_key, b_key = jax.random.split(key, 3)
    with jax.enable_x64(True):
        split = datasets.load("breast_cancer", key=data_key)
        x, y = jax.device_get(split.train)
        n = x.shape[1]
        w = np.asarray(jax.random.normal(w_key, (n, 1))) / np.sqrt(n)
        b = np.asarray(jax.random.normal(b_key, (1,)))
        # With the other features at 0, one compiled program serves two features and all.
        two_features = _gradients(w, b, np.where(np.arange(n) < 2, x, 0), y)
        all_features = _gradients(w, b, x, y)
        inputs = np.column_stack([x, np.ones(len(x))])
        bound = np.linalg.eigvalsh(inputs.T @ inputs / len(x))[-1] / 4
        run = fit(
            logistic_regression(n),
            split.train,
            optimizer=gradient_descent(1 / bound),
            loss=binary_cross_entropy,
            batch_size=None,
            epochs=20 if quick else ITERATIONS,
            key=key,
            dev=split.dev,
        )
        examples = 10 if quick else 50
        graphs = [_graph(w, b, x[i], float(y[i])) for i in range(examples)]
    X, Y = x.T, y[None, :].astype(float)
    return {
        "x": x,
        "y": y,
        "graph": graphs[0],
        "graph_dz": np.array([graph["z"].derivative for graph in graphs]),
        "graph_gradients": np.array(
            [[graph[name].derivative for name in ("w₁", "w₂", "b")] for graph in graphs]
        ),
        "two_features": two_features,
        "all_features": all_features,
        "vectorised": np.append(*reference.gradients(w, b, X, Y)),
        "loop": np.append(*reference.gradients_loop(w, b, X, Y)),
        "costs": np.asarray(run.history["cost"])[:, 0],
        "dev_costs": np.asarray(run.history["dev_cost"]),
    }


@jax.jit
def _by_grad(params: tuple[Layer], x: jax.Array, y: jax.Array) -> dict[str, jax.Array]:
    apply = logistic_regression(x.shape[1]).apply

    def cost(params, x, y):
        return mean_loss(binary_cross_entropy(apply(params, (), x)[0], y))

    z, _ = apply(params, (), x)
    (each,) = jax.vmap(lambda x, y: jax.grad(cost)(params, x[None], y[None]))(x, y)
    (whole,) = jax.grad(cost)(params, x, y)
    return {
        "a": sigmoid(z),
        "dz": jax.grad(lambda z: binary_cross_entropy(z, y).sum())(z),
        "examples": jnp.concatenate([each.w[:, :, 0], each.b], axis=1),
        "cost": jnp.concatenate([whole.w[:, 0], whole.b]),
    }


def _gradients(w: np.ndarray, b: np.ndarray, x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """By jax.grad: dz (m,), and (dw, db) of every example (m, n + 1) and of the cost (n + 1,)."""
    return jax.device_get(_by_grad((Layer(jnp.array(w), jnp.array(b)),), x, y))


def _graph(w: np.ndarray, b: np.ndarray, x: np.ndarray, y: float) -> dict[str, Node]:
    names = ("x₁", "w₁", "x₂", "w₂", "b", "y")
    values = (x[0], w[0, 0], x[1], w[1, 0], b[0], y)
    return trace(loss, {name: float(value) for name, value in zip(names, values, strict=True)})


def draw(measurements: dict[str, Any]) -> Figure:
    figure, axes = new_figure(
        2,
        2,
        height=8.8,
        title="dz = a − y; dw and db are the means of x·dz and of dz over the m examples",
        height_ratios=(1.15, 1),
    )
    grid = axes[0, 0].get_gridspec()
    for ax in axes[0]:
        ax.remove()
    graph = figure.add_subplot(grid[0, :])
    draw_graph(graph, measurements["graph"])
    graph.legend(loc="lower right")
    nodes = measurements["graph"]
    graph.set_title(
        f"One example: a − y = {nodes['a'].value - nodes['y'].value:.3g} = dL/dz".replace("-", "−")
    )
    _draw_examples(axes[1, 0], measurements)
    costs, dev_costs = measurements["costs"], measurements["dev_costs"]
    train, dev = series(2)
    axes[1, 1].plot(np.arange(len(costs)), costs, label="train", **train)
    axes[1, 1].plot(1 + np.arange(len(dev_costs)), dev_costs, label="dev", **dev)
    axes[1, 1].set(
        title="Batch gradient descent, 30 features",
        xlabel="iteration",
        ylabel="J (nats)",
        ylim=(0, None),
    )
    axes[1, 1].legend(loc="upper right")
    return figure


def _draw_examples(ax: Axes, measurements: dict[str, Any]) -> None:
    y, gradients = measurements["y"], measurements["two_features"]
    labels = ("malignant, y = 0", "benign, y = 1")
    for label, style, marker in zip((0, 1), series(2), "o^", strict=True):
        points = gradients["examples"][y == label]
        ax.plot(
            *points[:, :2].T, marker, color=style["color"], ms=4, alpha=0.6, label=labels[label]
        )
    dw = gradients["cost"][:2]
    ax.annotate("", xy=dw, xytext=(0, 0), arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 2})
    ax.plot(*dw, "*", color=COLOURS[5], mec=INK, ms=14, label=f"mean of {len(y)}: (dw₁, dw₂)")
    ax.set(
        title="m examples: the gradient is the mean",
        xlabel="x₁ (a − y)",
        ylabel="x₂ (a − y)",
    )
    ax.legend(loc="upper left")


def claims(measurements: dict[str, Any]) -> list[Claim]:
    y, two, many = (measurements[name] for name in ("y", "two_features", "all_features"))
    dz, gradients = measurements["graph_dz"], measurements["graph_gradients"]
    some, x = slice(len(dz)), measurements["x"]
    # A sum of m products is computed to within m·ε·Σ|x||dz|; here it is their mean.
    inputs = np.column_stack([np.abs(x), np.ones(len(x))])
    rounding = EPS * (inputs * np.abs(many["dz"])[:, None]).sum(axis=0)
    return [
        exact(
            "dz = a − y by the chain rule through L and σ, on the graphs of single examples "
            "(largest difference, in ε).",
            np.abs(dz - (two["a"] - y)[some]).max() / EPS,
            at_most(8),
        ),
        exact(
            "dz = a − y by jax.grad of the loss of the logit, for every example (largest "
            "difference, in ε).",
            np.abs(many["dz"] - (many["a"] - y)).max() / EPS,
            at_most(8),
        ),
        exact(
            "dw₁ = x₁ dz, dw₂ = x₂ dz, db = dz on the graphs of single examples equal jax.grad "
            "(largest difference, in ε·max(1, |x|)).",
            (
                np.abs(gradients - two["examples"][some][:, [0, 1, -1]])
                / (EPS * np.maximum(1, inputs[some][:, [0, 1, -1]]))
            ).max(),
            at_most(8),
        ),
        exact(
            "The gradient of the cost is the mean of the examples' gradients (largest difference, "
            "as a multiple of the rounding bound).",
            (np.abs(many["examples"].mean(axis=0) - many["cost"]) / rounding).max(),
            at_most(1),
        ),
        exact(
            "dw = (1/m) X dZᵀ and db = (1/m) Σ dz, the reference's vectorised form, equal jax.grad "
            "(largest difference, as a multiple of the rounding bound).",
            (np.abs(measurements["vectorised"] - many["cost"]) / rounding).max(),
            at_most(1),
        ),
        exact(
            "The loop over the examples equals the vectorised form (largest difference, as a "
            "multiple of the rounding bound).",
            (np.abs(measurements["loop"] - measurements["vectorised"]) / rounding).max(),
            at_most(1),
        ),
        exact(
            "Every iteration of batch gradient descent lowers the cost (largest change).",
            np.diff(measurements["costs"]).max(),
            below(0),
        ),
    ]


if __name__ == "__main__":
    run_alone(__file__)
