"""jaxnet's trees as named arrays in the reference's layout, and back, without changing a number."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet.crosscheck import layout
from jaxnet.crosscheck.lockstep.training import Arrays
from jaxnet.layers import BatchNormParams, BatchNormState, Layer

LETTERS = {"mu": "v", "trace": "v", "nu": "s", "count": "t"}
"""optax's names for what the notes call V, S and t."""


def is_network(params: Any) -> bool:
    """Whether these are the parameters of a model made by `mlp`."""
    return isinstance(params, tuple) and bool(params) and all(isinstance(p, Layer) for p in params)


def _place(path: Any) -> str:
    """A place in a tree as one would write it: kernel, layers[0].w."""
    return re.sub(r"\['([^']*)'\]", r".\1", jax.tree_util.keystr(path)).lstrip(".")


def names(tree: Any, prefix: str = "", *, backwards: bool = False) -> Arrays:
    """A tree shaped like parameters as W1, b1, gamma1, beta1, W2, …, or by the place in the tree.

    backwards: the last layer first, as gradients are computed.
    """
    if not is_network(tree):
        leaves = jax.tree_util.tree_leaves_with_path(tree)
        order = reversed(leaves) if backwards else leaves
        return {f"{prefix}{_place(path)}": np.asarray(leaf) for path, leaf in order}
    arrays: Arrays = {}
    numbered = list(enumerate(tree, start=1))
    for number, layer in reversed(numbered) if backwards else numbered:
        arrays[f"{prefix}W{number}"] = layout.columns(layer.w)
        arrays[f"{prefix}b{number}"] = layout.column(layer.b)
        if layer.norm is not None:
            arrays[f"{prefix}gamma{number}"] = layout.column(layer.norm.gamma)
            arrays[f"{prefix}beta{number}"] = layout.column(layer.norm.beta)
    return arrays


def tree(arrays: Arrays, like: Any, prefix: str = "") -> Any:
    """The inverse of `names`, in the dtypes of `like`: rounded, where theirs is the coarser."""
    if not is_network(like):
        return jax.tree_util.tree_map_with_path(
            lambda path, leaf: _as(leaf, arrays[f"{prefix}{_place(path)}"]), like
        )

    def vector(name: str, leaf: Any) -> Any:
        return _as(leaf, np.asarray(arrays[f"{prefix}{name}"])[:, 0])

    return tuple(
        Layer(
            _as(layer.w, np.asarray(arrays[f"{prefix}W{number}"]).T),
            vector(f"b{number}", layer.b),
            layer.norm
            and BatchNormParams(
                vector(f"gamma{number}", layer.norm.gamma), vector(f"beta{number}", layer.norm.beta)
            ),
        )
        for number, layer in enumerate(like, start=1)
    )


def _as(leaf: Any, array: Any) -> Any:
    return jnp.asarray(np.asarray(array).astype(leaf.dtype))


def statistics(state: Any) -> Arrays:
    """Running statistics as mean1, var1, …, or by the place in the tree."""
    if isinstance(state, tuple) and all(isinstance(one, BatchNormState) for one in state):
        return {
            f"{field}{number}": layout.column(getattr(one, field))
            for number, one in enumerate(state, start=1)
            for field in ("mean", "var")
        }
    return names(state, "state")


def statistics_tree(arrays: Arrays, like: Any) -> Any:
    """The inverse of `statistics`."""
    if isinstance(like, tuple) and all(isinstance(one, BatchNormState) for one in like):
        return tuple(
            BatchNormState(
                *(
                    _as(getattr(one, field), np.asarray(arrays[f"{field}{number}"])[:, 0])
                    for field in ("mean", "var")
                )
            )
            for number, one in enumerate(like, start=1)
        )
    return tree(arrays, like, "state")


def _parts(opt_state: Any, params: Any) -> tuple[list[tuple[str, Any]], Any]:
    """The arrays of an optimizer's state by name, those shaped like the parameters in one piece."""
    shape = jax.tree.structure(params), [jnp.shape(leaf) for leaf in jax.tree.leaves(params)]

    def like_params(part: Any) -> bool:
        leaves = jax.tree.leaves(part)
        return (jax.tree.structure(part), [jnp.shape(leaf) for leaf in leaves]) == shape

    found, structure = jax.tree_util.tree_flatten_with_path(opt_state, is_leaf=like_params)
    parts: dict[str, Any] = {}
    for path, part in found:
        field = getattr(path[-1], "name", None) if path else None
        name = LETTERS.get(str(field), str(field)) if field else jax.tree_util.keystr(path)
        # A chain may hold the same kind twice, such as two counters: the second by its place.
        parts[name if name not in parts else name + jax.tree_util.keystr(path)] = part
    return list(parts.items()), structure


def optimizer_state(opt_state: Any, params: Any) -> Arrays:
    """An optax state as vW1, sW1, …, t; what has no name in the notes keeps optax's."""
    arrays: Arrays = {}
    for name, part in _parts(opt_state, params)[0]:
        whole = jax.tree.structure(part) == jax.tree.structure(params)
        arrays |= names(part, name) if whole else {name: np.asarray(part)}
    return arrays


def optimizer_tree(arrays: Arrays, like: Any, params: Any) -> Any:
    """The inverse of `optimizer_state`."""
    parts, structure = _parts(like, params)
    whole = jax.tree.structure(params)
    values = [
        tree(arrays, part, name) if jax.tree.structure(part) == whole else _as(part, arrays[name])
        for name, part in parts
    ]
    return jax.tree.unflatten(structure, values)
