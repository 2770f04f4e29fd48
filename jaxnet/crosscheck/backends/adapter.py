"""What a backend is: a package and, case by case, its own way to the case's results."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet.crosscheck.cases.case import Args, Results

FLOAT64, FLOAT32 = ("float64",), ("float32",)
BOTH = FLOAT64 + FLOAT32


class Adapter(NamedTuple):
    """One framework's way to the results of one case.

    run: (arguments, dtype) ↦ named arrays in the reference's layout, computed in that dtype by the
        framework's own functions. Names are the case's; some may be left out.
    variant: which of several ways of this framework, "" for the usual one.
    note: the convention that was mapped, or the rule by which the framework differs.
    predicted: arguments ↦ Bounded (or Absolute) values, where the framework is documented to
        differ: what its rule gives, and how far a computed result may be from it. The cell then
        has to agree with this and to differ from the reference.
    errors: arguments ↦ rounding units as in Case.errors, where the framework's arithmetic is not
        what the case's bounds allow for.
    inject: (arguments, dtype) ↦ arguments in which a random choice is the framework's own, so that
        the reference is given the same one.
    dtypes: those that the cell is run in.
    """

    run: Callable[[Args, Any], Results]
    variant: str = ""
    note: str = ""
    predicted: Callable[[Args], Results] | None = None
    errors: Callable[[Args], Results] | None = None
    inject: Callable[[Args, Any], Args] | None = None
    dtypes: tuple[str, ...] = FLOAT64


class Backend(NamedTuple):
    """A framework: its name, the package it is imported by, and its adapters by case name."""

    name: str
    package: str
    adapters: Mapping[str, tuple[Adapter, ...]]


def gathered(*parts: Mapping[str, Adapter | tuple[Adapter, ...]]) -> dict[str, tuple[Adapter, ...]]:
    """Adapters of several tables, every entry as a tuple; one name in two tables has both."""
    together: dict[str, tuple[Adapter, ...]] = {}
    for part in parts:
        for name, entry in part.items():
            entries = (entry,) if isinstance(entry, Adapter) else entry
            together[name] = together.get(name, ()) + entries
    return together


NETWORKS = {
    **{
        f"networks/{hidden}_{output}": (hidden, output)
        for hidden, outputs in {
            "relu": ("sigmoid", "softmax", "linear"),
            "tanh": ("sigmoid", "softmax", "linear"),
            "leaky_relu": ("sigmoid",),
            "sigmoid": ("sigmoid",),
            "linear": ("sigmoid",),
        }.items()
        for output in outputs
    },
    "networks/softmax_regression": ("linear", "softmax"),
    "networks/shallow_regression_of_one_output": ("tanh", "linear"),
    "networks/tanh_sigmoid_l2": ("tanh", "sigmoid"),
    "networks/relu_softmax_l2": ("relu", "softmax"),
}
"""Activation of the hidden layers and of the output, by case; the one with dropout is apart."""

DROPOUT_NETWORK = {"networks/tanh_softmax_l2_dropout": ("tanh", "softmax")}


def as_network(args: Args) -> Args:
    """Arguments of logistic regression as those of a network of one layer."""
    return {**args, "W1": args["w"].T, "b1": args["b"].reshape(1, 1), "l2": 0.0, "keep_prob": []}


def of_logistic(found: Results) -> Results:
    """Results of a network of one layer, by the names of logistic regression's."""
    names = {"A": "A", "J": "J", "dW1": "dw", "db1": "db"}
    renamed = {new: found[old] for old, new in names.items() if old in found}
    return renamed | {"dw": renamed["dw"].T, "db": renamed["db"][0, 0]}


def layer_pairs(args: Args) -> list[tuple[Any, Any]]:
    """(W, b) of every layer among the arguments W1, b1, W2, …"""
    depth = sum(name[0] == "W" and name[1:].isdigit() for name in args)
    return [(args[f"W{layer}"], args[f"b{layer}"]) for layer in range(1, depth + 1)]


def named(letter: str, arrays: Any) -> dict[str, np.ndarray]:
    """Arrays of the layers as letter1, letter2, …"""
    return {f"{letter}{layer}": np.asarray(array) for layer, array in enumerate(arrays, start=1)}


def own_mask(dropped: Callable[[Args, Any], Results]) -> Callable[[Args, Any], Args]:
    """Arguments with the mask that a framework's dropout draws, seen on ones."""

    def inject(args: Args, dtype: Any) -> Args:
        ones = 0 * args["A"] + 1
        kept = dropped({**args, "A": ones, "weights": ones}, dtype)["out"]
        return {**args, "mask": kept != 0}

    return inject


def value_and_slope(function: Callable, z: Any, weights: Any = None) -> tuple[Any, Any]:
    """function(z), and the gradient of its weighted sum by z."""

    @jax.jit
    def everything(z):
        a, pull_back = jax.vjp(function, z)
        return a, *pull_back(jnp.ones_like(a) if weights is None else weights)

    return everything(z)
