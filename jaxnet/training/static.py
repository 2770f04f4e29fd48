"""Splitting a model, an optimizer or a setup into what jit traces and what it compiles in."""

from typing import Any

import jax
import numpy as np


def _is_number(leaf: Any) -> bool:
    numbers = int | float | complex | np.number | np.ndarray | jax.Array | jax.ShapeDtypeStruct
    return isinstance(leaf, numbers) and not isinstance(leaf, bool)


def split_static(tree: Any) -> tuple[list[Any], tuple[Any, tuple[Any, ...]]]:
    """Numbers of a pytree, and the rest in hashable form.

    Models and optimizers of this library carry their numbers as leaves (`jax.tree_util.Partial`),
    so that a change of learning rate or keep_prob is a change of input to the same compiled
    program. A function, such as those of an optax optimizer, is part of the program: the same
    object is not compiled again, a new one is.
    """
    leaves, structure = jax.tree.flatten(tree)
    dynamic = [leaf for leaf in leaves if _is_number(leaf)]
    static = tuple(None if _is_number(leaf) else leaf for leaf in leaves)
    return dynamic, (structure, static)


def join(dynamic: list[Any], static: tuple[Any, tuple[Any, ...]]) -> Any:
    """The pytree that `split_static` took apart."""
    structure, rest = static
    numbers = iter(dynamic)
    leaves = [next(numbers) if leaf is None else leaf for leaf in rest]
    return jax.tree.unflatten(structure, leaves)
