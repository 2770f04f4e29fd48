"""keras' own way to the cases: optimizers, schedules, clipping, initial weights, trainings."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet.crosscheck import layout, transfer
from jaxnet.crosscheck.backends import frameworks
from jaxnet.crosscheck.backends.adapter import BOTH, Adapter
from jaxnet.crosscheck.backends.keras_floatx import at_its_dtype
from jaxnet.crosscheck.cases import clipping, laws, rules, trainings
from jaxnet.crosscheck.cases.case import Args, Results


def _optimizer(rule: str, numbers: Args, rate: float) -> Any:
    """keras.optimizers' form of a rule of the notes."""
    optimizers = frameworks.keras().optimizers
    if rule == "gradient_descent":
        return optimizers.SGD(rate)
    if rule == "momentum":
        return optimizers.SGD(rate, momentum=numbers["beta"])
    if rule == "rmsprop":
        return optimizers.RMSprop(rate, rho=numbers["beta"], epsilon=numbers["eps"])
    return optimizers.Adam(rate, beta_1=numbers["b1"], beta_2=numbers["b2"], epsilon=numbers["eps"])


def _mapped(rule: str, numbers: Args, rate: Any) -> Any:
    """keras' velocity is a sum: α(1−β) makes its steps those of the average."""
    return rate * (1 - numbers["beta"]) if rule == "momentum" else rate


@at_its_dtype
def _steps(rule: str, args: Args, dtype: Any) -> Results:
    """W and b after every step, from given gradients and rates."""
    variables = [frameworks.keras().Variable(args[name], dtype=dtype) for name in ("W", "b")]
    optimizer = _optimizer(rule, args, 0.0)
    optimizer.build(variables)
    rate_at = [one.path for one in optimizer.variables].index(optimizer._learning_rate.path)

    def one(carry, step):
        params, state = carry
        rate, grads = step
        state = [rate if place == rate_at else s for place, s in enumerate(state)]
        params, state = optimizer.stateless_apply(state, grads, params)
        return (params, state), params

    @jax.jit
    def run(carry, steps):
        return jax.lax.scan(one, carry, steps)[1]

    carry = [v.value for v in variables], [v.value for v in optimizer.variables]
    rates = layout.to_jax(_mapped(rule, args, args["rates"]).astype(dtype), dtype)
    grads = [layout.to_jax(args[name], dtype) for name in ("dW", "db")]
    W, b = run(carry, (rates, grads))
    return {"W": np.asarray(W), "b": np.asarray(b)}


@at_its_dtype
def _decayed(args: Args, dtype: Any) -> Results:
    """One step of SGD with weight_decay λ/m, the biases excluded."""
    keras = frameworks.keras()
    names = ("W1", "b1", "W2", "b2")
    variables = [keras.Variable(args[name], dtype=dtype, name=name) for name in names]
    optimizer = keras.optimizers.SGD(args["learning_rate"], weight_decay=args["lam"] / args["m"])
    optimizer.exclude_from_weight_decay(var_list=variables[1::2])
    optimizer.apply([layout.to_jax(args[f"d{name}"], dtype) for name in names], variables)
    return {name: np.asarray(one.value) for name, one in zip(names, variables, strict=True)}


@at_its_dtype
def _clipped(option: str, args: Args, dtype: Any) -> Results:
    """What is left of a gradient: minus the step of SGD at rate 1 from zeros."""
    keras = frameworks.keras()

    def one(grads: Any) -> Any:
        variables = [keras.Variable(0 * g, dtype=dtype) for g in grads]
        optimizer = keras.optimizers.SGD(1.0, **{option: args["limit"]})
        optimizer.apply([layout.to_jax(g, dtype) for g in grads], variables)
        return tuple(-np.asarray(one.value) for one in variables)

    return clipping.both(args, one)


def _scheduled(make: Any, args: Args, dtype: Any) -> Results:
    schedule = make(frameworks.keras().optimizers.schedules, args)
    return {"alpha": np.asarray(jax.jit(jax.vmap(schedule))(jnp.asarray(args["steps"])))}


_schedule = at_its_dtype(_scheduled)


def _inverse_time(kinds: Any, args: Args) -> Any:
    return kinds.InverseTimeDecay(
        args["learning_rate"], args["steps_per_epoch"], args["decay_rate"], staircase=True
    )


def _exponential(kinds: Any, args: Args) -> Any:
    return kinds.ExponentialDecay(
        args["learning_rate"], args["steps_per_epoch"], args["base"], staircase=True
    )


def _stairs(kinds: Any, args: Args) -> Any:
    steps = args["steps_per_epoch"] * args["epochs_per_stair"]
    return kinds.ExponentialDecay(args["learning_rate"], steps, args["factor"], staircase=True)


@at_its_dtype
def _drawn(make: Any, scheme: str, args: Args, dtype: Any) -> Results:
    draw = make(frameworks.keras().initializers, args["seed"])
    return laws.statistics(layout.columns(draw(tuple(args["sizes"]), dtype=dtype)), scheme)


