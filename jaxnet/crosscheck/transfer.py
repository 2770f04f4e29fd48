"""Weights of a multilayer perceptron to torch, keras, scikit-learn and flax, and back.

`params` is jaxnet's tuple of Layer(w, b), w (n_in, n_out). What comes out is an ordinary object of
the framework that computes the same function, in the dtype of params; what comes back has the same
bits, so there and back is the identity. The output layer is linear, as jaxnet's is (scikit-learn's
estimators apply the output's function themselves).

                  w (n_in, n_out)                    b (n_out,)
    torch         Linear.weight (n_out, n_in)        Linear.bias
    keras         Dense.kernel (n_in, n_out)         Dense.bias
    scikit-learn  coefs_[l] (n_in, n_out)            intercepts_[l]
    flax          Dense_l / kernel (n_in, n_out)     Dense_l / bias
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxnet.crosscheck import layout
from jaxnet.crosscheck.backends import frameworks
from jaxnet.layers import Layer
from jaxnet.validation import check_choice

ACTIVATIONS = ("relu", "tanh", "sigmoid", "leaky_relu", "linear")
"""Of the hidden layers; leaky ReLU with jaxnet's slope, 0.01, whatever the framework's own is."""

SLOPE = 0.01

SKLEARN_ACTIVATIONS = {
    "relu": "relu",
    "tanh": "tanh",
    "sigmoid": "logistic",
    "linear": "identity",
}
"""What scikit-learn calls them; it has no leaky ReLU."""

Params = tuple[Layer, ...]


def _arrays(params: Sequence[Layer]) -> list[tuple[np.ndarray, np.ndarray]]:
    """(w, b) of every layer as NumPy arrays of one dtype, in jaxnet's layout."""
    if not params or not all(isinstance(layer, Layer) for layer in params):
        raise ValueError(f"params: expected a tuple of Layer(w, b), got {type(params).__name__}")
    for number, layer in enumerate(params, start=1):
        if layer.norm is not None:
            raise ValueError(
                f"params: layer {number} has batch norm, which is not transferred; expected w and "
                f"b alone"
            )
    arrays = [(np.asarray(layer.w), np.asarray(layer.b)) for layer in params]
    dtypes = {str(array.dtype) for pair in arrays for array in pair}
    if dtypes not in ({"float32"}, {"float64"}):
        raise ValueError(f"params: expected float32 or float64 throughout, got {sorted(dtypes)}")
    for number, ((w, b), (after, _)) in enumerate(
        zip(arrays, [*arrays[1:], (None, None)], strict=True), start=1
    ):
        if w.ndim != 2 or b.shape != w.shape[1:] or (after is not None and len(after) != len(b)):
            raise ValueError(
                f"params: layer {number} has w {w.shape} and b {b.shape}, which do not fit each "
                f"other or the layer after it"
            )
    return arrays


def _layers(name: str, pairs: Sequence[tuple[Any, Any]]) -> Params:
    if not pairs:
        raise ValueError(f"{name}: expected at least one dense layer, found none")
    return tuple(
        Layer(layout.to_jax(w, np.asarray(w).dtype), layout.to_jax(b, np.asarray(b).dtype))
        for w, b in pairs
    )


def to_torch(params: Sequence[Layer], *, activation: str = "relu") -> Any:
    """A torch.nn.Sequential of Linear, with the activation between them.

    Raises ValueError for params that are not a perceptron's or an unknown activation, ImportError
    without torch.
    """
    check_choice("activation", activation, ACTIVATIONS)
    arrays, torch = _arrays(params), frameworks.torch()
    make = {
        "relu": torch.nn.ReLU,
        "tanh": torch.nn.Tanh,
        "sigmoid": torch.nn.Sigmoid,
        "leaky_relu": lambda: torch.nn.LeakyReLU(SLOPE),
        "linear": torch.nn.Identity,
    }[activation]
    modules = []
    for w, b in arrays:
        weight, bias = torch.tensor(w.T.copy()), torch.tensor(b)
        # skip_init draws nothing, so torch's global random state is left alone.
        linear = torch.nn.utils.skip_init(torch.nn.Linear, *w.shape, dtype=weight.dtype)
        linear.weight, linear.bias = torch.nn.Parameter(weight), torch.nn.Parameter(bias)
        modules += [linear, make()]
    return torch.nn.Sequential(*modules[:-1])


