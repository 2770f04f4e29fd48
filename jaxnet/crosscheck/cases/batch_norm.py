"""Rows for batch norm: training, its backward pass, evaluation, running statistics, a network."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet import layers
from jaxnet.crosscheck import bounds, layout, oracle
from jaxnet.crosscheck.bounds import Bounded
from jaxnet.crosscheck.cases.case import Args, Case, Results, Transform, sizes
from reference_numpy import batch_norm as reference


def draw_units(rng: np.random.Generator, n: int) -> Args:
    return {
        "gamma": rng.uniform(0.5, 2, (n, 1)),
        "beta": rng.normal(size=(n, 1)),
        "eps": float(10 ** rng.uniform(-5, -2)),
    }


def _draw(rng: np.random.Generator) -> Args:
    n, m = sizes(rng, 2, low=3)
    Z = rng.normal(size=(n, 1)) * 3 + rng.uniform(0.2, 2, (n, 1)) * rng.normal(size=(n, m))
    return {**draw_units(rng, n), "Z": Z, "weights": rng.normal(size=(n, m))}


def parameters(args: Args) -> layers.BatchNormParams:
    return layers.BatchNormParams(layout.vector(args["gamma"]), layout.vector(args["beta"]))


def forward_errors(
    Z: Bounded, args: Args, var: Bounded | None = None
) -> tuple[Bounded, Bounded, Bounded, Bounded, Bounded]:
    """Output, mean, variance, centred Z and √(σ²+ε): two passes over m examples unless var came
    from elsewhere."""
    mu = bounds.mean(Z, axis=1)
    centred = Z - mu
    var = bounds.mean(centred * centred, axis=1) if var is None else var
    deviation = bounds.root(var + args["eps"])
    return args["gamma"] * (centred / deviation) + args["beta"], mu, var, centred, deviation


def backward_errors(
    dout: Bounded, centred: Bounded, deviation: Bounded, args: Args
) -> tuple[Bounded, Bounded, Bounded]:
    """dZ, dγ, dβ as autodiff takes them: through the centred values, the variance, then the mean.

    The closed form sums the same terms in fewer operations, and leaves out Σ (z − μ) = 0, whose
    rounding autodiff carries along.
    """
    m = dout.value.shape[1]
    slope = args["gamma"] * dout
    dvar = bounds.total(slope * centred, axis=1) * -0.5 / (deviation * deviation * deviation)
    dcentred = slope / deviation + 2 * dvar * centred / m
    dZ = dcentred - bounds.mean(dcentred, axis=1)
    return dZ, bounds.total(dout * (centred / deviation), axis=1), bounds.total(dout, axis=1)


def _training_reference(args: Args) -> Results:
    out, cache = reference.forward(args["Z"], args["gamma"], args["beta"], args["eps"])
    dZ, dgamma, dbeta = reference.backward(args["weights"], cache)
    return {
        "out": out,
        "mu": cache.mu,
        "var": cache.var,
        "dZ": dZ,
        "dgamma": dgamma,
        "dbeta": dbeta,
    }


def _training_jaxnet(args: Args, transform: Transform = jax.jit) -> Results:
    weights = layout.rows(args["weights"])

    @transform
    def everything(parameters, z):
        out, pull_back, statistics = jax.vjp(
            lambda parameters, z: layers.batch_norm(parameters, z, eps=args["eps"]),
            parameters,
            z,
            has_aux=True,
        )
        return out, statistics, pull_back(weights)

    out, statistics, (dparameters, dz) = everything(parameters(args), layout.rows(args["Z"]))
    return {
        "out": layout.columns(out),
        "mu": layout.column(statistics.mean),
        "var": layout.column(statistics.var),
        "dZ": layout.columns(dz),
        "dgamma": layout.column(dparameters.gamma),
        "dbeta": layout.column(dparameters.beta),
    }


def training_errors(args: Args, var: Bounded | None = None) -> Results:
    """Errors of batch norm and its gradient; var: the variance, where it was not centred first."""
    out, mu, var, centred, deviation = forward_errors(bounds.bounded(args["Z"]), args, var)
    dZ, dgamma, dbeta = backward_errors(bounds.bounded(args["weights"]), centred, deviation, args)
    return {"out": out, "mu": mu, "var": var, "dZ": dZ, "dgamma": dgamma, "dbeta": dbeta}


TRAINING = Case(
    name="batch_norm/training",
    quantity="batch norm over the batch, its statistics, and the gradient of a weighted sum",
    draw=_draw,
    reference=_training_reference,
    jaxnet=_training_jaxnet,
    errors=training_errors,
    oracle=lambda args: oracle.batch_norm(
        args["Z"], args["gamma"], args["beta"], args["eps"], args["weights"]
    ),
    cost=lambda args: np.sum(
        args["weights"] * reference.forward(args["Z"], args["gamma"], args["beta"], args["eps"])[0]
    ),
    wrt=("Z", "gamma", "beta"),
    analytic=True,
)


def _evaluation_draw(rng: np.random.Generator) -> Args:
    args = _draw(rng)
    n = len(args["Z"])
    return {**args, "mean": rng.normal(size=(n, 1)), "var": rng.uniform(0.1, 2, (n, 1))}


def _evaluation_jaxnet(args: Args, transform: Transform = jax.jit) -> Results:
    running = layers.BatchNormState(layout.vector(args["mean"]), layout.vector(args["var"]))
    evaluate = transform(partial(layers.batch_norm_evaluate, eps=args["eps"]))
    out = evaluate(parameters(args), running, layout.rows(args["Z"]))
    return {"out": layout.columns(out)}


EVALUATION = Case(
    name="batch_norm/evaluation",
    quantity="batch norm with running statistics",
    draw=_evaluation_draw,
    reference=lambda args: {
        "out": reference.evaluate(
            *(args[name] for name in ("Z", "gamma", "beta", "mean", "var", "eps"))
        )
    },
    jaxnet=_evaluation_jaxnet,
    errors=lambda args: {
        "out": args["gamma"]
        * (
            (bounds.bounded(args["Z"]) - args["mean"])
            / bounds.root(bounds.bounded(args["var"]) + args["eps"])
        )
        + args["beta"]
    },
)


def _running_draw(rng: np.random.Generator) -> Args:
    n, steps = sizes(rng, 2, low=3)
    return {
        "mean": rng.normal(size=(n, 1)),
        "var": rng.uniform(0.1, 2, (n, 1)),
        "batch_mean": rng.normal(size=(steps, n, 1)),
        "batch_var": rng.uniform(0.1, 2, (steps, n, 1)),
        "decay": float(rng.uniform(0.8, 0.99)),
    }


def _running_reference(args: Args) -> Results:
    mean, var = args["mean"], args["var"]
    for batch_mean, batch_var in zip(args["batch_mean"], args["batch_var"], strict=True):
        mean, var = reference.update_running(mean, var, batch_mean, batch_var, args["decay"])
    return {"mean": mean, "var": var}


def _running_jaxnet(args: Args, transform: Transform = jax.jit) -> Results:
    update = transform(partial(layers.update_running, decay=args["decay"]))
    running = layers.BatchNormState(layout.vector(args["mean"]), layout.vector(args["var"]))
    for mean, var in zip(args["batch_mean"], args["batch_var"], strict=True):
        batch = layers.BatchNormState(layout.vector(mean), layout.vector(var))
        running = update(running, batch)
    return {"mean": layout.column(running.mean), "var": layout.column(running.var)}


def _running_errors(args: Args) -> Results:
    decay, errors = args["decay"], {}
    for name in ("mean", "var"):
        running = bounds.bounded(args[name])
        for batch in args[f"batch_{name}"]:
            running = decay * running + (1 - bounds.bounded(decay)) * batch
        errors[name] = running
    return errors


RUNNING = Case(
    name="batch_norm/running_statistics",
    quantity="running mean and variance after several batches",
    draw=_running_draw,
    reference=_running_reference,
    jaxnet=_running_jaxnet,
    errors=_running_errors,
)


def _batches_draw(rng: np.random.Generator) -> Args:
    args = _draw(rng)
    n, m = args["Z"].shape
    steps = 5
    offset = 3 * rng.normal(size=(steps, n, 1))
    return {
        "Z": offset + rng.uniform(0.5, 2, (steps, n, 1)) * rng.normal(size=(steps, n, m)),
        "mean": rng.normal(size=(n, 1)),
        "var": rng.uniform(0.1, 2, (n, 1)),
        "decay": float(rng.uniform(0.8, 0.99)),
    }


def _batches_reference(args: Args) -> Results:
    mean, var = args["mean"], args["var"]
    ones, zeros = np.ones_like(mean), np.zeros_like(mean)
    for Z in args["Z"]:
        _, cache = reference.forward(Z, ones, zeros)
        mean, var = reference.update_running(mean, var, cache.mu, cache.var, args["decay"])
    return {"mean": mean, "var": var}


def _batches_jaxnet(args: Args, transform: Transform = jax.jit) -> Results:
    running = layers.BatchNormState(layout.vector(args["mean"]), layout.vector(args["var"]))

    def one(running, z):
        parameters = layers.BatchNormParams(jnp.ones_like(z[0]), jnp.zeros_like(z[0]))
        _, batch = layers.batch_norm(parameters, z)
        return layers.update_running(running, batch, decay=args["decay"]), None

    @transform
    def everything(running, batches):
        return jax.lax.scan(one, running, batches)[0]

    running = everything(running, layout.to_jax(args["Z"].transpose(0, 2, 1)))
    return {"mean": layout.column(running.mean), "var": layout.column(running.var)}


def running_after(args: Args, scale: float = 1.0) -> dict[str, Bounded]:
    """Running statistics after every batch, with `scale` times each batch's biased variance."""
    decay = args["decay"]
    new = 1 - bounds.bounded(decay)
    mean, var = bounds.bounded(args["mean"]), bounds.bounded(args["var"])
    for Z in args["Z"]:
        mu = bounds.mean(bounds.bounded(Z), axis=1)
        centred = bounds.bounded(Z) - mu
        batch = bounds.mean(centred * centred, axis=1) * bounds.rounded(scale)
        mean, var = decay * mean + new * mu, decay * var + new * batch
    return {"mean": mean, "var": var}


BATCHES = Case(
    name="batch_norm/running_over_batches",
    quantity="running mean and variance after five batches, from the batches themselves",
    draw=_batches_draw,
    reference=_batches_reference,
    jaxnet=_batches_jaxnet,
    errors=running_after,
)


CASES = (TRAINING, EVALUATION, RUNNING, BATCHES)
