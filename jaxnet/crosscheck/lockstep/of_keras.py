"""A keras training on the JAX backend: model, keras optimizer and loss, step by step."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet.crosscheck.backends import frameworks
from jaxnet.crosscheck.lockstep.training import Arrays, Record, Training
from jaxnet.data import Dataset

LETTERS = {"momentum": "v", "velocity": "s"}
"""keras' names for what the notes call V and S."""

OURS = re.compile(r"[a-z ]*(W|b|gamma|beta|mean|var)\d+")
"""Names whose arrays are shown in the reference's layout."""


def of_keras(
    model: Any,
    optimizer: Any,
    loss: Callable[[Any, Any], Any],
    data: Dataset,
    batches: Sequence[Any],
) -> Training:
    """A training of a keras model (Sequential or functional) with a keras optimizer, compiled.

    The variables of both are read once and left alone. loss: (output of the model, y) ↦ the cost, a
    scalar; the penalties of the model's regularizers are added. Of layer l, a Dense shows A, or Z
    where it has no activation; a BatchNormalization after it Z; another layer without weights A.
    Kernels are W, biases b, batch norm's gamma, beta, mean and var; other variables keep their
    paths. The optimizer's momentum is v, its velocity s, its iteration t.
    Raises ImportError without keras, or with keras on another backend.
    """
    keras = frameworks.keras()
    names, outputs = _layers(keras, model)
    # The same layers with every output shown, and so the same variables in the same order.
    watched = keras.Model(model.inputs, [*outputs.values(), *model.outputs])
    optimizer.build(watched.trainable_variables)
    params = [_name(variable, names) for variable in watched.trainable_variables]
    statistics = [_name(variable, names) for variable in watched.non_trainable_variables]
    kept = [_kept(variable, watched, names) for variable in optimizer.variables]
    x, y = jnp.asarray(data.x), jnp.asarray(data.y)

    @jax.jit
    def program(trainable, fixed, state, x, y, given, take):
        def cost(trainable):
            shown, fixed_after, penalties = watched.stateless_call(
                trainable, fixed, x, training=True, return_losses=True
            )
            return loss(shown[-1], y) + sum(penalties), (shown[:-1], fixed_after)

        (value, (shown, fixed_after)), grads = jax.value_and_grad(cost, has_aux=True)(trainable)
        used = [jnp.where(take, other, own) for own, other in zip(grads, given, strict=True)]
        after, state_after = optimizer.stateless_apply(state, used, trainable)
        return value, shown, grads, after, fixed_after, state_after

    def batch(number: int) -> Arrays:
        return {"indices": np.asarray(batches[number - 1])}

    def step(number: int, at: Arrays, grads: Arrays | None) -> Record:
        where = batch(number)["indices"]
        trainable = _back(params, at, watched.trainable_variables)
        given = trainable
        if grads is not None:
            slopes = {name: grads[f"d{name}"] for name in params}
            given = _back(params, slopes, watched.trainable_variables)
        # keras adds its biases by broadcasting, whatever is asked of the code around it.
        with jax.numpy_rank_promotion("allow"), jax.default_matmul_precision("highest"):
            value, shown, own, after, fixed, state = program(
                trainable,
                _back(statistics, at, watched.non_trainable_variables),
                _back(kept, at, optimizer.variables),
                x[where], y[where], given, grads is not None,
            )  # fmt: skip
        backwards = [f"d{name}" for name in _backwards(params)]
        slopes = {f"d{name}": array for name, array in _arrays(params, own).items()}
        return {
            "batch": batch(number),
            "start": at,
            "forward": {**_columns(outputs, shown), "J": value},
            "gradient": {name: slopes[name] for name in backwards},
            "update": _arrays(params, after),
            "state": {**_arrays(statistics, fixed), **_arrays(kept, state)},
        }

    state = {
        **_arrays(statistics, watched.non_trainable_variables),
        **_arrays(kept, optimizer.variables),
    }
    return Training(_arrays(params, watched.trainable_variables), state, step, len(batches), batch)


def _layers(keras: Any, model: Any) -> tuple[dict[str, str], dict[str, Any]]:
    """Path of a variable ↦ its name, and name ↦ output of the layers that show a Z or an A."""
    names: dict[str, str] = {}
    outputs: dict[str, Any] = {}
    number = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense):
            number += 1
            names[layer.kernel.path] = f"W{number}"
            if layer.use_bias:
                names[layer.bias.path] = f"b{number}"
            plain = layer.activation is keras.activations.linear
            outputs[f"{'Z' if plain else 'A'}{number}"] = layer.output
        elif isinstance(layer, keras.layers.BatchNormalization) and number:
            fields = {"gamma": "gamma", "beta": "beta"}
            fields |= {"moving_mean": "mean", "moving_variance": "var"}
            for field, name in fields.items():
                if getattr(layer, field, None) is not None:
                    names[getattr(layer, field).path] = f"{name}{number}"
            outputs[f"Z{number}"] = layer.output
        elif number and not layer.weights:
            outputs[f"A{number}"] = layer.output
    return names, outputs


def _name(variable: Any, names: dict[str, str]) -> str:
    path = str(variable.path)
    return names.get(path, path)


def _kept(variable: Any, model: Any, names: dict[str, str]) -> str:
    """A variable of the optimizer: vW1 for adam/…_kernel_momentum, t for adam/iteration."""
    own = variable.path.split("/", 1)[-1]
    for parameter in model.trainable_variables:
        prefix = parameter.path.replace("/", "_") + "_"
        if own.startswith(prefix):
            field = own.removeprefix(prefix)
            return f"{LETTERS.get(field, field + ' ')}{_name(parameter, names)}"
    return "t" if own == "iteration" else own


def _backwards(params: list[str]) -> list[str]:
    """The last layer first, W before b."""
    groups: dict[str, list[str]] = {}
    for name in params:
        groups.setdefault("".join(filter(str.isdigit, name)), []).append(name)
    return [name for group in reversed(groups.values()) for name in group]


def _layout(name: str, array: Any) -> np.ndarray:
    """Kernels as W (n_out, n_in), one number a unit as a column; what has no such name as it is."""
    array = np.asarray(array).copy()
    if not OURS.fullmatch(name) or array.ndim not in (1, 2):
        return array
    return array.T.copy() if array.ndim == 2 else array[:, None]


def _columns(names: Iterable[str], values: Iterable[Any]) -> Arrays:
    return {name: np.asarray(value).T for name, value in zip(names, values, strict=True)}


def _arrays(names: list[str], values: Sequence[Any]) -> Arrays:
    return {name: _layout(name, value) for name, value in zip(names, values, strict=True)}


def _back(names: list[str], arrays: Arrays, like: Sequence[Any]) -> list[Any]:
    """The inverse of `_arrays`, in the dtypes of the variables."""

    def one(name: str, variable: Any) -> Any:
        array = np.asarray(arrays[name])
        array = array.T if OURS.fullmatch(name) and len(variable.shape) == 2 else array
        return jnp.asarray(array.reshape(variable.shape).astype(variable.dtype))

    return [one(name, variable) for name, variable in zip(names, like, strict=True)]
