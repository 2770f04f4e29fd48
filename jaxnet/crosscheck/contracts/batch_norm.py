"""Contracts of batch normalisation: forward, backward, running statistics, evaluation."""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxnet.crosscheck.comparison import as_array
from jaxnet.crosscheck.contracts.contract import (
    Candidate,
    Contract,
    Part,
    contract_of,
    draw,
    explained,
    titled,
    verdict,
)
from jaxnet.crosscheck.equations.locate import residual
from jaxnet.crosscheck.findings import Diagnosis
from reference_numpy import batch_norm

SIZES = ((5, 7), (3, 11), (4, 4), (3, 2))
"""Units and examples: pairwise distinct, square, and two examples, where n/(n − 1) is 2."""


def _layer(seed: int, n: int, m: int) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    Z = 1.5 * rng.standard_normal((n, m)) + rng.standard_normal((n, 1))
    return Z, rng.uniform(0.5, 2.0, (n, 1)), rng.standard_normal((n, 1))


def _forward_parts() -> Iterator[Part]:
    for n, m in SIZES:
        Z, gamma, beta = _layer(n * m, n, m)
        for eps in (1e-5, 0.03):
            yield draw(
                f"{n} units, {m} examples, ε = {eps}", batch_norm.forward, (Z, gamma, beta, eps),
                context={"m": m, "n": m},
            )  # fmt: skip
    Z, gamma, beta = _layer(1, 5, 7)
    for size in (1e-3, 1e3):
        args = (size * Z, gamma, beta, 1e-5)
        yield draw(f"values of some {size:g}", batch_norm.forward, args, terms=1e5)
    yield draw("a batch of one", batch_norm.forward, (Z[:, :1], gamma, beta, 1e-5))
    Z[1] = 3.7
    # A constant row is 0 but for the rounding of its mean, which 1/√ε magnifies.
    yield draw("a constant unit", batch_norm.forward, (Z, gamma, beta, 1e-5), terms=1e5)
    yield titled("shifted by 1e4", _shifted)


def _shifted(candidate: Candidate) -> Diagnosis:
    """A common offset rounds Z by 1e4·u and no more: whoever subtracts squares loses 1e8·u."""
    offset = 1e4
    # Even multiples of u·1e4 so that adding the offset is exact, and the two Z are the same.
    Z, gamma, beta = _layer(2, 5, 7)
    Z = np.round(Z * 2.0**20) / 2.0**20
    right = batch_norm.forward(Z, gamma, beta, 1e-5)[0]
    mine = as_array("Z_tilde", candidate(Z + offset, gamma, beta, 1e-5)[0])
    near = as_array("Z_tilde", candidate(Z.copy(), gamma, beta, 1e-5)[0])
    # Two-pass in float64: μ is rounded to 1e4·u of a deviation of about 1, some ten times over.
    unit = np.finfo(mine.dtype).eps / 2
    if mine.dtype == np.float32:  # the offset input itself is rounded to 1e4·u
        right = batch_norm.forward((Z + offset).astype(np.float32), gamma, beta, 1e-5)[0]
    apart, without = residual(mine, right), residual(near, batch_norm.forward(Z, gamma, beta)[0])
    apart = apart if np.isfinite(apart) else 1.0
    detail = "right when the common offset is taken away first: squares are subtracted"
    return verdict(
        apart <= 100 * unit * offset,
        f"off by {apart:.1g} at most",
        f"off by {apart:.2g}; rounding makes at most {100 * unit * offset:.1g}",
        explained("cancellation", apart, without, detail),
    )


def _backward_parts() -> Iterator[Part]:
    for n, m in SIZES:
        Z, gamma, beta = _layer(10 + n * m, n, m)
        dZ_tilde = np.random.default_rng(m).standard_normal((n, m))
        for eps in (1e-5, 0.03):
            _, cache = batch_norm.forward(Z, gamma, beta, eps)
            yield draw(
                f"{n} units, {m} examples, ε = {eps}", batch_norm.backward, (dZ_tilde, cache),
                context={"m": m, "Z": Z}, terms=1e3 if m > 2 else 1e7,
            )  # fmt: skip
    # With two examples Ẑ is ±1 up to ε, so dZ is what is left of two equal terms: 1/ε terms.


def _evaluate_parts() -> Iterator[Part]:
    for n, m in (*SIZES, (5, 1)):
        Z, gamma, beta = _layer(20 + n * m, n, m)
        rng = np.random.default_rng(30 + n)
        mean, var = rng.standard_normal((n, 1)), rng.uniform(0.3, 3.0, (n, 1))
        for eps in (1e-5, 0.03):
            yield draw(
                f"{n} units, {m} examples, ε = {eps}", batch_norm.evaluate,
                (Z, gamma, beta, mean, var, eps), context={"m": m},
            )  # fmt: skip
    yield titled("each example alone", _alone)


def _alone(candidate: Candidate) -> Diagnosis:
    """At evaluation an example's output does not depend on the others in its batch."""
    Z, gamma, beta = _layer(3, 5, 7)
    mean, var = np.full((5, 1), 0.4), np.full((5, 1), 1.7)
    args = gamma, beta, mean, var, 1e-5
    whole = as_array("out", candidate(Z.copy(), *copy.deepcopy(args)))
    alone = np.concatenate(
        [
            as_array("out", candidate(Z[:, i : i + 1].copy(), *copy.deepcopy(args)))
            for i in range(7)
        ],
        axis=1,
    )
    apart = residual(whole, alone)
    own, _ = batch_norm.forward(Z, gamma, beta, 1e-5)
    return verdict(
        apart <= 1e3 * np.finfo(whole.dtype).eps,
        "the same as in the batch",
        f"outputs move by {apart:.2g} with the other examples of the batch",
        explained(
            "train mode at evaluation", apart, residual(whole, own),
            "they are what the batch's own statistics give",
        ),
    )  # fmt: skip


def _running_parts() -> Iterator[Part]:
    for n, m in SIZES:
        rng = np.random.default_rng(n + m)
        Z, _, _ = _layer(40 + n * m, n, m)
        mean, var = rng.standard_normal((n, 1)), rng.uniform(0.3, 3.0, (n, 1))
        mu, batch_var = Z.mean(1, keepdims=True), Z.var(1, keepdims=True)
        for decay in (0.99, 0.7):
            yield draw(
                f"{n} units, {m} examples, decay = {decay}", batch_norm.update_running,
                (mean, var, mu, batch_var, decay), context={"m": m, "decay": decay},
            )  # fmt: skip


def contracts() -> Iterator[Contract]:
    """batch_norm.forward, backward, evaluate and update_running."""
    units = "Z (n, m); gamma, beta (n, 1)"
    yield contract_of(
        "batch_norm.forward",
        batch_norm.forward,
        f"{units} ↦ Z̃ (n, m) and a batch_norm.Cache(Z_hat, gamma, mu, var, eps).",
        _forward_parts(),
    )
    yield contract_of(
        "batch_norm.backward",
        batch_norm.backward,
        "dZ_tilde (n, m), the reference's Cache ↦ dZ (n, m), dgamma (n, 1), dbeta (n, 1).",
        _backward_parts(),
    )
    yield contract_of(
        "batch_norm.evaluate",
        batch_norm.evaluate,
        f"{units}; running mean, var (n, 1) ↦ Z̃ (n, m).",
        _evaluate_parts(),
    )
    yield contract_of(
        "batch_norm.update_running",
        batch_norm.update_running,
        "running and batch mean and var (n, 1) ↦ new running mean and var (n, 1).",
        _running_parts(),
    )
