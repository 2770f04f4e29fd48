"""What a hypothesis about one array yields, and what such arrays are called."""

import re
from typing import NamedTuple

import numpy as np

FEW = 3
"""Fewest entries for every number that a guess may fit; with fewer, anything would fit."""


LARGE = 20_000
"""Entries beyond which what takes pairs (of arrays, of rows) is left out: it would take minutes."""


class Guess(NamedTuple):
    """name, detail: what it would be called. predicted: what the left would be. cost: how
    far-fetched it is; between guesses that all explain, the least wins. scalable: whether a
    constant factor may stand before it as well."""

    name: str
    predicted: np.ndarray
    detail: str
    cost: float
    scalable: bool = False


class Pair(NamedTuple):
    """One array on both sides, and where it stands."""

    name: str
    left: np.ndarray
    right: np.ndarray


def _letters(name: str) -> str:
    """A name without its numbers: dW1 and dW2 are the same array of two layers."""
    return re.sub(r"\d+", "#", name)


def is_bias(name: str) -> bool:
    """Whether an array belongs to biases, γ or β: its last word says so."""
    words = re.findall(r"[A-Za-z]+", name)
    return bool(words) and bool(re.fullmatch(r"d?(b|bias|beta|gamma)", words[-1]))


def other_name(mine: str, name: str) -> str:
    """What to call an array in place of another, from the two names."""
    if "last" in name:
        return "last instead of best"
    if re.search(r"prev|old|stale|step", name):
        return "another step's array"
    if _letters(mine) == _letters(name):
        return "other layer's array"
    return f"other array: {name}"
