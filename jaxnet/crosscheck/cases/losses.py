"""Rows for the losses of single examples and their gradients."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet import losses
from jaxnet.crosscheck import bounds, layout, oracle
from jaxnet.crosscheck.cases.case import Args, Case, Results, Transform, sizes
from reference_numpy import activations
from reference_numpy import losses as reference


def draw_targets(rng: np.random.Generator, output: str, units: int, m: int) -> np.ndarray:
    """Targets for an output activation: 0 or 1, one-hot, or real."""
    if output == "softmax":
        return layout.one_hot(rng.integers(0, units, m), units)
    if output == "sigmoid":
        return rng.integers(0, 2, (units, m)).astype(float)
    return rng.normal(size=(units, m))


def jaxnet_loss(output: str, units: int) -> tuple[Callable, Callable, Callable]:
    """jaxnet's loss for an output activation, and how its outputs and targets are laid out."""
    if output == "softmax":
        return losses.softmax_cross_entropy, layout.rows, layout.labels
    loss = losses.binary_cross_entropy if output == "sigmoid" else losses.squared_error
    return (
        (loss, layout.targets, layout.targets) if units == 1 else (loss, layout.rows, layout.rows)
    )


REFERENCE = {
    "sigmoid": (
        reference.binary_cross_entropy_from_logits,
        reference.binary_cross_entropy_from_logits_gradient,
    ),
    "softmax": (
        reference.softmax_cross_entropy_from_logits,
        reference.softmax_cross_entropy_from_logits_gradient,
    ),
    "linear": (reference.squared_error, reference.squared_error_gradient),
}


def _row(name: str, output: str, units: int | None, *, soft: bool = False) -> Case:
    loss, loss_gradient = REFERENCE[output]

    def draw(rng: np.random.Generator) -> Args:
        drawn, m = sizes(rng, 2)
        rows = units or drawn
        Z = rng.normal(size=(rows, m)) * rng.choice([0.1, 3.0, 20.0], (1, m))
        Y = rng.uniform(size=(rows, m)) if soft else draw_targets(rng, output, rows, m)
        return {"Z": Z, "Y": Y}

    def run_reference(args: Args) -> Results:
        per_example = loss(args["Z"], args["Y"])
        return {
            "L": per_example,
            "J": reference.cost(per_example),
            "dZ": loss_gradient(args["Z"], args["Y"]),
        }

    def run_jaxnet(args: Args, transform: Transform = jax.jit) -> Results:
        function, lay_out, lay_out_targets = jaxnet_loss(output, len(args["Z"]))
        z, y = lay_out(args["Z"]), lay_out_targets(args["Y"])

        @transform
        def everything(z):
            per_example, pull_back = jax.vjp(lambda z: function(z, y), z)
            return per_example, losses.cost(per_example), *pull_back(jnp.ones_like(per_example))

        per_example, total, dz = everything(z)
        back = layout.columns if dz.ndim == 2 else layout.target_row
        return {
            "L": np.asarray(per_example),
            "J": np.asarray(total),
            "dZ": back(dz),
        }

    def errors(args: Args) -> Results:
        Z = bounds.bounded(args["Z"])
        per_example = bounds.loss(output, Z, args["Y"])
        return {
            "L": per_example[0],
            "J": bounds.mean(per_example, axis=1)[0, 0],
            "dZ": bounds.output_gradient(output, Z, args["Y"]),
        }

    return Case(
        name=f"losses/{name}",
        quantity=f"{name} from the outputs: each example's, the cost, and the gradient of the sum",
        draw=draw,
        reference=run_reference,
        jaxnet=run_jaxnet,
        errors=errors,
        oracle=lambda args: {
            "L": oracle.losses(output, args["Z"], args["Y"]),
            "dZ": oracle.loss_gradients(output, args["Z"], args["Y"]),
        },
        cost=lambda args: np.sum(loss(args["Z"], args["Y"])),
        wrt=("Z",),
        analytic=True,
    )


def _probabilities_row(name: str, output: str) -> Case:
    """The reference from probabilities that are not saturated, jaxnet from logits."""
    from_logits = _row(name, output, 1 if output == "sigmoid" else None)
    g = activations.sigmoid if output == "sigmoid" else activations.softmax
    loss = getattr(reference, name)

    def draw(rng: np.random.Generator) -> Args:
        args = from_logits.draw(rng)
        return {**args, "Z": np.clip(args["Z"], -4.0, 4.0)}

    def run_jaxnet(args: Args, transform: Transform = jax.jit) -> Results:
        return {"L": from_logits.jaxnet(args, transform)["L"]}

    def errors(args: Args) -> Results:
        # The probability a carries an error e into log a as e/a, and into log(1−a) as e/(1−a).
        Z, Y = bounds.bounded(args["Z"]), args["Y"]
        if output == "softmax":
            A = bounds.softmax(Z)
            through = (Y * A.error / A.value).sum(axis=0)
        else:
            A = bounds.activation("sigmoid", Z)
            through = (Y * A.error / A.value + (1 - Y) * A.error / (1 - A.value))[0]
        return {"L": bounds.loss(output, Z, Y).error[0] + through}

    return Case(
        name=f"losses/{name}_of_probabilities",
        quantity=f"{name} of the reference's probabilities against jaxnet's from logits",
        draw=draw,
        reference=lambda args: {"L": loss(g(args["Z"]), args["Y"])},
        jaxnet=run_jaxnet,
        errors=errors,
        oracle=lambda args: {"L": oracle.losses(output, args["Z"], args["Y"])},
    )


CASES = (
    _row("binary_cross_entropy", "sigmoid", 1),
    _row("binary_cross_entropy_of_soft_labels", "sigmoid", 1, soft=True),
    _row("softmax_cross_entropy", "softmax", None),
    _row("squared_error", "linear", 1),
    _row("squared_error_of_several_outputs", "linear", None),
    _probabilities_row("binary_cross_entropy", "sigmoid"),
    _probabilities_row("softmax_cross_entropy", "softmax"),
)
