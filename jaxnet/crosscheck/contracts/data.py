"""Contracts of data: mini-batches, splits, normalisation, augmentation."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from jaxnet.crosscheck.comparison import as_array
from jaxnet.crosscheck.contracts.contract import (
    Candidate,
    Contract,
    Part,
    Refused,
    against,
    contract_of,
    draw,
    explained,
    refused,
    titled,
    verdict,
)
from jaxnet.crosscheck.equations import equations
from jaxnet.crosscheck.equations.locate import residual
from jaxnet.crosscheck.findings import Diagnosis, Explanation
from reference_numpy import augmentation, minibatch, normalization, splits

# ------------------------------------------------------------------ mini-batches


def _tagged(m: int) -> tuple[np.ndarray, np.ndarray]:
    """Examples that say which they are, in X and in Y."""
    return np.stack([np.arange(m), np.arange(m) + 0.5]).astype(float), np.arange(m)[None] * 10.0


def _batches(candidate: Candidate, seed: int, m: int, size: int) -> list[tuple[Any, Any]]:
    result = candidate(np.random.default_rng(seed), *_tagged(m), size)
    return _pairs(result)


def _pairs(result: Any) -> list[tuple[Any, Any]]:
    pairs = list(result) if isinstance(result, list | tuple) else []
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise Refused(f"expected a list of (X, Y), got {type(result).__name__}")
    return [(as_array("X", X), as_array("Y", Y)) for X, Y in pairs]


def _partition(m: int, size: int) -> Part:
    def run(candidate: Candidate) -> Diagnosis:
        found, causes = [], []
        batches = _batches(candidate, 0, m, size)
        if any(X.ndim != 2 or Y.ndim != 2 or X.shape[0] != 2 for X, Y in batches):
            raise Refused(f"expected X (2, B) and Y (1, B), got {[X.shape for X, _ in batches]}")
        x = np.concatenate([X[0] for X, _ in batches]).round().astype(int)
        y = np.concatenate([Y[0] / 10 for _, Y in batches]).round().astype(int)
        for name, tags in (("X", x), ("Y", y)):
            missing = sorted(set(range(m)) - set(tags.tolist()))
            extra = len(tags) - len(set(tags.tolist()))
            if missing:
                found.append(f"{len(missing)} of {m} examples are in no batch ({name})")
                whole = m - m % size
                after = abs(len(set(tags.tolist())) - whole) / m if m % size else 1.0
                causes += explained(
                    "missing rows",
                    len(missing) / m,
                    after,
                    f"all full batches of {size} are there, the last of {m % size} is not",
                    name,
                ) or [Explanation("missing rows", len(missing) / m, 0.0, name, f"{missing[:6]}")]
            if extra:
                found.append(f"{extra} examples come twice ({name})")
                causes.append(Explanation("extra rows", extra / m, 0.0, name, "some come twice"))
        if len(x) != len(y) or np.any(x != y):
            found.append("X and Y of an example are in different places")
            if sorted(x.tolist()) == sorted(y.tolist()):
                detail = "Y holds the same examples as X in another order"
                causes.append(Explanation("permutation", 1.0, 0.0, "Y", detail))
        wanted = [size] * (m // size) + ([m % size] if m % size else [])
        sizes = [X.shape[1] for X, _ in batches]
        if sizes != wanted and not found:
            found.append(f"batches of {sizes}, expected {wanted}")
        checks = ("every example once, X beside its Y, sizes of the batches",)
        return Diagnosis(not found, tuple(found), tuple(causes), checks)

    return titled(f"{m} examples by {size}", run)


def _shuffled(candidate: Candidate) -> Diagnosis:
    """Orders that differ by seed and by epoch, and are no others for one seed."""
    m = 61

    def order(batches: list[tuple[Any, Any]]) -> np.ndarray:
        return np.concatenate([X[0] for X, _ in batches])

    one, again, other = (order(_batches(candidate, seed, m, 7)) for seed in (0, 0, 1))
    rng = np.random.default_rng(0)
    epochs = [order(_pairs(candidate(rng, *_tagged(m), 7))) for _ in range(2)]
    found, causes = [], []
    if np.array_equal(one, np.arange(m)):
        found.append("the examples keep their order")
        causes.append(Explanation("permutation: not shuffled", 1.0, 0.0, "X", "the identity"))
    elif np.array_equal(one, other) or np.array_equal(epochs[0], epochs[1]):
        found.append("two epochs have the same order")
        detail = "the generator is not drawn from, or is made anew from one seed"
        causes.append(Explanation("reused key", 1.0, 0.0, "X", detail))
    if not np.array_equal(one, again):
        found.append("one seed gives two orders")
        detail = "randomness that is not the generator's"
        causes.append(Explanation("not a function of its arguments", 1.0, 0.0, "X", detail))
    X, Y = _tagged(m)
    before = X.copy(), Y.copy()
    batches = _pairs(candidate(np.random.default_rng(0), X, Y, 7))
    for part, _ in batches:
        if part.flags.writeable:
            part += 1000.0
    if not (np.array_equal(X, before[0]) and np.array_equal(Y, before[1])):
        found.append("X or Y is changed, or a batch is a view of it")
        causes.append(Explanation("aliasing", 1.0, 0.0, "X", "writing to a batch writes to X"))
    checks = ("another order in each epoch and for each seed; batches are copies",)
    return Diagnosis(not found, tuple(found), tuple(causes), checks)


def _partition_parts() -> Iterator[Part]:
    for m, size in ((13, 5), (12, 4), (7, 7), (5, 1), (11, 2), (4, 3)):
        yield _partition(m, size)
    yield titled("shuffling", _shuffled)
    X, Y = _tagged(7)
    rng = np.random.default_rng(0)
    yield refused("a batch larger than the data", (rng, X, Y, 8), name="bad input accepted")
    yield refused("a batch of 0", (rng, X, Y, 0), name="bad input accepted")
    yield refused("Y of another length", (rng, X, Y[:, :6], 3), name="missing rows")


# ------------------------------------------------------------------ splits


def _split(reference: Callable[..., Any], first: Any, m: int, fractions: tuple[float, ...]) -> Part:
    """A part: disjoint, complete, of the right sizes, shuffled by the generator alone."""

    def indices(candidate: Candidate, seed: int) -> list[np.ndarray]:
        result = candidate(np.random.default_rng(seed), copy.deepcopy(first), fractions)
        parts = [as_array("part", part) for part in result]
        if len(parts) != len(fractions) or any(part.ndim != 1 for part in parts):
            raise Refused(f"expected {len(fractions)} index arrays, got {len(parts)} parts")
        return parts

    def run(candidate: Candidate) -> Diagnosis:
        found, causes = [], []
        parts = indices(candidate, 0)
        sizes = [len(part) for part in reference(np.random.default_rng(0), first, fractions)]
        together = np.concatenate(parts)
        shared = len(together) - len(np.unique(together))
        missing = m - len(np.intersect1d(together, np.arange(m)))
        if shared:
            found.append(f"{shared} examples are in two parts")
            inside = sum(len(part) - len(np.unique(part)) for part in parts)
            name = "extra rows" if inside == shared else "leak: examples in two parts"
            causes.append(Explanation(name, shared / m, inside / m, "", "the parts overlap"))
        if missing:
            found.append(f"{missing} of {m} examples are in no part")
            causes.append(Explanation("missing rows", missing / m, 0.0, "", "in no part"))
        if sizes != [len(part) for part in parts] and not found:
            found.append(f"parts of {[len(part) for part in parts]}, expected {sizes}")
            reverse = sizes[::-1] == [len(part) for part in parts]
            causes += [Explanation("permutation", 1.0, 0.0, "", "of the parts")] if reverse else []
        again, other = indices(candidate, 0), indices(candidate, 1)
        if any(not np.array_equal(a, b) for a, b in zip(parts, again, strict=True)):
            found.append("one seed gives two splits")
        if all(np.array_equal(a, b) for a, b in zip(parts, other, strict=True)):
            found.append("two seeds give one split")
            in_order = np.array_equal(together, np.arange(m))
            name = "permutation: not shuffled" if in_order else "reused key"
            causes.append(Explanation(name, 1.0, 0.0, "", "the generator does not matter"))
        if np.ndim(first) == 1:
            for label in np.unique(first):
                for part, fraction in zip(parts, fractions, strict=True):
                    share = np.sum(np.asarray(first)[part.astype(int)] == label)
                    whole = np.sum(np.asarray(first) == label)
                    if abs(share - whole * fraction) > 1 + 1e-9:
                        found.append(
                            f"class {label}: {share} of {whole} in the part of {fraction:.0%}"
                        )
        checks = ("disjoint, complete, of the right sizes; seeds matter and nothing else",)
        return Diagnosis(not found, tuple(dict.fromkeys(found)), tuple(causes), checks)

    return titled(f"{m} examples by {fractions}", run)


def _split_parts(reference: Callable[..., Any]) -> Iterator[Part]:
    rng = np.random.default_rng(5)
    for m, fractions in ((23, (0.6, 0.2, 0.2)), (101, (0.9, 0.1)), (47, (0.5, 0.3, 0.2))):
        labels = rng.permutation(np.arange(m) % 3)
        yield _split(reference, labels if reference is splits.stratified else m, m, fractions)
    first = np.arange(23) % 3 if reference is splits.stratified else 23
    rng = np.random.default_rng(0)
    yield refused("fractions that sum to 0.9", (rng, first, (0.6, 0.3)), name="bad input accepted")


# ------------------------------------------------------------------ normalisation

FIT = equations("mu = mean(X, 1)", "sigma = sqrt(mean((X - mu) ** 2, 1))")
UNBIASED = equations(
    *map(str, FIT.lines),
    rivals=[
        ("factor n/(n−1)", "sigma = sqrt(sum((X - mu) ** 2, 1) / (m - 1))"),
        ("missing square root", "sigma = mean((X - mu) ** 2, 1)"),
    ],
)


def _fit_parts() -> Iterator[Part]:
    for n, m in ((5, 7), (3, 11), (4, 4), (3, 2)):
        rng = np.random.default_rng(n * m)
        X = rng.uniform(0.5, 3, (n, 1)) * rng.standard_normal((n, m)) + rng.standard_normal((n, 1))
        yield draw(
            f"{n} features, {m} examples", normalization.fit, (X,), context={"m": m, "n": m},
            view=lambda result: {"mu": result[0], "sigma": result[1]},
            equations=UNBIASED, inputs={"X": X, "m": m},
        )  # fmt: skip
    yield titled("a constant feature", _constant)
    yield titled("shifted by 1e4", _shifted)


def _fitted(candidate: Candidate, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    result = candidate(X.copy())
    if not (isinstance(result, tuple) and len(result) == 2):
        raise Refused(f"expected (mu, sigma), got {type(result).__name__}")
    return as_array("mu", result[0]), as_array("sigma", result[1])


def _constant(candidate: Candidate) -> Diagnosis:
    X = np.random.default_rng(1).standard_normal((4, 7))
    X[1], X[3] = 0.1, -1e3
    mu, sigma = _fitted(candidate, X)
    with np.errstate(all="ignore"):
        normalised = (X - mu) / sigma
    bad = ~np.isfinite(normalised) | (np.abs(normalised) > 1e3)
    rows = sorted({int(row) for row in np.argwhere(bad)[:, 0]})
    detail = f"σ of rows {rows} is {np.ravel(sigma)[rows].tolist()}, by which X − μ is divided"
    only = set(rows) <= {1, 3}
    causes = explained("division by zero", float(bad.mean()), 0.0 if only else 1.0, detail, "sigma")
    if bad.any():
        return Diagnosis(
            False, (f"normalised, rows {rows} are not finite",), tuple(causes), ("finite",)
        )
    # With σ = 1 what is left is the rounding of μ, here of −1000.
    flat = float(np.abs(normalised[[1, 3]]).max())
    return verdict(
        flat <= 1e4 * np.finfo(mu.dtype).eps,
        "normalises to 0",
        f"normalises to {flat:.3g} and not to 0",
    )


def _shifted(candidate: Candidate) -> Diagnosis:
    """A common offset rounds X by 1e4·u: whoever subtracts squares loses 1e8·u."""
    offset = 1e4
    X = np.round(np.random.default_rng(2).standard_normal((5, 7)) * 2.0**20) / 2.0**20
    near, far = _fitted(candidate, X)[1], _fitted(candidate, X + offset)[1]
    right = normalization.fit((X + offset).astype(far.dtype))[1]
    apart, without = residual(far, right), residual(near, normalization.fit(X)[1])
    apart = apart if np.isfinite(apart) else 1.0
    unit = np.finfo(far.dtype).eps / 2
    detail = "right when the common offset is taken away first: squares are subtracted"
    return verdict(
        apart <= 100 * unit * offset,
        f"σ off by {apart:.1g} at most",
        f"σ off by {apart:.2g}; rounding makes at most {100 * unit * offset:.1g}",
        explained("cancellation", apart, without, detail, "sigma"),
    )


def _apply_parts() -> Iterator[Part]:
    for n, m in ((5, 7), (3, 11), (4, 4), (3, 1)):
        rng = np.random.default_rng(n + m)
        X, mu = rng.standard_normal((n, m)), rng.standard_normal((n, 1))
        sigma = rng.uniform(0.3, 3, (n, 1))
        part = draw(f"{n} features, {m} examples", normalization.apply, (X, mu, sigma))
        forms = [
            ("leak", normalization.apply(X, *normalization.fit(X))),
            ("order: divided before μ is subtracted", X / sigma - mu),
        ]
        yield against(part, (X, mu, sigma), normalization.apply(X, mu, sigma), forms)
    yield titled("a shifted test set", _leak)


def _leak(candidate: Candidate) -> Diagnosis:
    """With the training set's statistics a shift of the test set shifts what comes out, by 1/σ."""
    rng = np.random.default_rng(3)
    X, mu, sigma = rng.standard_normal((4, 9)), rng.standard_normal((4, 1)), np.full((4, 1), 1.7)
    outs = [as_array("X", candidate(X + shift, mu.copy(), sigma.copy())) for shift in (0.0, 2.0)]
    moved, wanted = outs[1] - outs[0], np.full(X.shape, 2.0) / sigma
    own = normalization.apply(X, *normalization.fit(X))
    before = residual(outs[0], normalization.apply(X, mu, sigma))
    return verdict(
        residual(moved, wanted) <= 1e-5,
        "what comes out is shifted as much",
        f"a shift by {float(np.mean(wanted)):.3g} comes out as one by {float(np.mean(moved)):.3g}",
        explained("leak", before, residual(outs[0], own), "the set's own statistics are used"),
    )


