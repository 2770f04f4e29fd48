"""flax' own way to the cases: linen's layers, and its trainings with optax."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxnet.crosscheck import layout, transfer
from jaxnet.crosscheck.backends import frameworks, predicted
from jaxnet.crosscheck.backends.adapter import (
    BOTH,
    NETWORKS,
    Adapter,
    Backend,
    as_network,
    gathered,
    layer_pairs,
    named,
    of_logistic,
    own_mask,
    value_and_slope,
)
from jaxnet.crosscheck.cases import laws, trainings
from jaxnet.crosscheck.cases.case import Args, Results


def _linen() -> Any:
    frameworks.flax()
    from flax import linen

    return linen


def _activate(name: str, z: Any, slope: float) -> Any:
    if name == "leaky_relu":
        return _linen().leaky_relu(z, slope)
    return getattr(_linen(), name)(z)


def _activation(name: str, args: Args, dtype: Any) -> Results:
    z = layout.rows(args["Z"], dtype)
    a, dz = value_and_slope(lambda z: _activate(name, z, args["slope"]), z)
    return {"A": layout.columns(a), "dZ": layout.columns(dz)}


def _softmax(args: Args, dtype: Any) -> Results:
    z, weights = layout.rows(args["Z"], dtype), layout.rows(args["weights"], dtype)
    a, dz = value_and_slope(_linen().softmax, z, weights)
    return {"A": layout.columns(a), "dZ": layout.columns(dz)}


def _per_example(output: str, z: Any, Y: Any, dtype: Any) -> Any:
    """Loss of each example by optax, which flax' users take."""
    if output == "softmax":
        return optax.losses.softmax_cross_entropy_with_integer_labels(z, layout.labels(Y))
    y = layout.rows(Y, dtype)
    if output == "sigmoid":
        return optax.losses.sigmoid_binary_cross_entropy(z, y).sum(axis=1)
    return optax.losses.l2_loss(z, y).sum(axis=1)


def _network(hidden: str, output: str, args: Args, dtype: Any) -> Results:
    module, variables = transfer.to_flax(layout.layers(layer_pairs(args), dtype), activation=hidden)
    x = layout.rows(args["X"], dtype)

    @jax.jit
    def everything(variables):
        def cost(variables):
            z = module.apply(variables, x)
            squares = [jnp.sum(jnp.square(one["kernel"])) for one in variables["params"].values()]
            penalty = args["l2"] / (2 * len(x)) * sum(squares)
            return _per_example(output, z, args["Y"], dtype).mean() + penalty, z

        return jax.value_and_grad(cost, has_aux=True)(variables)

    (total, z), grads = everything(variables)
    pairs = layout.pairs(transfer.from_flax(grads))
    last = {"softmax": _linen().softmax, "sigmoid": _linen().sigmoid}.get(output, lambda z: z)
    return {
        "A": layout.columns(last(z)),
        "J": np.asarray(total),
        **named("dW", [dW for dW, _ in pairs]),
        **named("db", [db for _, db in pairs]),
    }


def _logistic(args: Args, dtype: Any) -> Results:
    return of_logistic(_network("linear", "sigmoid", as_network(args), dtype))


def _dropped(args: Args, dtype: Any) -> Results:
    dropout = _linen().Dropout(1 - args["keep_prob"], deterministic=False)
    rngs = {"dropout": jax.random.key(0)}
    out, da = value_and_slope(
        lambda a: dropout.apply({}, a, rngs=rngs),
        layout.rows(args["A"], dtype),
        layout.rows(args["weights"], dtype),
    )
    return {"out": layout.columns(out), "dA": layout.columns(da)}


def _norm(dtype: Any, **options: Any) -> Any:
    """Batch norm with the variance in two passes, as here; flax' default is one pass."""
    return _linen().BatchNorm(dtype=dtype, param_dtype=dtype, use_fast_variance=False, **options)


