"""keras' own way to the cases, on its JAX backend: functions and layers."""

from functools import partial
from typing import Any

import jax
import numpy as np

from jaxnet.crosscheck import bounds, layout, transfer
from jaxnet.crosscheck.backends import frameworks, predicted, with_keras_training
from jaxnet.crosscheck.backends.adapter import (
    BOTH,
    FLOAT32,
    FLOAT64,
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
from jaxnet.crosscheck.backends.keras_floatx import at_its_dtype
from jaxnet.crosscheck.cases.case import Args, Results


def _activate(name: str, z: Any, slope: float) -> Any:
    activations = frameworks.keras().activations
    if name == "leaky_relu":
        return activations.leaky_relu(z, negative_slope=slope)
    return getattr(activations, name)(z)


@at_its_dtype
def _activation(name: str, args: Args, dtype: Any) -> Results:
    z = layout.rows(args["Z"], dtype)
    a, dz = value_and_slope(lambda z: _activate(name, z, args["slope"]), z)
    return {"A": layout.columns(a), "dZ": layout.columns(dz)}


def _tanh_in_float32(args: Args) -> Results:
    """tanh of the rounded argument, rounded; its derivative is float32's too."""
    wider = float(np.finfo(np.float32).eps / np.finfo(np.float64).eps)
    Z = bounds.rounded(args["Z"])
    A, dZ = bounds.activation("tanh", Z), bounds.derivative("tanh", Z)
    return {
        "A": bounds.Bounded(A.value, wider * A.error),
        "dZ": bounds.Bounded(dZ.value, wider * dZ.error),
    }


@at_its_dtype
def _softmax(args: Args, dtype: Any) -> Results:
    softmax = frameworks.keras().activations.softmax
    weights = layout.rows(args["weights"], dtype)
    a, dz = value_and_slope(softmax, layout.rows(args["Z"], dtype), weights)
    return {"A": layout.columns(a), "dZ": layout.columns(dz)}


def _per_example(output: str, z: Any, y: Any) -> Any:
    """Loss of each example by keras' function; z, y (m, n_out), or integer labels.

    For the sigmoid the function of single entries, which keeps float64.
    """
    keras = frameworks.keras()
    if output == "softmax":
        return keras.losses.sparse_categorical_crossentropy(y, z, from_logits=True)
    if output == "sigmoid":
        return keras.ops.binary_crossentropy(y, z, from_logits=True).sum(axis=1)
    if output == "mean over units":
        return keras.losses.binary_crossentropy(y, z, from_logits=True)
    return keras.losses.mean_squared_error(y, z) * z.shape[1] / 2


def _targets(output: str, Y: Any, dtype: Any) -> Any:
    return layout.labels(Y) if output == "softmax" else layout.rows(Y, dtype)


@at_its_dtype
def _loss(output: str, args: Args, dtype: Any) -> Results:
    y = _targets(output, args["Y"], dtype)
    each, dz = value_and_slope(lambda z: _per_example(output, z, y), layout.rows(args["Z"], dtype))
    return {"L": np.asarray(each), "J": np.asarray(each.mean()), "dZ": layout.columns(dz)}


@at_its_dtype
def _of_probabilities(output: str, args: Args, dtype: Any) -> Results:
    keras = frameworks.keras()
    z, y = layout.rows(args["Z"], dtype), layout.rows(args["Y"], dtype)

    @jax.jit
    def each(z):
        if output == "softmax":
            return keras.losses.categorical_crossentropy(y, keras.ops.softmax(z))
        return keras.ops.binary_crossentropy(y, keras.ops.sigmoid(z))[:, 0]

    return {"L": np.asarray(each(z))}


@at_its_dtype
def _default_reduction(args: Args, dtype: Any) -> Results:
    y = layout.rows(args["Y"], dtype)
    loss = frameworks.keras().losses.MeanSquaredError()
    total, dz = jax.jit(jax.value_and_grad(lambda z: loss(y, z)))(layout.rows(args["Z"], dtype))
    return {"J": np.asarray(total), "dZ": layout.columns(dz)}


@at_its_dtype
def _network(hidden: str, output: str, args: Args, dtype: Any) -> Results:
    keras = frameworks.keras()
    model = transfer.to_keras(layout.layers(layer_pairs(args), dtype), activation=hidden)
    x, y = layout.rows(args["X"], dtype), _targets(output, args["Y"], dtype)
    penalty = keras.regularizers.L2(args["l2"] / (2 * len(x)))

    @jax.jit
    def everything(weights):
        def cost(weights):
            z, _ = model.stateless_call(weights, [], x)
            total = _per_example(output, z, y).mean() + sum(map(penalty, weights[::2]))
            return total, z

        return jax.value_and_grad(cost, has_aux=True)(weights)

    (total, z), grads = everything([one.value for one in model.trainable_variables])
    a = _activate(output, z, 0.0)
    return {
        "A": layout.columns(a),
        "J": np.asarray(total),
        **named("dW", [layout.columns(g) for g in grads[::2]]),
        **named("db", [layout.column(g) for g in grads[1::2]]),
    }


def _logistic(args: Args, dtype: Any) -> Results:
    return of_logistic(_network("linear", "sigmoid", as_network(args), dtype))


@at_its_dtype
def _penalty(kind: str, args: Args, dtype: Any) -> Results:
    penalty = getattr(frameworks.keras().regularizers, kind)(args["lam"] / (2 * args["m"]))
    weights = [layout.to_jax(W, dtype) for W, _ in layer_pairs(args)]
    total, grads = jax.jit(jax.value_and_grad(lambda weights: sum(map(penalty, weights))))(weights)
    return {"J": np.asarray(total), **named("dW", grads)}


@at_its_dtype
def _soft_shrink(args: Args, dtype: Any) -> Results:
    shrink = frameworks.keras().activations.soft_shrink
    alpha = args["learning_rate"]
    threshold = alpha * args["lam"] / (2 * args["m"])
    return {
        f"W{n}": np.asarray(
            shrink(
                layout.to_jax(args[f"W{n}"], dtype) - alpha * layout.to_jax(args[f"dW{n}"], dtype),
                threshold,
            )
        )
        for n in (1, 2)
    }


@at_its_dtype
def _dropped(args: Args, dtype: Any) -> Results:
    keras = frameworks.keras()
    out, da = value_and_slope(
        lambda a: keras.random.dropout(a, 1 - args["keep_prob"], seed=0),
        layout.rows(args["A"], dtype),
        layout.rows(args["weights"], dtype),
    )
    return {"out": layout.columns(out), "dA": layout.columns(da)}


def _norm(args: Args, dtype: Any, **options: Any) -> Any:
    n = args["Z"].shape[-2]
    norm = frameworks.keras().layers.BatchNormalization(dtype=dtype, **options)
    norm.build((None, n))
    return norm


@at_its_dtype
def _batch_norm(args: Args, dtype: Any) -> Results:
    norm = _norm(args, dtype, epsilon=args["eps"])
    state = [one.value for one in norm.non_trainable_variables]
    weights = layout.rows(args["weights"], dtype)

    @jax.jit
    def everything(learned, z):
        out, pull_back = jax.vjp(
            lambda learned, z: norm.stateless_call(learned, state, z, training=True)[0], learned, z
        )
        return out, pull_back(weights)

    learned = [layout.vector(args[name], dtype) for name in ("gamma", "beta")]
    out, ((dgamma, dbeta), dz) = everything(learned, layout.rows(args["Z"], dtype))
    return {
        "out": layout.columns(out),
        "dZ": layout.columns(dz),
        "dgamma": layout.column(dgamma),
        "dbeta": layout.column(dbeta),
    }


@at_its_dtype
def _evaluated(args: Args, dtype: Any) -> Results:
    norm = _norm(args, dtype, epsilon=args["eps"])
    norm.set_weights([args[name][:, 0] for name in ("gamma", "beta", "mean", "var")])
    return {"out": layout.columns(norm(layout.rows(args["Z"], dtype), training=False))}


@at_its_dtype
def _running(args: Args, dtype: Any) -> Results:
    norm = _norm(args, dtype, momentum=args["decay"])
    n = len(args["mean"])
    norm.set_weights([np.ones(n), np.zeros(n), args["mean"][:, 0], args["var"][:, 0]])
    for Z in args["Z"]:
        norm(layout.rows(Z, dtype), training=True)
    return {
        "mean": layout.column(norm.moving_mean.value),
        "var": layout.column(norm.moving_variance.value),
    }


IN_FLOAT32 = "the layer casts to float32"

FUNCTIONS = {
    **{
        f"activations/{name}": Adapter(partial(_activation, name), dtypes=BOTH)
        for name in ("sigmoid", "relu", "leaky_relu", "linear")
    },
    "activations/tanh": (
        Adapter(partial(_activation, "tanh"), dtypes=FLOAT32),
        Adapter(
            partial(_activation, "tanh"),
            variant="of float64",
            note="on the JAX backend tanh casts float64 to float32, and so does what takes a mean",
            predicted=_tanh_in_float32,
        ),
    ),
    "activations/softmax": Adapter(_softmax, dtypes=BOTH),
    "activations/relu_at_kink": Adapter(
        partial(_activation, "relu"), note="ReLU′(0) = 0 here too", dtypes=BOTH
    ),
    "activations/leaky_relu_at_kink": Adapter(
        partial(_activation, "leaky_relu"), note="the derivative at 0 is 1 here too"
    ),
    "losses/binary_cross_entropy": (
        Adapter(partial(_loss, "sigmoid"), note="ops.binary_crossentropy", dtypes=BOTH),
        Adapter(
            partial(_loss, "mean over units"),
            variant="losses",
            note="losses.binary_crossentropy, the mean over its one unit",
            dtypes=FLOAT32,
        ),
    ),
    "losses/binary_cross_entropy_of_soft_labels": Adapter(partial(_loss, "sigmoid")),
    "losses/softmax_cross_entropy": Adapter(partial(_loss, "softmax"), dtypes=BOTH),
    "losses/squared_error": Adapter(
        partial(_loss, "linear"), note="mean_squared_error halved", dtypes=FLOAT32
    ),
    "losses/squared_error_of_several_outputs": (
        Adapter(partial(_loss, "linear"), note="mean_squared_error times n_out/2", dtypes=FLOAT32),
        Adapter(
            _default_reduction,
            variant="default reduction",
            note="no ½, and the mean over output units as well as examples; dZ is of the mean",
            predicted=predicted.mean_over_all_entries,
            dtypes=FLOAT32,
        ),
    ),
    "losses/binary_cross_entropy_of_probabilities": Adapter(partial(_of_probabilities, "sigmoid")),
    "losses/softmax_cross_entropy_of_probabilities": Adapter(partial(_of_probabilities, "softmax")),
    "networks/logistic_regression": Adapter(_logistic),
    **{
        name: Adapter(
            partial(_network, *kinds), dtypes=FLOAT32 if kinds[1] == "linear" else FLOAT64
        )
        for name, kinds in NETWORKS.items()
    },
    "regularizers/l2": Adapter(partial(_penalty, "L2"), note="l2 = λ/(2m), as there is no ½"),
    "regularizers/l1": Adapter(partial(_penalty, "L1"), note="l1 = λ/(2m)"),
    "regularizers/l1_at_zero": Adapter(
        partial(_penalty, "L1"),
        note="|w|′(0) = 1, as in JAX: weights at 0 are pushed away from it",
        predicted=lambda args: predicted.slope_at_zero(args, 1.0),
    ),
    "regularizers/proximal_l1": Adapter(_soft_shrink, note="soft_shrink of the stepped weights"),
    "regularizers/dropout": Adapter(
        _dropped,
        note="rate 1 − keep_prob; the reference is given keras' mask",
        errors=predicted.dropout_by_rate,
        inject=own_mask(_dropped),
        dtypes=BOTH,
    ),
    "batch_norm/training": Adapter(_batch_norm, note=IN_FLOAT32, dtypes=FLOAT32),
    "batch_norm/evaluation": Adapter(_evaluated, note=IN_FLOAT32, dtypes=FLOAT32),
    "batch_norm/running_over_batches": Adapter(
        _running,
        note="momentum = decay; the biased variance is averaged, as here",
        dtypes=FLOAT32,
    ),
}

BACKEND = Backend("keras", "keras", gathered(FUNCTIONS, with_keras_training.ADAPTERS))
