"""Train, dev and test sets (notes: Train / Dev / Test sets, fig. 41)."""

import numpy as np
from numpy.typing import ArrayLike

from reference_numpy._arrays import Array, require


def split(rng: np.random.Generator, m: int, fractions) -> list[Array]:
    """Shuffled indices of m examples, cut into parts.

    Part k ends at index ⌊m (f₁ + … + fₖ) + ½⌋ of the shuffled order.

    rng: generator; one rng.permutation(m) is drawn. m: number of examples.
    fractions: positive, sum 1, such as (0.6, 0.2, 0.2). Returns one index array per fraction:
    disjoint, together all of 0 … m − 1, each within 1 of m times its fraction.
    Raises ValueError for other fractions or where a part would be empty.
    Source: notes, Train / Dev / Test sets (fig. 41).

    >>> [len(part) for part in split(np.random.default_rng(0), 10, (0.6, 0.2, 0.2))]
    [6, 2, 2]
    """
    require(int(m) == m and m >= 1, "m", "a positive integer", m)
    parts = np.split(rng.permutation(int(m)), _ends(int(m), fractions))
    _require_filled(parts)
    return parts


def stratified(rng: np.random.Generator, labels: ArrayLike, fractions) -> list[Array]:
    """Shuffled indices cut into parts, every class in the same proportions.

    Each class is cut as in `split`, and each part shuffled again.

    rng: generator. labels: one class per example (m,). fractions: as in `split`.
    Returns one index array per fraction: disjoint, together all of 0 … m − 1; the examples of a
    class in a part are within 1 of their number times the fraction.
    Raises ValueError as `split` does, or for labels that are not a vector.
    Source: notes, Train / Dev / Test sets.

    >>> labels = np.array([0] * 10 + [1] * 20)
    >>> [np.bincount(labels[p]).tolist() for p in stratified(np.random.default_rng(0), labels,
    ...                                                      (0.6, 0.2, 0.2))]
    [[6, 12], [2, 4], [2, 4]]
    """
    labels = np.asarray(labels)
    require(labels.ndim == 1, "labels", "shape (m,)", f"shape {labels.shape}")
    parts = [[] for _ in fractions]
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        for part, piece in zip(
            parts, np.split(members, _ends(len(members), fractions)), strict=True
        ):
            part.append(piece)
    shuffled = [rng.permutation(np.concatenate(part)) if part else np.array([]) for part in parts]
    _require_filled(shuffled)
    return shuffled


def _ends(m, fractions):
    """Where each part but the last ends."""
    f = np.asarray(fractions, dtype=float)
    fine = f.ndim == 1 and f.size > 0 and np.all(f > 0) and abs(np.sum(f) - 1) <= 1e-9
    require(fine, "fractions", "positive numbers that sum to 1", fractions)
    return np.floor(m * np.cumsum(f)[:-1] + 0.5).astype(int)


def _require_filled(parts):
    sizes = [len(part) for part in parts]
    require(all(sizes), "fractions", "at least one example in every part", f"sizes {sizes}")
