"""Rows for the activation functions and their derivatives."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet import activations
from jaxnet.crosscheck import bounds, layout, oracle
from jaxnet.crosscheck.cases.case import Args, Case, Results, Transform, sizes
from reference_numpy import activations as reference


def _draw(rng: np.random.Generator) -> Args:
    n, m = sizes(rng, 2)
    # From near 0 to deep in the flat ends, at least 0.01 away from the kinks.
    Z = rng.choice([0.01, 1.0, 6.0, 30.0], (n, m)) * rng.uniform(1, 2, (n, m))
    return {"Z": Z * rng.choice([-1, 1], (n, m)), "slope": float(rng.uniform(0.005, 0.3))}


def _draw_at_kink(rng: np.random.Generator) -> Args:
    """Zeros of both signs and numbers just beside them, where a derivative is a convention."""
    args = _draw(rng)
    beside = np.array([0.0, -0.0, 1e-30, -1e-30])
    columns = np.tile(beside, (len(args["Z"]), 1))
    return {**args, "Z": np.hstack([columns, args["Z"]])}


def _row(name: str, *, at_kink: bool = False) -> Case:
    leaky = name == "leaky_relu"

    def options(args: Args) -> dict[str, float]:
        return {"slope": args["slope"]} if leaky else {}

    g, g_prime = reference.ACTIVATIONS[name]

    def run_reference(args: Args) -> Results:
        return {"A": g(args["Z"], **options(args)), "dZ": g_prime(args["Z"], **options(args))}

    def run_jaxnet(args: Args, transform: Transform = jax.jit) -> Results:
        z = layout.rows(args["Z"])

        @transform
        def everything(z):
            a, pull_back = jax.vjp(lambda z: activations.ACTIVATIONS[name](z, **options(args)), z)
            return a, *pull_back(jnp.ones_like(a))

        a, dz = everything(z)
        return {"A": layout.columns(a), "dZ": layout.columns(dz)}

    def errors(args: Args) -> Results:
        Z = bounds.bounded(args["Z"])
        if leaky:  # the slope is drawn: a product rounds A once, and dZ is exact
            return {"A": np.abs(args["Z"]) * args["slope"], "dZ": 0}
        return {"A": bounds.activation(name, Z), "dZ": bounds.derivative(name, Z)}

    def run_oracle(args: Args) -> Results:
        return {
            "A": oracle.activation(name, args["Z"], args["slope"]),
            "dZ": oracle.activation_derivative(name, args["Z"], args["slope"]),
        }

    return Case(
        name=f"activations/{name}" + "_at_kink" * at_kink,
        quantity=f"{name} and its derivative" + " at 0 and beside it" * at_kink,
        draw=_draw_at_kink if at_kink else _draw,
        reference=run_reference,
        jaxnet=run_jaxnet,
        errors=errors,
        oracle=None if at_kink else run_oracle,
        # A difference across a kink is no derivative.
        cost=None if at_kink else lambda args: np.sum(g(args["Z"], **options(args))),
        wrt=() if at_kink else ("Z",),
        analytic=name in ("sigmoid", "tanh", "linear"),
    )


def _softmax_draw(rng: np.random.Generator) -> Args:
    classes, m = sizes(rng, 2)
    return {
        "Z": rng.normal(scale=5, size=(classes, m)),
        "weights": rng.normal(size=(classes, m)),
    }


def _softmax_reference(args: Args) -> Results:
    jacobian = reference.softmax_derivative(args["Z"])
    return {
        "A": reference.softmax(args["Z"]),
        "dZ": np.einsum("im,ijm->jm", args["weights"], jacobian),
    }


def _softmax_jaxnet(args: Args, transform: Transform = jax.jit) -> Results:
    @transform
    def everything(z, weights):
        a, pull_back = jax.vjp(activations.softmax, z)
        return a, *pull_back(weights)

    a, dz = everything(layout.rows(args["Z"]), layout.rows(args["weights"]))
    return {"A": layout.columns(a), "dZ": layout.columns(dz)}


def _softmax_errors(args: Args) -> Results:
    # ∂/∂zⱼ Σ wᵢaᵢ = aⱼ (wⱼ − Σ wᵢaᵢ), or summed as Σ wᵢaᵢ(δᵢⱼ − aⱼ): the same terms, whose sizes
    # are aⱼ|wⱼ| and aⱼ Σ|wᵢ|aᵢ, each with the relative error of two probabilities.
    A, weights = bounds.softmax(bounds.bounded(args["Z"])), args["weights"]
    products = A * weights
    summed = bounds.total(products, axis=0)
    return {"A": A, "dZ": A * weights - A * summed}


SOFTMAX = Case(
    name="activations/softmax",
    quantity="softmax and the gradient of a weighted sum of its outputs",
    draw=_softmax_draw,
    reference=_softmax_reference,
    jaxnet=_softmax_jaxnet,
    errors=_softmax_errors,
    oracle=lambda args: {"A": oracle.softmax(args["Z"])},
    cost=lambda args: np.sum(args["weights"] * reference.softmax(args["Z"])),
    wrt=("Z",),
    analytic=True,
)

CASES = (
    *(_row(name) for name in reference.ACTIVATIONS),
    SOFTMAX,
    *(_row(name, at_kink=True) for name in ("relu", "leaky_relu")),
)