# ------------------------------------------------------------------ augmentation


def _image_parts(reference: Callable[..., Any], others: tuple[Any, ...]) -> Iterator[Part]:
    for seed, shape in enumerate(((7, 5), (6, 6), (5, 7, 3), (1, 4))):
        image = np.random.default_rng(seed).random(shape)
        for other in others:
            # Coordinates are some 10 and their rounding is a slope's worth of the image.
            yield draw(f"image {shape}, {other}", reference, (image, other), terms=1e4)


def _elastic_parts() -> Iterator[Part]:
    for seed, shape in enumerate(((7, 5), (6, 6), (5, 7, 3))):
        rng = np.random.default_rng(seed)
        displacement = 2 * rng.standard_normal((2, *shape[:2]))
        args = (rng.random(shape), displacement)
        yield draw(f"image {shape}", augmentation.elastic, args, terms=1e4)


def contracts() -> Iterator[Contract]:
    """minibatch.partition; splits; normalization; augmentation."""
    yield contract_of(
        "minibatch.partition",
        minibatch.partition,
        "rng: numpy Generator; X (n, m), Y (K, m), examples are columns ↦ list of (X, Y).",
        _partition_parts(),
    )
    for name, first in (("split", "m: how many"), ("stratified", "labels (m,)")):
        reference = getattr(splits, name)
        yield contract_of(
            f"splits.{name}",
            reference,
            f"rng: numpy Generator; {first}; fractions sum to 1 ↦ one index array each.",
            _split_parts(reference),
        )
    yield contract_of(
        "normalization.fit",
        normalization.fit,
        "X (n, m) ↦ mu and sigma, (n, 1); σ of a constant feature is 1.",
        _fit_parts(),
    )
    yield contract_of(
        "normalization.apply",
        normalization.apply,
        "X (n, m); mu, sigma (n, 1) of the training set ↦ (n, m).",
        _apply_parts(),
    )
    images = (
        ("flip", (0, 1), "axis: 0 upside down, 1 left to right"),
        ("rotate", (90.0, 17.0, -125.0), "degrees, counter-clockwise about the centre"),
        ("zoom", (1.7, 0.6), "factor, about the centre"),
    )
    for name, others, about in images:
        reference = getattr(augmentation, name)
        yield contract_of(
            f"augmentation.{name}",
            reference,
            f"image (H, W) or (H, W, C); {about} ↦ the same shape, bilinear, edges repeated.",
            _image_parts(reference, others),
        )
    yield contract_of(
        "augmentation.elastic",
        augmentation.elastic,
        "image (H, W) or (H, W, C); displacement (2, H, W) in pixels ↦ the same shape.",
        _elastic_parts(),
    )