def _batch_norm(args: Args, dtype: Any, *, fast: bool = False) -> Results:
    norm = _norm(dtype, use_running_average=False, epsilon=args["eps"])
    norm = norm.clone(use_fast_variance=fast)
    n = len(args["Z"])
    statistics = {"mean": jnp.zeros(n, dtype), "var": jnp.ones(n, dtype)}
    weights = layout.rows(args["weights"], dtype)

    @jax.jit
    def everything(params, z):
        def out(params, z):
            variables = {"params": params, "batch_stats": statistics}
            return norm.apply(variables, z, mutable=["batch_stats"])[0]

        value, pull_back = jax.vjp(out, params, z)
        return value, pull_back(weights)

    params = {
        "scale": layout.vector(args["gamma"], dtype),
        "bias": layout.vector(args["beta"], dtype),
    }
    out, (dparams, dz) = everything(params, layout.rows(args["Z"], dtype))
    return {
        "out": layout.columns(out),
        "dZ": layout.columns(dz),
        "dgamma": layout.column(dparams["scale"]),
        "dbeta": layout.column(dparams["bias"]),
    }


def _evaluated(args: Args, dtype: Any) -> Results:
    norm = _norm(dtype, use_running_average=True, epsilon=args["eps"])
    mean, var, gamma, beta = (
        layout.vector(args[name], dtype) for name in ("mean", "var", "gamma", "beta")
    )
    variables = {
        "params": {"scale": gamma, "bias": beta},
        "batch_stats": {"mean": mean, "var": var},
    }
    return {"out": layout.columns(jax.jit(norm.apply)(variables, layout.rows(args["Z"], dtype)))}


def _running(args: Args, dtype: Any) -> Results:
    norm = _norm(dtype, use_running_average=False, momentum=args["decay"])
    n = len(args["mean"])
    params = {"scale": jnp.ones(n, dtype), "bias": jnp.zeros(n, dtype)}

    @jax.jit
    def updated(statistics, z):
        variables = {"params": params, "batch_stats": statistics}
        return norm.apply(variables, z, mutable=["batch_stats"])[1]["batch_stats"]

    statistics = {name: layout.vector(args[name], dtype) for name in ("mean", "var")}
    for Z in args["Z"]:
        statistics = updated(statistics, layout.rows(Z, dtype))
    return {name: layout.column(statistics[name]) for name in ("mean", "var")}


def _drawn(make: Any, scheme: str, args: Args, dtype: Any) -> Results:
    draw = make(_linen().initializers)
    w = draw(jax.random.key(args["seed"]), tuple(args["sizes"]), jnp.dtype(dtype))
    return laws.statistics(layout.columns(w), scheme)


def _default_dense(args: Args, dtype: Any) -> Results:
    n_in, n_out = args["sizes"]
    layer = _linen().Dense(n_out, param_dtype=dtype)
    variables = layer.init(jax.random.key(args["seed"]), jnp.zeros((1, n_in), dtype))
    return laws.statistics(layout.columns(variables["params"]["kernel"]), "xavier")


OPTIMIZERS: dict[str, Callable[[float, Args], optax.GradientTransformation]] = {
    "gradient_descent": lambda rate, numbers: optax.sgd(rate),
    "momentum": lambda rate, numbers: optax.sgd(
        rate * (1 - numbers["beta"]), momentum=numbers["beta"]
    ),
    "rmsprop": lambda rate, numbers: optax.rmsprop(
        rate, decay=numbers["beta"], eps=numbers["eps"], eps_in_sqrt=False
    ),
    "adam": lambda rate, numbers: optax.adam(rate, **numbers),
}


