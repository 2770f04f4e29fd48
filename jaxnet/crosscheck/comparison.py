"""Whether two results agree: entry by entry, each within the bound that was derived for it."""

from typing import Any, NamedTuple

import jax
import numpy as np

MISMATCH = float("inf")


class Leaf(NamedTuple):
    """One array of the two results, at the entry that is furthest out of its bound.

    error: the largest |left − right|. ratio: the largest |left − right| / bound; 1 or less agrees.
    index: where that ratio is reached, with the two values there. problem: why the arrays cannot
    be compared at all (their error and ratio are then infinite), or "".
    """

    name: str
    error: float
    ratio: float
    index: tuple[int, ...]
    left: complex
    right: complex
    problem: str = ""


class Comparison(NamedTuple):
    """Outcome of `compare`: whether everything agrees, and every array, worst first."""

    agrees: bool
    leaves: tuple[Leaf, ...]

    def __str__(self) -> str:
        rows = [("array", "error", "error/bound", "at", "left", "right")]
        for leaf in self.leaves:
            if leaf.problem:
                rows.append((leaf.name, "", "", "", leaf.problem, ""))
                continue
            rows.append(
                (
                    leaf.name,
                    f"{leaf.error:.3g}",
                    f"{leaf.ratio:.3g}",
                    str(list(leaf.index)),
                    f"{leaf.left:.17g}",
                    f"{leaf.right:.17g}",
                )
            )
        # A problem is a sentence, so its column may run on instead of widening the others.
        widths = [
            max(len(row[column]) for row in rows if column < 4 or row[1]) for column in range(6)
        ]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        return "\n".join(["the two agree" if self.agrees else "the two DISAGREE", *lines])


def _named_arrays(tree: Any) -> dict[str, np.ndarray]:
    return {
        jax.tree_util.keystr(path) or "result": np.asarray(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def _problem(name: str, problem: str) -> Leaf:
    return Leaf(name, MISMATCH, MISMATCH, (), float("nan"), float("nan"), problem)


def _bound_of(name: str, bound: Any, shape: tuple[int, ...]) -> np.ndarray:
    bound = np.asarray(bound, float)
    if bound.shape not in ((), shape):
        raise ValueError(
            f"bound of {name}: expected one number or shape {shape}, got shape {bound.shape}"
        )
    if not np.all(np.isfinite(bound) & (bound >= 0)):
        raise ValueError(f"bound of {name}: expected finite numbers ≥ 0, got {bound}")
    return np.broadcast_to(bound, shape)


def _compare_arrays(name: str, left: np.ndarray, right: np.ndarray, bound: Any) -> Leaf:
    if left.shape != right.shape:
        return _problem(name, f"shape {left.shape} on the left, {right.shape} on the right")
    bound = _bound_of(name, bound, left.shape)
    for side, array in (("left", left), ("right", right)):
        nans = np.argwhere(np.isnan(array))
        if len(nans):
            where = [int(i) for i in nans[0]]
            return _problem(name, f"{len(nans)} NaN on the {side}, the first at {where}")
    if left.size == 0:
        return Leaf(name, 0.0, 0.0, (), float("nan"), float("nan"))
    # Widened first, or unsigned integers would wrap; equal entries left out, as inf − inf is NaN.
    wide = np.complex128 if np.iscomplexobj(left) or np.iscomplexobj(right) else np.float64
    differs = left != right
    error = np.zeros(left.shape)
    with np.errstate(over="ignore"):
        error[differs] = np.abs(left[differs].astype(wide) - right[differs].astype(wide))
    ratio = np.divide(error, bound, out=np.where(error > 0, np.inf, 0.0), where=bound > 0)
    index = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
    return Leaf(
        name,
        float(error.max()),
        float(ratio[index]),
        tuple(int(i) for i in index),
        left[index].item(),
        right[index].item(),
    )


def compare(left: Any, right: Any, *, bound: Any) -> Comparison:
    """Compare two results, array by array and entry by entry.

    agrees: |leftᵢ − rightᵢ| ≤ boundᵢ for every entry of every array

    left, right: arrays, or pytrees of arrays (dicts, lists, NamedTuples), of any dtypes. Arrays are
    matched by their place in the tree. bound: one number for all, or a tree like left whose leaves
    are a number or an array of the leaf's shape; `crosscheck.bounds` derives them.
    NaN on either side, an array that only one side has, or different shapes never agree; an
    infinity agrees with itself only.
    Returns a Comparison, which prints as a table, worst first. Raises ValueError when there is
    nothing to compare, or for a bound that is missing, negative, not finite or of another shape.

    >>> compare({"dw": np.array([1.0, 2.0])}, {"dw": np.array([1.0, 2.5])}, bound=0.1).agrees
    False
    """
    lefts, rights = _named_arrays(left), _named_arrays(right)
    if not lefts and not rights:
        raise ValueError("left, right: expected at least one array, got none on either side")
    one = np.ndim(bound) == 0 and not isinstance(bound, dict)
    bounds = None if one else _named_arrays(bound)
    leaves = []
    for name in {**lefts, **rights}:
        if name not in lefts or name not in rights:
            side = "left" if name in lefts else "right"
            leaves.append(_problem(name, f"only on the {side}"))
            continue
        if bounds is not None and name not in bounds:
            raise ValueError(f"bound: expected one for {name}, got {sorted(bounds)}")
        leaves.append(
            _compare_arrays(
                name, lefts[name], rights[name], bound if bounds is None else bounds[name]
            )
        )
    leaves.sort(key=lambda leaf: -leaf.ratio)
    return Comparison(all(leaf.ratio <= 1 for leaf in leaves), tuple(leaves))
