"""Contracts of penalties, dropout and gradient clipping."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from jaxnet.crosscheck.comparison import as_array, compare
from jaxnet.crosscheck.contracts.contract import (
    Candidate,
    Contract,
    Part,
    Refused,
    contract_of,
    draw,
    explained,
    titled,
    verdict,
)
from jaxnet.crosscheck.contracts.statistics import FALSE_ALARM, binomial_fits
from jaxnet.crosscheck.equations.catalogue import clip_by_global_norm
from jaxnet.crosscheck.equations.locate import residual
from jaxnet.crosscheck.explain import explain
from jaxnet.crosscheck.findings import Diagnosis, Explanation
from reference_numpy import regularizers


def _params(seed: int, zeros: bool) -> list[tuple[Any, Any]]:
    rng = np.random.default_rng(seed)
    params = [(rng.standard_normal(shape), rng.standard_normal((shape[0], 1))) for shape in
              ((4, 5), (3, 4), (3, 3))]  # fmt: skip
    if zeros:
        params[0][0][1, 2] = params[2][0][0, 0] = 0.0
        params[1][1][0] = 0.0
    return params


def _penalty_parts(reference: Callable[..., Any]) -> Iterator[Part]:
    for seed, (lam, m, zeros) in enumerate(
        ((1.7, 13, False), (0.4, 29, False), (0.0, 7, False), (2.3, 11, True))
    ):
        params = _params(seed, zeros)
        at_kink = ", weights of 0 among them" if zeros else ""
        yield draw(
            f"λ = {lam}, m = {m}{at_kink}", reference, (params, lam, m),
            context={"m": m, "lam": lam, "B": 5},
        )  # fmt: skip


def _apply_parts() -> Iterator[Part]:
    for seed, (shape, keep_prob) in enumerate((((5, 7), 0.7), ((3, 11), 0.35), ((4, 4), 1.0))):
        rng = np.random.default_rng(seed)
        A, D = rng.standard_normal(shape), rng.random(shape) < keep_prob
        yield draw(
            f"{shape}, keep_prob = {keep_prob}", regularizers.apply_mask, (A, D, keep_prob),
            context={"keep_prob": keep_prob},
        )  # fmt: skip


UNITS, EXAMPLES = 37, 53
KEEP = (0.8, 0.35)
"""Neither ½, where kept and dropped are alike, nor each other's complement."""


def _drawn_masks(candidate: Candidate, of_dropout: bool) -> dict[float, tuple[Any, list[Any]]]:
    """keep_prob ↦ A and the results of four calls with one generator."""
    drawn = {}
    for keep_prob in KEEP:
        rng, A = np.random.default_rng(7), 1 + np.random.default_rng(8).random((UNITS, EXAMPLES))
        first = A if of_dropout else (UNITS, EXAMPLES)
        drawn[keep_prob] = A, [candidate(rng, copy.deepcopy(first), keep_prob) for _ in range(4)]
    return drawn


def _mask_of(result: Any, of_dropout: bool) -> np.ndarray:
    if of_dropout and not (isinstance(result, tuple) and len(result) == 2):
        raise Refused(f"expected (A, mask), got {type(result).__name__}")
    mask = as_array("mask", result[1] if of_dropout else result)
    if mask.shape != (UNITS, EXAMPLES) or not np.isin(mask, (0, 1)).all():
        raise Refused(f"expected a mask of 0 and 1, shape {(UNITS, EXAMPLES)}, got {mask.shape}")
    return mask.astype(float)


def kept_instead(kept: int, trials: int, keep_prob: float) -> list[Explanation]:
    """Which other probability the number of units kept fits, if it does not fit keep_prob."""
    if binomial_fits(kept, trials, keep_prob):
        return []
    share, causes = kept / trials, []
    for called, other in (
        ("1−keep_prob in place of keep_prob", 1 - keep_prob),
        ("keep_prob taken as 1", 1.0),
        ("keep_prob taken as 0", 0.0),
        ("square of keep_prob", keep_prob**2),
        ("keep_prob taken as ½", 0.5),
    ):
        if binomial_fits(kept, trials, other):
            detail = f"{share:.4f} of the units are kept, which fits {other:.4g}"
            causes.append(Explanation(called, abs(share - keep_prob), 0.0, "mask", detail))
    return causes


