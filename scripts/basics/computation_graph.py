"""The computation graph of J = 3(a + bc) at a = 5, b = 3, c = 2, from a traced program.

JAX traces J into equations; values go forward through them, derivatives of J backward by the chain
rule with hand-written rules for + and ·. The derivatives are held against jax.grad and against
two-sided differences, jaxnet's and the reference's, and the rules 3, 3c, 3b against the graph at
random a, b, c. All in float64. Answers figures 9 and 10 of the notes.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.ad_checkpoint import checkpoint_name
from matplotlib.figure import Figure

from jaxnet.gradcheck import central_differences
from reference_numpy.gradient_check import central_differences as reference_differences
from scripts.basics._graph import Node, trace
from scripts.basics._graph_drawing import draw_graph
from scripts.harness import Claim, at_most, between, exact, new_figure, run_alone

TITLE = "Values forward, derivatives backward: J = 3(a + bc)"
NOTES_SECTION = "Computation graph"
NOTES_FIGURES = (9, 10)

POINT = {"a": 5.0, "b": 3.0, "c": 2.0}


def J(a: jax.Array, b: jax.Array, c: jax.Array) -> jax.Array:
    u = checkpoint_name(b * c, "u")
    v = checkpoint_name(a + u, "v")
    return checkpoint_name(3 * v, "J")


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    with jax.enable_x64(True):
        nodes = trace(J, POINT)
        point = jnp.array(list(POINT.values()))
        random = np.asarray(jax.random.normal(key, (5 if quick else 50, 3)))
        at_random = [trace(J, dict(zip(POINT, row.tolist(), strict=True))) for row in random]
        grad, differences = jax.jit(lambda p: (jax.grad(_cost)(p), central_differences(_cost, p)))(
            point
        )
        return {
            "nodes": nodes,
            "grad": np.asarray(grad),
            "differences": np.asarray(differences),
            "reference_differences": reference_differences(
                lambda p: float(3 * (p[0] + p[1] * p[2])), np.asarray(point)
            ),
            "random": random,
            "random_derivatives": np.array([_derivatives(nodes) for nodes in at_random]),
        }


def _cost(p: jax.Array) -> jax.Array:
    return J(*p)


def _derivatives(nodes: dict[str, Node]) -> list[float]:
    return [nodes[name].derivative for name in POINT]


def draw(measurements: dict[str, Any]) -> Figure:
    nodes = measurements["nodes"]
    found = ", ".join(f"dJ/d{name} = {nodes[name].derivative:g}" for name in POINT)
    figure, ax = new_figure(height=4.6, title=f"Values go forward, derivatives back: {found}")
    draw_graph(ax, nodes)
    ax.legend(loc="lower right")
    return figure


def claims(measurements: dict[str, Any]) -> list[Claim]:
    nodes = measurements["nodes"]
    by_graph = np.array(_derivatives(nodes))
    _, b, c = measurements["random"].T
    by_hand = np.stack([np.full_like(b, 3), 3 * c, 3 * b], axis=1)
    values = {"u": 6, "v": 11, "J": 33}
    derivatives = {"v": 3, "u": 3, "a": 3, "b": 6, "c": 9}
    return [
        *(
            exact(f"Forward, {name} = {value}.", nodes[name].value, between(value, value))
            for name, value in values.items()
        ),
        *(
            exact(
                f"Backward by the chain rule, dJ/d{name} = {value}.",
                nodes[name].derivative,
                between(value, value),
            )
            for name, value in derivatives.items()
        ),
        exact(
            "jax.grad gives the graph's dJ/da, dJ/db, dJ/dc (largest difference).",
            np.abs(measurements["grad"] - by_graph).max(),
            between(0, 0),
        ),
        exact(
            "Two-sided differences give them too (largest difference).",
            np.abs(measurements["differences"] - by_graph).max(),
            at_most(1e-8),
        ),
        exact(
            "The reference's two-sided differences give them too (largest difference).",
            np.abs(measurements["reference_differences"] - by_graph).max(),
            at_most(1e-6),
        ),
        exact(
            "At random a, b, c the graph's derivatives are 3, 3c, 3b (largest difference).",
            np.abs(measurements["random_derivatives"] - by_hand).max(),
            between(0, 0),
        ),
    ]


if __name__ == "__main__":
    run_alone(__file__)