def from_torch(module: Any) -> Params:
    """The weights of a torch module whose only parameters are those of Linear layers, in order.

    Raises ValueError for other parameters or a Linear without bias.
    """
    torch = frameworks.torch()
    linears = [one for one in module.modules() if isinstance(one, torch.nn.Linear)]
    if any(one.bias is None for one in linears):
        raise ValueError("module: expected Linear layers with a bias, got one without")
    known = {id(p) for one in linears for p in (one.weight, one.bias)}
    foreign = [name for name, p in module.named_parameters() if id(p) not in known]
    if foreign:
        raise ValueError(f"module: expected parameters of Linear layers only, got also {foreign}")
    arrays = [
        (one.weight.detach().cpu().numpy().T, one.bias.detach().cpu().numpy()) for one in linears
    ]
    return _layers("module", arrays)


def to_keras(params: Sequence[Layer], *, activation: str = "relu") -> Any:
    """A keras.Sequential of Dense layers, the activation in all but the last.

    In float64 the activation tanh is jax.numpy's: keras' own casts to float32 on its JAX backend.
    Raises ValueError for params that are not a perceptron's or an unknown activation, ImportError
    without keras.
    """
    check_choice("activation", activation, ACTIVATIONS)
    arrays, keras = _arrays(params), frameworks.keras()
    dtype = str(arrays[0][0].dtype)
    g: Any = activation
    if activation == "leaky_relu":
        g = keras.layers.LeakyReLU(SLOPE, dtype=dtype)
    elif activation == "tanh" and dtype == "float64":
        g = jnp.tanh
    hidden = [keras.layers.Dense(len(b), activation=g, dtype=dtype) for _, b in arrays[:-1]]
    last = keras.layers.Dense(len(arrays[-1][1]), dtype=dtype)
    model = keras.Sequential([keras.Input((len(arrays[0][0]),), dtype=dtype), *hidden, last])
    model.set_weights([array for pair in arrays for array in pair])
    return model


def from_keras(model: Any) -> Params:
    """The weights of a keras model whose only weights are those of Dense layers, in order.

    Raises ValueError for other weights or a Dense layer without bias.
    """
    keras = frameworks.keras()
    pairs = []
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense) and layer.use_bias:
            pairs.append((np.asarray(layer.kernel), np.asarray(layer.bias)))
        elif layer.weights:
            raise ValueError(
                f"model: expected weights of Dense layers with a bias only, got those of "
                f"{type(layer).__name__} {layer.name!r}"
            )
    return _layers("model", pairs)