def _kept(of_dropout: bool) -> Part:
    def run(candidate: Candidate) -> Diagnosis:
        found, causes = [], []
        for keep_prob, (_, results) in _drawn_masks(candidate, of_dropout).items():
            masks = np.stack([_mask_of(result, of_dropout) for result in results])
            share = float(masks.mean())
            if not binomial_fits(int(masks.sum()), masks.size, keep_prob):
                found.append(f"keep_prob = {keep_prob}: {share:.3f} of the units are kept")
                causes += kept_instead(int(masks.sum()), masks.size, keep_prob)
            same = all(np.array_equal(masks[0], mask) for mask in masks[1:])
            if same and 0 < share < 1:
                found.append(
                    f"keep_prob = {keep_prob}: four calls with one rng drop the same units"
                )
                detail = "the generator is not drawn from, or is made anew from one seed"
                causes.append(Explanation("reused key", 1.0, 0.0, "mask", detail))
            for axis, along in ((2, "every example"), (1, "every unit")):
                if 0 < share < 1 and np.all(np.ptp(masks, axis=axis) == 0):
                    found.append(f"keep_prob = {keep_prob}: one mask for {along}")
                    detail = f"the mask does not change from one to the next of {along}"
                    causes.append(Explanation("broadcast", 1.0, 0.0, "mask", detail))
        checks = (
            f"share of units kept within its binomial bound (false alarm ≤ {FALSE_ALARM:g})",
            "masks differ from call to call, from unit to unit and from example to example",
        )
        return Diagnosis(not found, tuple(found), tuple(causes), checks)

    return titled("masks", run)


def _rescaled(candidate: Candidate) -> Diagnosis:
    """The activations are A ∗ D / keep_prob with the mask that is returned beside them."""
    found, causes = [], []
    for keep_prob, (A, results) in _drawn_masks(candidate, True).items():
        for result in results[:1]:
            mask, out = _mask_of(result, True), as_array("A", result[0])
            right = regularizers.apply_mask(A, mask, keep_prob)
            comparison = compare({"A": out}, {"A": right})
            if not comparison.agrees:
                found.append(f"keep_prob = {keep_prob}: A is not A ∗ D / keep_prob\n{comparison}")
                context = {"keep_prob": keep_prob, "A_given": A, "mask": mask}
                causes += explain({"A": out}, {"A": right}, context=context)
    mean = np.mean([as_array("A", r[0]).sum() for r in _drawn_masks(candidate, True)[0.8][1]])
    total = float(_drawn_masks(candidate, True)[0.8][0].sum())
    checks = (
        "A ∗ D / keep_prob with the mask returned",
        f"the sum over units, on average over four masks, {mean / total:.3f} of what it was",
    )
    return Diagnosis(not found, tuple(found), tuple(causes), checks)


def _mask_usage(of_dropout: bool) -> Iterator[Part]:
    yield _kept(of_dropout)
    if of_dropout:
        yield titled("rescaling", _rescaled)
    yield titled("the same generator again", _repeatable(of_dropout))


def _repeatable(of_dropout: bool) -> Part:
    def run(candidate: Candidate) -> Diagnosis:
        first = np.ones((UNITS, EXAMPLES)) if of_dropout else (UNITS, EXAMPLES)
        given = copy.deepcopy(first)
        one, other = (
            _mask_of(candidate(np.random.default_rng(3), given, 0.8), of_dropout) for _ in range(2)
        )
        untouched = np.array_equal(given, first)
        if not untouched:
            cause = Explanation("aliasing", 1.0, 0.0, "A", "written to; copy it first")
            return Diagnosis(False, ("A is changed in place",), (cause,), ("A as it was",))
        detail = "randomness that is not the generator's"
        return verdict(
            bool(np.array_equal(one, other)),
            "gives the same mask; A is as it was",
            "two generators of one seed give two masks",
            [Explanation("not a function of its arguments", 1.0, 0.0, "mask", detail)],
        )

    return run


