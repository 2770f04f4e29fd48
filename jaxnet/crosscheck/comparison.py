"""Whether two results agree: entry by entry, each within the bound that was derived for it."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

MISMATCH = float("inf")

TERMS = 1000
"""What a default bound allows for: reduction length times condition number.

A sum of n products is computed within n·u·Σ|aᵢbᵢ|, and κ = Σ|aᵢbᵢ|/|Σaᵢbᵢ| says how much of that is
left after cancelling. A thousand, or thirty terms that cancel to a thirtieth: 1.1e-13 of the scale
in float64 and 6e-5 in float32 for each side, and in the half precisions √u, since a bound of the
size of the numbers would accept anything. Longer sums and worse conditions have to be said.
"""


class Leaf(NamedTuple):
    """One array of the two results, at the entry that is furthest out of its bound.

    error: the largest |left − right|. At `index`, where |left − right|/bound is largest: left,
    right, the two values; ratio, that quotient, 1 or less agrees; relative_error and bound, the
    difference and its bound beside the scale, which is the largest |entry| of the array on either
    side; ulp, the difference in units in the last place of the values there, in the coarser dtype.
    norm_ratio: ‖left‖/‖right‖. cosine: of the angle between the two. detects: the smallest
    relative error that would be found at every entry, the largest bound beside the scale. dtypes:
    of left and right. problem: why the arrays cannot be compared at all (errors and ratio are then
    infinite), or "".
    """

    name: str
    error: float
    relative_error: float
    ulp: float
    ratio: float
    bound: float
    index: tuple[int, ...]
    left: complex
    right: complex
    norm_ratio: float
    cosine: float
    detects: float
    dtypes: tuple[str, str]
    problem: str = ""


HEADER = (
    "array", "rel. error", "bound", "error/bound", "ulp", "at", "left", "right", "norms", "cosine"
)  # fmt: skip


class Comparison(NamedTuple):
    """Outcome of `compare`: whether everything agrees, and every array, worst first."""

    agrees: bool
    leaves: tuple[Leaf, ...]

    def __str__(self) -> str:
        rows = [HEADER, *map(_row, self.leaves)]
        # A problem is a sentence, so its column may run on instead of widening the others.
        widths = [
            max(len(row[column]) for row in rows if not column or len(row) > 2)
            for column in range(len(HEADER))
        ]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        return "\n".join(["the two agree" if self.agrees else "the two DISAGREE", *lines])

    def as_dict(self) -> dict[str, Any]:
        """The same as plain data: json.dumps takes it (infinite and NaN as Python writes them)."""
        leaves = [
            leaf._asdict() | {"left": _plain(leaf.left), "right": _plain(leaf.right)}
            for leaf in self.leaves
        ]
        return {"agrees": self.agrees, "leaves": leaves}


def _row(leaf: Leaf) -> tuple[str, ...]:
    if leaf.problem:
        return leaf.name, leaf.problem
    name = leaf.name if leaf.dtypes[0] == leaf.dtypes[1] else f"{leaf.name} {'/'.join(leaf.dtypes)}"
    return (
        name,
        f"{leaf.relative_error:.3g}",
        f"{leaf.bound:.3g}",
        f"{leaf.ratio:.3g}",
        f"{leaf.ulp:.3g}",
        str(list(leaf.index)),
        f"{leaf.left:.17g}",
        f"{leaf.right:.17g}",
        f"{leaf.norm_ratio:.9g}",
        f"{leaf.cosine:.9g}",
    )


def _plain(value: complex | float | int) -> Any:
    return str(value) if isinstance(value, complex) else value


def as_array(name: str, value: Any) -> np.ndarray:
    """A leaf as a NumPy array: NumPy's, JAX's, a torch tensor, a keras variable or a number.

    Raises TypeError for what does not hold numbers.
    """
    if hasattr(value, "detach"):  # torch: out of its graph and off its device
        value = value.detach().cpu()
        # NumPy has no bfloat16 of its own, and torch no conversion to ml_dtypes'.
        half = str(value.dtype) == "torch.bfloat16"
        array = np.asarray(value.float()).astype(jnp.bfloat16) if half else np.asarray(value)
    else:
        array = np.asarray(value)
    if array.dtype.kind not in "biufcV" or array.dtype.names:
        raise TypeError(
            f"{name}: expected an array of numbers, got {type(value).__name__} {value!r}"
        )
    return array


def named_arrays(tree: Any, side: str = "tree") -> dict[str, np.ndarray]:
    """Every array of a pytree by its place, as jax.tree_util.keystr writes it.

    Raises TypeError for a leaf that is not an array of numbers.
    """
    return {
        name: as_array(f"{side}{name}", leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
        for name in [jax.tree_util.keystr(path) or "result"]
    }


def _unit(dtype: np.dtype) -> float:
    """Half the distance from 1 to the next number of the dtype; whole numbers are exact."""
    return float(jnp.finfo(dtype).eps) / 2 if jnp.issubdtype(dtype, jnp.inexact) else 0.0


def default_bound(left: Any, right: Any, *, terms: float | int | None = None) -> float:
    """(u_left + u_right) · terms · scale, u the dtypes' rounding units.

    terms: reduction length times condition number; by default `TERMS`, and at most √u a side.
    scale: the largest |entry| of the side where it is smaller, or a large error would excuse
    itself. 0 for whole numbers on both sides.
    """
    left, right = np.asarray(left), np.asarray(right)
    units = [_unit(side.dtype) for side in (left, right)]
    if terms is None:
        relative = sum(min(TERMS * unit, unit**0.5) for unit in units)
    else:
        relative = sum(units) * terms
    return relative * min(_scale(left), _scale(right))


def _scale(array: np.ndarray) -> float:
    return float(np.max(np.abs(array[np.isfinite(array)].astype(_wide(array))), initial=0.0))


def _wide(array: np.ndarray) -> Any:
    return np.complex128 if np.iscomplexobj(array) else np.float64


def _problem(name: str, problem: str, dtypes: tuple[str, str] = ("", "")) -> Leaf:
    nan = float("nan")
    return Leaf(
        name, MISMATCH, MISMATCH, MISMATCH, MISMATCH, nan, (), nan, nan, nan, nan, nan, dtypes,
        problem,
    )  # fmt: skip


def _bound_of(name: str, bound: Any, shape: tuple[int, ...]) -> np.ndarray:
    bound = np.asarray(bound, float)
    if bound.shape not in ((), shape):
        raise ValueError(
            f"bound of {name}: expected one number or shape {shape}, got shape {bound.shape}"
        )
    if not np.all(np.isfinite(bound) & (bound >= 0)):
        raise ValueError(f"bound of {name}: expected finite numbers ≥ 0, got {bound}")
    return np.broadcast_to(bound, shape)


def _nan_problem(left: np.ndarray, right: np.ndarray) -> str:
    """NaN is never agreed upon, but a reader wants to know whether the other side has it too."""
    nans = {"left": np.isnan(left), "right": np.isnan(right)}
    for side, other in (("left", "right"), ("right", "left")):
        if nans[side].any():
            where = tuple(int(i) for i in np.argwhere(nans[side])[0])
            count = int(nans[side].sum())
            if np.array_equal(nans[side], nans[other]):
                also = f"and on the {other} at the same"
            elif nans[other].any():
                also = f"and {int(nans[other].sum())} on the {other}"
            else:
                value = (right if side == "left" else left)[where]
                also = f"where the {other} has {value:.6g}; none on the {other}"
            return f"{count} NaN on the {side}, the first at {list(where)}, {also}"
    return ""


def _compare_arrays(name: str, left: np.ndarray, right: np.ndarray, bound: Any, terms) -> Leaf:
    dtypes = (str(left.dtype), str(right.dtype))
    if left.shape != right.shape:
        return _problem(name, f"shape {left.shape} on the left, {right.shape} on the right", dtypes)
    bound = default_bound(left, right, terms=terms) if bound is None else bound
    bound = _bound_of(name, bound, left.shape)
    if problem := _nan_problem(left, right):
        return _problem(name, problem, dtypes)
    if left.size == 0:
        nan = float("nan")
        return Leaf(name, 0.0, 0.0, 0.0, 0.0, 0.0, (), nan, nan, nan, nan, 0.0, dtypes)
    # Widened first, or unsigned integers would wrap; equal entries left out, as inf − inf is NaN.
    wide = np.complex128 if np.iscomplexobj(left) or np.iscomplexobj(right) else np.float64
    exact = left, right
    units = _unit(left.dtype), _unit(right.dtype)
    differs = left != right
    left, right = left.astype(wide), right.astype(wide)
    error = np.zeros(left.shape)
    with np.errstate(over="ignore"):
        error[differs] = np.abs(left[differs] - right[differs])
    if wide is np.float64 and max(units) == 0:  # whole numbers beyond 2⁵³ are one to a float
        error[differs] = np.maximum(error[differs], 1.0)
    ratio = np.divide(error, bound, out=np.where(error > 0, np.inf, 0.0), where=bound > 0)
    index = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
    scale = max(_scale(left), _scale(right)) or 1.0
    spacing = max(units) * 2 * float(max(abs(left[index]), abs(right[index])))
    norms, cosine = _angle(left, right)
    return Leaf(
        name=name,
        error=float(error.max()),
        relative_error=float(error[index]) / scale,
        ulp=float(error[index]) / spacing
        if spacing and np.isfinite(spacing)
        else 0.0
        if error[index] == 0
        else MISMATCH,
        ratio=float(ratio[index]),
        bound=float(bound[index]) / scale,
        index=tuple(int(i) for i in index),
        left=exact[0][index].item(),
        right=exact[1][index].item(),
        norm_ratio=norms,
        cosine=cosine,
        detects=float(bound.max()) / scale,
        dtypes=dtypes,
    )


def _angle(left: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """‖left‖/‖right‖ and the cosine; two zeros count as equal, infinities give NaN.

    Scaled by the largest entries first, whose squares could over- or underflow.
    """
    scale = max(_scale(left), _scale(right))
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        return float("nan"), float("nan")
    if scale == 0:
        return 1.0, 1.0
    left, right = np.ravel(left / scale), np.ravel(right / scale)
    norms = float(np.linalg.norm(left)), float(np.linalg.norm(right))
    if 0 in norms:
        return (MISMATCH if norms[0] else 0.0), 0.0
    return norms[0] / norms[1], float(np.real(np.vdot(left, right)) / (norms[0] * norms[1]))


def compare(
    left: Any, right: Any, *, bound: Any = None, terms: float | int | None = None
) -> Comparison:
    """Compare two results, array by array and entry by entry.

    agrees: |leftᵢ − rightᵢ| ≤ boundᵢ for every entry of every array

    left, right: arrays, or pytrees of arrays (dicts, lists, NamedTuples), of any dtypes: NumPy's,
    JAX's, torch's, keras'. Arrays are matched by their place in the tree. bound: one number for
    all, or a tree like left whose leaves are a number or an array of the leaf's shape;
    `crosscheck.bounds` derives them operation by operation. Without one it is derived from the
    dtypes, (u_left + u_right)·terms·scale: terms is the length of the reductions times their
    condition number (a thousand unless said), scale the array's largest entry, u half the
    spacing at 1; see `TERMS`.
    NaN on either side, an array that only one side has, or different shapes never agree; an
    infinity agrees with itself only; whole numbers agree when equal unless a bound says otherwise.
    Returns a Comparison, which prints as a table, worst first, and as_dict() for a file. Raises
    ValueError when there is nothing to compare, or for a bound that is missing, negative, not
    finite or of another shape; TypeError for leaves that are not arrays of numbers.
    Source: Higham 2002, §3.1, for the bound.

    >>> compare({"dw": np.array([1.0, 2.0])}, {"dw": np.array([1.0, 2.5])}, bound=0.1).agrees
    False
    >>> compare(np.float32(1) / np.float32(3), 1 / 3).agrees
    True
    """
    if terms is not None and not (np.ndim(terms) == 0 and 0 < terms < np.inf):
        raise ValueError(f"terms: expected a finite number > 0, got {terms}")
    lefts, rights = named_arrays(left, "left"), named_arrays(right, "right")
    if not lefts and not rights:
        raise ValueError("left, right: expected at least one array, got none on either side")
    one = bound is None or (np.ndim(bound) == 0 and not isinstance(bound, dict))
    bounds = None if one else named_arrays(bound, "bound")
    leaves = []
    for name in {**lefts, **rights}:
        if name not in lefts or name not in rights:
            side = "left" if name in lefts else "right"
            leaves.append(_problem(name, f"only on the {side}"))
            continue
        if bounds is not None and name not in bounds:
            raise ValueError(f"bound: expected one for {name}, got {sorted(bounds)}")
        allowed = bound if bounds is None else bounds[name]
        leaves.append(_compare_arrays(name, lefts[name], rights[name], allowed, terms))
    leaves.sort(key=lambda leaf: -leaf.ratio)
    return Comparison(all(leaf.ratio <= 1 for leaf in leaves), tuple(leaves))