def to_sklearn(
    params: Sequence[Layer], *, activation: str = "relu", output: str = "softmax", **options: Any
) -> Any:
    """An MLPClassifier (output softmax, or sigmoid for one unit) or an MLPRegressor (linear).

    Fitted in the sense of scikit-learn: it predicts, and partial_fit goes on from these weights
    with a new optimizer. classes_ are 0 … K−1. options: the estimator's own, such as solver,
    learning_rate_init, alpha.
    Raises ValueError for params that are not a perceptron's, an output that does not fit the last
    layer, or an unknown activation (scikit-learn has no leaky ReLU); ImportError without it.
    """
    check_choice("activation", activation, SKLEARN_ACTIVATIONS)
    check_choice("output", output, ("softmax", "sigmoid", "linear"))
    arrays = _arrays(params)
    units = len(arrays[-1][1])
    if (output == "sigmoid" and units != 1) or (output == "softmax" and units < 3):
        raise ValueError(
            f"output: expected softmax for 3 output units or more, sigmoid for one, or linear, got "
            f"{output!r} for {units}"
        )
    frameworks.sklearn()
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    options = {
        "hidden_layer_sizes": tuple(len(b) for _, b in arrays[:-1]),
        "activation": SKLEARN_ACTIVATIONS[activation],
    } | options
    # One fit on zeros sets up everything that an estimator keeps beside its weights; the weights
    # and the optimizer that it made are then replaced. A whole mini-batch, or it would warn.
    classes = np.arange(max(units, 2))
    batch_size = options.get("batch_size", "auto")
    rows = len(classes) if batch_size == "auto" else max(len(classes), batch_size)
    x = np.zeros((rows, len(arrays[0][0])), arrays[0][0].dtype)
    if output == "linear":
        estimator = MLPRegressor(**options)
        y = np.zeros((rows, units), x.dtype)
        estimator.partial_fit(x, y[:, 0] if units == 1 else y)
    else:
        estimator = MLPClassifier(**options)
        estimator.partial_fit(x, classes[np.arange(rows) % len(classes)], classes=classes)
    estimator.coefs_ = [w.copy() for w, _ in arrays]
    estimator.intercepts_ = [b.copy() for _, b in arrays]
    estimator.loss_curve_, estimator.best_loss_ = [], np.inf
    estimator.t_ = estimator.n_iter_ = estimator._no_improvement_count = 0
    del estimator._optimizer  # partial_fit makes another, for the new arrays
    return estimator


def from_sklearn(estimator: Any) -> Params:
    """The weights of a fitted MLPClassifier or MLPRegressor.

    Raises ValueError for an estimator that is not fitted.
    """
    if not hasattr(estimator, "coefs_"):
        raise ValueError(
            f"estimator: expected a fitted MLPClassifier or MLPRegressor, got {estimator!r}"
        )
    pairs = zip(estimator.coefs_, estimator.intercepts_, strict=True)
    return _layers("estimator", list(pairs))


def to_flax(params: Sequence[Layer], *, activation: str = "relu") -> tuple[Any, dict[str, Any]]:
    """A flax.linen.Sequential of Dense layers and its variables: module.apply(variables, x).

    Raises ValueError for params that are not a perceptron's or an unknown activation, ImportError
    without flax.
    """
    check_choice("activation", activation, ACTIVATIONS)
    arrays = _arrays(params)
    frameworks.flax()
    from flax import linen

    g = {
        "relu": linen.relu,
        "tanh": linen.tanh,
        "sigmoid": linen.sigmoid,
        "leaky_relu": lambda z: linen.leaky_relu(z, SLOPE),
        "linear": lambda z: z,
    }[activation]
    layers: list[Any] = []
    variables = {}
    for w, b in arrays:
        variables[f"layers_{len(layers)}"] = {
            "kernel": layout.to_jax(w, w.dtype),
            "bias": layout.to_jax(b, b.dtype),
        }
        layers += [linen.Dense(len(b), param_dtype=w.dtype), g]
    return linen.Sequential(layers[:-1]), {"params": variables}


def from_flax(variables: Mapping[str, Any]) -> Params:
    """The weights in flax variables that hold nothing but Dense layers, numbered in order.

    variables: {"params": {…}} or what is in it; layers as flax numbers them, layers_0, layers_2 or
    Dense_0, Dense_1. Raises ValueError for parameters that are not a kernel and a bias.
    """
    inside = variables.get("params", variables)

    def number(name: str) -> list[int]:
        return [int(digits) for digits in re.findall(r"\d+", name)]

    pairs = []
    for name in sorted(inside, key=number):
        layer = inside[name]
        if not isinstance(layer, Mapping) or set(layer) != {"kernel", "bias"}:
            raise ValueError(
                f"variables: expected a kernel and a bias for every layer, got {name}: "
                f"{sorted(layer) if isinstance(layer, Mapping) else type(layer).__name__}"
            )
        pairs.append((np.asarray(layer["kernel"]), np.asarray(layer["bias"])))
    return _layers("variables", pairs)