def _train(rule: str, args: Args, dtype: Any) -> Results:
    params = layout.layers(trainings.pairs(args), dtype)
    module, variables = transfer.to_flax(params, activation="tanh")
    decay = optax.add_decayed_weights(
        args["l2"] / trainings.BATCH, mask=lambda tree: jax.tree.map(lambda a: a.ndim == 2, tree)
    )
    optimizer = optax.chain(decay, OPTIMIZERS[rule](args["learning_rate"], args["numbers"]))
    x, labels = layout.rows(args["X"], dtype), layout.labels(args["Y"])

    def one(carry, batch):
        def cost(variables):
            z = module.apply(variables, x[batch])
            each = optax.losses.softmax_cross_entropy_with_integer_labels(z, labels[batch])
            return each.mean()

        variables, state = carry
        updates, state = optimizer.update(jax.grad(cost)(variables), state, variables)
        return (optax.apply_updates(variables, updates), state), None

    @jax.jit
    def train(variables, batches):
        return jax.lax.scan(one, (variables, optimizer.init(variables)), batches)[0][0]

    variables = train(variables, jnp.asarray(args["batches"]))
    return trainings.results(args, layout.pairs(transfer.from_flax(variables)))


TRUNCATED = "normal, cut at ±2σ and rescaled: the same variance, shorter tails"

ADAPTERS = {
    **{
        f"activations/{name}": Adapter(partial(_activation, name), dtypes=BOTH)
        for name in ("sigmoid", "tanh", "relu", "leaky_relu")
    },
    "activations/softmax": Adapter(_softmax, dtypes=BOTH),
    "activations/relu_at_kink": Adapter(
        partial(_activation, "relu"), note="ReLU′(0) = 0 here too", dtypes=BOTH
    ),
    "activations/leaky_relu_at_kink": Adapter(
        partial(_activation, "leaky_relu"), note="the derivative at 0 is 1 here too"
    ),
    "networks/logistic_regression": Adapter(_logistic),
    **{name: Adapter(partial(_network, *kinds)) for name, kinds in NETWORKS.items()},
    "regularizers/dropout": Adapter(
        _dropped,
        note="rate 1 − keep_prob; the reference is given flax' mask",
        errors=predicted.dropout_by_rate,
        inject=own_mask(_dropped),
        dtypes=BOTH,
    ),
    "batch_norm/training": (
        Adapter(_batch_norm, note="use_fast_variance=False", dtypes=BOTH),
        Adapter(
            partial(_batch_norm, fast=True),
            variant="default variance",
            note="E z² − (E z)², one pass: its bound grows with mean²/variance",
            errors=predicted.one_pass_batch_norm,
        ),
    ),
    "batch_norm/evaluation": Adapter(_evaluated),
    "batch_norm/running_over_batches": Adapter(
        _running, note="momentum = decay; the biased variance is averaged, as here"
    ),
    "initializers/law_of_normal": Adapter(
        partial(_drawn, lambda kinds: kinds.normal(0.01), "normal"), note="normal, not truncated"
    ),
    "initializers/law_of_xavier": Adapter(
        _default_dense,
        variant="Dense's default",
        note=f"lecun_normal: {TRUNCATED}",
        predicted=lambda args: laws.sampled(laws.truncated(), args),
    ),
    **{
        f"initializers/law_of_{scheme}": Adapter(
            partial(_drawn, lambda kinds, name=name: getattr(kinds, name)(), scheme),
            variant=name,
            note=TRUNCATED,
            predicted=lambda args: laws.sampled(laws.truncated(), args),
        )
        for scheme, name in (("he", "he_normal"), ("glorot", "glorot_normal"))
    },
    **{
        f"trainings/{rule}": Adapter(
            partial(_train, rule), note="with optax" + ", α(1 − β) for α" * (rule == "momentum")
        )
        for rule in OPTIMIZERS
    },
    "trainings/gradient_descent_l2": Adapter(
        partial(_train, "gradient_descent"), note="with optax' add_decayed_weights(λ/m, mask=…)"
    ),
}

BACKEND = Backend("flax", "flax", gathered(ADAPTERS))