@at_its_dtype
def _train(rule: str, args: Args, dtype: Any) -> Results:
    keras = frameworks.keras()
    params = layout.layers(trainings.pairs(args), dtype)
    model = transfer.to_keras(params, activation="tanh")
    optimizer = _optimizer(
        rule, args["numbers"], _mapped(rule, args["numbers"], args["learning_rate"])
    )
    optimizer.build(model.trainable_variables)
    x, labels = layout.rows(args["X"], dtype), layout.labels(args["Y"])
    loss = keras.losses.sparse_categorical_crossentropy
    penalty = keras.regularizers.L2(args["l2"] / (2 * trainings.BATCH))

    def one(carry, batch):
        def cost(weights):
            z, _ = model.stateless_call(weights, [], x[batch])
            each = loss(labels[batch], z, from_logits=True)
            return each.mean() + sum(map(penalty, weights[::2]))

        weights, state = carry
        return optimizer.stateless_apply(state, jax.grad(cost)(weights), weights), None

    @jax.jit
    def train(weights, state, batches):
        return jax.lax.scan(one, (weights, state), batches)[0][0]

    weights = [v.value for v in model.trainable_variables]
    state = [v.value for v in optimizer.variables]
    model.set_weights(train(weights, state, jnp.asarray(args["batches"])))
    return trainings.results(args, layout.pairs(transfer.from_keras(model)))


SUMMED = "α(1 − β) for α, as the velocity is a sum"
TRUNCATED = "normal, cut at ±2σ and rescaled: the same variance, shorter tails"

ADAPTERS = {
    "optimizers/gradient_descent": Adapter(partial(_steps, "gradient_descent"), dtypes=BOTH),
    "optimizers/momentum": Adapter(
        partial(_steps, "momentum"),
        note="α is inside the velocity: V := βV + α(1 − β)dW, W := W − V",
        predicted=lambda args: rules.path(rules.rate_inside(args), args),
    ),
    "optimizers/momentum_at_constant_rate": Adapter(partial(_steps, "momentum"), note=SUMMED),
    "optimizers/rmsprop": Adapter(
        partial(_steps, "rmsprop"),
        note="ε inside the root",
        predicted=lambda args: rules.path(rules.rmsprop_inside(args), args),
    ),
    "optimizers/adam": Adapter(
        partial(_steps, "adam"),
        note="ε̂ beside the uncorrected root: ε = ε̂/√(1 − β₂ᵗ), no constant",
        predicted=lambda args: rules.path(rules.adam_hat(args), args),
    ),
    "regularizers/weight_decay": Adapter(
        _decayed, note="SGD(weight_decay=λ/m), decoupled, biases excluded"
    ),
    "clipping/global_norm": (
        Adapter(partial(_clipped, "global_clipnorm"), note="global_clipnorm"),
        Adapter(
            partial(_clipped, "clipnorm"),
            variant="clipnorm",
            note="clipnorm takes the norm of each array by itself",
            predicted=clipping.norm_of_each_values,
        ),
    ),
    "clipping/value": Adapter(partial(_clipped, "clipvalue"), note="clipvalue"),
    "schedules/inverse_time": Adapter(
        partial(_schedule, _inverse_time), note="InverseTimeDecay(staircase=True)"
    ),
    "schedules/exponential": Adapter(
        partial(_schedule, _exponential), note="ExponentialDecay(staircase=True)"
    ),
    "schedules/staircase": Adapter(
        partial(_schedule, _stairs), note="ExponentialDecay(staircase=True), steps of a stair"
    ),
    "initializers/law_of_normal": Adapter(
        partial(_drawn, lambda kinds, seed: kinds.RandomNormal(stddev=0.01, seed=seed), "normal"),
        note="RandomNormal, not truncated",
    ),
    **{
        f"initializers/law_of_{scheme}": Adapter(
            partial(_drawn, lambda kinds, seed, name=name: getattr(kinds, name)(seed=seed), scheme),
            variant=name,
            note=TRUNCATED,
            predicted=lambda args: laws.sampled(laws.truncated(), args),
        )
        for scheme, name in (("xavier", "LecunNormal"), ("he", "HeNormal"))
    },
    "initializers/law_of_glorot": (
        Adapter(
            partial(_drawn, lambda kinds, seed: kinds.GlorotNormal(seed=seed), "glorot"),
            variant="GlorotNormal",
            note=TRUNCATED,
            predicted=lambda args: laws.sampled(laws.truncated(), args),
        ),
        Adapter(
            partial(_drawn, lambda kinds, seed: kinds.GlorotUniform(seed=seed), "glorot"),
            variant="Dense's default",
            note="GlorotUniform: the same variance, uniform",
            predicted=partial(laws.sampled, laws.uniform()),
        ),
    ),
    "trainings/gradient_descent": Adapter(partial(_train, "gradient_descent")),
    "trainings/gradient_descent_l2": Adapter(
        partial(_train, "gradient_descent"), note="L2(λ/(2m)) on the kernels"
    ),
    "trainings/momentum": Adapter(partial(_train, "momentum"), note=SUMMED),
    "trainings/rmsprop": Adapter(
        partial(_train, "rmsprop"),
        note="ε inside the root",
        predicted=lambda args: trainings.followed(args, trainings.RMSPROP_INSIDE),
    ),
    "trainings/adam": Adapter(
        partial(_train, "adam"),
        note="ε̂ beside the uncorrected root: ε = ε̂/√(1 − β₂ᵗ)",
        predicted=lambda args: trainings.followed(args, trainings.ADAM_HAT),
    ),
}
