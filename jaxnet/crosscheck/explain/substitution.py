"""left is another array: of another layer, another step, a reduction along another axis."""

from collections.abc import Iterator

import numpy as np

from jaxnet.crosscheck.explain.guess import Guess, Pair, other_name
from jaxnet.crosscheck.explain.surroundings import Known, Surroundings, short
from reference_numpy import activations


def substitution(pair: Pair, around: Surroundings, known: Known) -> Iterator[Guess]:
    """left is another array: of another layer, another step, the reduction along another axis."""
    del known
    left, right, mine = pair.left, pair.right, short(pair.name)
    for name, array in around.arrays.items():
        if array.shape == left.shape and array is not right:
            yield Guess(other_name(mine, name), array, f"left is {name}", 0.4, scalable=True)
        if array.ndim == 2 and array.T.shape == left.shape and min(array.shape) > 1:
            yield Guess(
                other_name(mine, name), array.T, f"left is {name} transposed", 0.7, scalable=True
            )
        if array.dtype.kind == "b":
            continue
        if array.shape == left.shape:
            for g, (function, slope) in activations.ACTIVATIONS.items():
                if g != "linear":
                    yield Guess(f"other function: {g}({name})", function(array), "", 1.0)
                    yield Guess(f"other function: {g}′({name})", slope(array), "", 1.0)
        if array.ndim < 2:
            continue
        for axis in range(array.ndim):
            for reduce in (np.sum, np.mean, np.max, np.std, np.var):
                reduced = reduce(array, axis=axis)
                if reduced.size == left.size and reduced.size > 1:
                    detail = f"left is the {reduce.__name__} of {name} along axis {axis}"
                    guess = np.reshape(reduced, left.shape)
                    yield Guess("axis", guess, detail, 0.8, scalable=True)
