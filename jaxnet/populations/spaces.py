"""What a space of hyperparameters is: plain data, name ↦ (kind, …).

    ("uniform", low, high)                v
    ("log_uniform", low, high)            log v: as many points in [1e-4, 1e-3] as in [0.1, 1]
    ("one_minus_log_uniform", low, high)  log(1−v): for β, whose 1/(1−β) is what matters
    ("integers", low, high)               v, whole numbers
    ("choice", options)                   any of a list, all equally likely

Both bounds are included; the second column is the scale on which a dimension is searched evenly.
"""

import math
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from jaxnet.validation import check_choice

Number: TypeAlias = float | int
Dimension: TypeAlias = tuple[Any, ...]
Space: TypeAlias = Mapping[str, Dimension]
Points: TypeAlias = dict[str, Real[Array, " size"] | np.ndarray]

INTERVALS = ("uniform", "log_uniform", "one_minus_log_uniform", "integers")
KINDS = (*INTERVALS, "choice")


def _check_interval(name: str, kind: str, low: Any, high: Any) -> None:
    for bound in (low, high):
        if isinstance(bound, bool) or not isinstance(bound, int | float | np.number):
            raise ValueError(f"{name}: expected numbers as bounds, got {low!r} and {high!r}")
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(f"{name}: expected finite bounds low ≤ high, got {low} and {high}")
    if kind == "log_uniform" and low <= 0:
        raise ValueError(
            f"{name}: expected bounds > 0 on a log scale, got {low} and {high}; "
            f"zero is infinitely far"
        )
    if kind == "one_minus_log_uniform" and high >= 1:
        raise ValueError(
            f"{name}: expected bounds < 1 on the log scale of 1 − v, got {low} and {high}; "
            f"one is infinitely far"
        )
    if kind == "integers" and (low != int(low) or high != int(high)):
        raise ValueError(f"{name}: expected whole bounds, got {low} and {high}")


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence | np.ndarray) and not isinstance(value, str)


def options_of(name: str, dimension: Dimension) -> np.ndarray:
    """The options of a choice: an array of numbers where all are numbers, else of objects.

    Raises ValueError for none, for what is no list, and for an option given twice.
    """
    options = list(dimension[1]) if len(dimension) == 2 and _is_list(dimension[1]) else []
    if not options:
        raise ValueError(
            f"{name}: expected ('choice', options) with at least one option, got {dimension!r}"
        )
    if len(set(map(repr, options))) < len(options):
        raise ValueError(f"{name}: expected each option once, got {options}")
    numbers = all(
        isinstance(one, int | float | np.number) and not isinstance(one, bool) for one in options
    )
    if numbers:
        return np.asarray(options)
    array = np.empty(len(options), object)
    for place, option in enumerate(options):
        # A list, as a file has it, could be no part of a program's name.
        array[place] = tuple(option) if isinstance(option, list) else option
    return array


def check_space(space: Space) -> None:
    """Refuse an empty space, an unknown kind, and bounds that are reversed or off its scale.

    Raises ValueError naming the dimension.
    """
    if not space:
        raise ValueError("space: expected at least one dimension name: (kind, low, high), got none")
    for name, dimension in space.items():
        if not _is_list(dimension) or len(dimension) == 0:
            raise ValueError(f"{name}: expected (kind, low, high), got {dimension!r}")
        kind, *bounds = dimension
        check_choice(f"kind of {name}", kind, KINDS)
        if kind == "choice":
            options_of(name, dimension)
        elif len(bounds) != 2:
            raise ValueError(f"{name}: expected (kind, low, high), got {dimension}")
        else:
            _check_interval(name, kind, *bounds)


def from_uniform(u: Float[Array, "*size"], kind: str, *bounds: Any) -> Any:
    """Map [0, 1] onto a dimension, so that even u are even on the kind's scale.

    uniform: low + u (high − low)
    log_uniform: e^((1−u) log low + u log high); the notes' 10^r
    one_minus_log_uniform: 1 − e^((1−u) log(1 − low) + u log(1 − high))
    integers: ⌊low + u (high − low + 1)⌋, every whole number of low … high equally likely
    choice: the option at place ⌊u K⌋ of K

    u: numbers in [0, 1], any shape. bounds: low and high, or the options. Returns that shape: whole
    numbers for integers, the options' type for a choice, else u's dtype, and never outside the
    bounds by rounding. Increasing, the inverse of the distribution function: uniform u give the
    named distribution. In float32 1 − v has few digits left where v is near 1.
    Raises ValueError for an unknown kind and bounds that are reversed or off the scale.
    Source: notes §7, appropriate scale for hyperparameters (fig. 77).

    >>> alpha = from_uniform(jnp.array([0.0, 0.25, 0.5, 1.0]), "log_uniform", 1e-4, 1.0)
    >>> [f"{value:.4f}" for value in alpha]
    ['0.0001', '0.0010', '0.0100', '1.0000']
    >>> from_uniform(jnp.array([0.0, 0.7]), "choice", ["adam", "momentum"]).tolist()
    ['adam', 'momentum']
    """
    check_space({"bounds": (kind, *bounds)})
    if kind == "choice":
        options = options_of("bounds", (kind, *bounds))
        places = jnp.minimum(jnp.floor(u * len(options)).astype(int), len(options) - 1)
        # An option may be a word, which no array of JAX holds.
        if options.dtype == object:
            return options[np.asarray(places)]
        return jnp.asarray(options)[places]
    low, high = bounds

    def between(a: Number, b: Number):
        return (1 - u) * a + u * b

    if kind == "uniform":
        value = between(low, high)
    elif kind == "log_uniform":
        value = jnp.exp(between(math.log(low), math.log(high)))
    elif kind == "one_minus_log_uniform":
        value = -jnp.expm1(between(math.log1p(-low), math.log1p(-high)))
    else:
        value = jnp.floor(low + u * (high - low + 1)).astype(int)
        low, high = int(low), int(high)
    return jnp.clip(value, low, high)


def read_space(path: str | Path) -> dict[str, Dimension]:
    """A space from a TOML file, one line for each dimension.

        learning_rate = { log_uniform = [1e-4, 1e-1] }
        beta = { one_minus_log_uniform = [0.9, 0.999] }
        width = { integers = [8, 64] }
        optimizer = { choice = ["adam", "momentum"] }

    Raises ValueError that names file and line's name for what is not TOML, not of this form, or no
    space; OSError for a file that cannot be read.
    """
    text = Path(path).read_text(encoding="utf-8")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: not TOML: {error}") from None
    space: dict[str, Dimension] = {}
    for name, value in table.items():
        if not isinstance(value, dict) or len(value) != 1:
            raise ValueError(
                f"{path}: {name}: expected {{ kind = [low, high] }} or {{ choice = [...] }}, got "
                f"{value!r}"
            )
        (kind, bounds), *_ = value.items()
        if not isinstance(bounds, list):
            raise ValueError(f"{path}: {name}: expected a list after {kind}, got {bounds!r}")
        space[name] = (kind, bounds) if kind == "choice" else (kind, *bounds)
    try:
        check_space(space)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return space