def _layer_parts() -> Iterator[Part]:
    def evaluation(candidate: Candidate) -> Diagnosis:
        A = 1 + np.random.default_rng(8).random((UNITS, EXAMPLES))
        outs = [
            as_array("A", candidate(np.random.default_rng(seed), A.copy(), 0.8, False))
            for seed in (1, 2)
        ]
        before = max(residual(out, A) for out in outs)
        kept = outs[0] != 0
        dropped = explained(
            "train mode at evaluation", before, residual(outs[0], A * kept / 0.8),
            f"{1 - kept.mean():.0%} of the units are 0 and the others A/keep_prob",
        ) or explained(
            "train mode at evaluation", before, residual(outs[0], A * kept),
            f"{1 - kept.mean():.0%} of the units are 0",
        )  # fmt: skip
        scaled = explained(
            "factor keep_prob", before, residual(outs[0], 0.8 * A),
            "scaled at evaluation and not in training",
        )  # fmt: skip
        return verdict(
            before <= 1e-6,
            "A as it is, whatever the generator",
            f"activations move by {before:.2g}",
            [*scaled] or dropped,
        )

    def training(candidate: Candidate) -> Diagnosis:
        A = 1 + np.random.default_rng(8).random((UNITS, EXAMPLES))
        rng = np.random.default_rng(4)
        outs = [as_array("A", candidate(rng, A.copy(), 0.8, True)) for _ in range(4)]
        ratio = np.stack(outs) / A
        kept = ratio != 0
        fits = binomial_fits(int(kept.sum()), kept.size, 0.8)
        level = float(np.median(ratio[kept])) if kept.any() else 0.0
        return verdict(
            bool(fits and abs(level * 0.8 - 1) < 1e-6 and np.ptp(ratio[kept]) < 1e-5),
            "A ∗ D / keep_prob with a share keep_prob kept",
            f"{kept.mean():.3f} of the units kept, scaled by {level:.4g}",
            [] if not fits else explained(
                "factor keep_prob", abs(level * 0.8 - 1), abs(level - 1), "kept units are A itself"
            ),
        )  # fmt: skip

    yield titled("at evaluation", evaluation)
    yield titled("in training", training)


def _clip(grads: list[tuple[Any, Any]], limit: float) -> list[tuple[Any, Any]]:
    """Gradients scaled by min(1, c/‖all of them‖)."""
    norm = np.sqrt(sum(np.sum(g**2) for layer in grads for g in layer))
    return [tuple(g * min(1.0, limit / norm) for g in layer) for layer in grads]  # type: ignore


def _clip_parts() -> Iterator[Part]:
    for seed, (limit, size) in enumerate(((1.0, 3.0), (1.0, 0.01), (0.5, 40.0), (2.0, 0.3))):
        rng = np.random.default_rng(seed)
        grads = [
            (size * rng.standard_normal((4, 3)), 0.2 * size * rng.standard_normal((4, 1))),
            (0.3 * size * rng.standard_normal((2, 4)), size * rng.standard_normal((2, 1))),
        ]
        names = [f"d{letter}{layer}" for layer in (1, 2) for letter in "Wb"]
        flat = dict(zip(names, (g for layer in grads for g in layer), strict=True))
        yield draw(
            f"c = {limit}, gradients of some {size}", _clip, (grads, limit),
            view=lambda result, names=tuple(names): {
                f"clipped_{name}": g
                for name, g in zip(names, (g for layer in result for g in layer), strict=True)
            },
            equations=clip_by_global_norm(tuple(names)), inputs={**flat, "c": limit},
        )  # fmt: skip


def contracts() -> Iterator[Contract]:
    """Penalties and their gradients, dropout in its three forms, clipping by the global norm."""
    for name, result in (
        ("l2_cost", "λ/(2m)·Σ‖W‖²"),
        ("l2_gradient", "list of (λ/m·W, 0)"),
        ("l1_cost", "λ/(2m)·Σ|w|"),
        ("l1_gradient", "list of (λ/(2m)·sign(W), 0), sign(0) = 0"),
    ):
        reference = getattr(regularizers, name)
        yield contract_of(
            f"regularizers.{name}",
            reference,
            f"params: list of (W, b); m: number of training examples ↦ {result}.",
            _penalty_parts(reference),
        )
    yield contract_of(
        "regularizers.apply_mask",
        regularizers.apply_mask,
        "A (n, m), mask (n, m) of 0 and 1 ↦ A ∗ D / keep_prob (n, m).",
        _apply_parts(),
    )
    yield contract_of(
        "regularizers.dropout_mask",
        regularizers.dropout_mask,
        "rng: numpy Generator; shape ↦ mask of 0 and 1, each 1 with probability keep_prob.",
        _mask_usage(False),
    )
    yield contract_of(
        "regularizers.dropout",
        regularizers.dropout,
        "rng: numpy Generator; A (n, m) ↦ A ∗ D / keep_prob and the mask D, both (n, m).",
        _mask_usage(True),
    )
    yield contract_of(
        "layers.dropout",
        "(rng, A, keep_prob, train)",
        "rng: numpy Generator; A (n, m) ↦ A after dropout if train, A itself if not.",
        _layer_parts(),
    )
    yield contract_of(
        "clipping.global_norm",
        "(grads, limit)",
        "grads: list of (dW, db) ↦ the same, times min(1, limit/norm of all of them together).",
        _clip_parts(),
    )
