"""Rules of broadcasting as functions: the notes' as printed, and corrected."""

import numpy as np

Shape = tuple[int, ...]
Outcome = Shape | None  # the shape of the sum, None for an error


def padded(left: Shape, right: Shape) -> tuple[Shape, Shape]:
    """Both shapes with 1 in front, as far as one is shorter than the other."""
    rank = max(len(left), len(right))
    return (1,) * (rank - len(left)) + left, (1,) * (rank - len(right)) + right


def printed_rules(left: Shape, right: Shape) -> Outcome:
    """The notes' rules: pad with 1 in front; the output's size is the maximum; an array may be used
    if each of its sizes is the output's or 1.

    >>> printed_rules((2, 3), (2, 1))
    (2, 3)
    """
    left, right = padded(left, right)
    output = tuple(max(pair) for pair in zip(left, right, strict=True))
    usable = all(
        size in (1, most)
        for shape in (left, right)
        for size, most in zip(shape, output, strict=True)
    )
    return output if usable else None


def corrected_rules(left: Shape, right: Shape) -> Outcome:
    """The right rules: pad with 1 in front; two sizes go together if they are equal or one is 1,
    and the output's size is then the other one.

    >>> corrected_rules((3, 1), (0,))
    (3, 0)
    """
    output = []
    for one, other in zip(*padded(left, right), strict=True):
        if one != other and 1 not in (one, other):
            return None
        output.append(other if one == 1 else one)
    return tuple(output)


def share_a_size(left: Shape, right: Shape) -> bool:
    """The notes' summary of when arrays go together: some axis, once padded, has one size in both.

    >>> share_a_size((4, 1), (1, 3))
    False
    """
    left, right = padded(left, right)
    return not left or any(one == other for one, other in zip(left, right, strict=True))


def sum_by_rule(left: np.ndarray, right: np.ndarray, shape: Shape) -> np.ndarray:
    """The sum, entry by entry: along an axis of size 1 an array gives its first values again.

    >>> sum_by_rule(np.array([[1], [2]]), np.array([10, 20]), (2, 2))
    array([[11, 21],
           [12, 22]])
    """
    left_shape, right_shape = padded(left.shape, right.shape)
    arrays = (left.reshape(left_shape), right.reshape(right_shape))
    total = np.zeros(shape, left.dtype)
    for index in np.ndindex(shape):
        for array in arrays:
            place = (0 if size == 1 else i for i, size in zip(index, array.shape, strict=True))
            total[index] += array[tuple(place)]
    return total
