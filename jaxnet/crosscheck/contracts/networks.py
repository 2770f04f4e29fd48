"""Contracts of networks and logistic regression, forward and backward."""

import copy
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from jaxnet.crosscheck.comparison import as_array
from jaxnet.crosscheck.contracts.contract import (
    Candidate,
    Contract,
    Part,
    Refused,
    contract_of,
    draw,
    explained,
    refused,
    titled,
    verdict,
)
from jaxnet.crosscheck.equations.locate import residual
from jaxnet.crosscheck.findings import Diagnosis, Explanation
from reference_numpy import activations, logistic_regression, mlp

# (layer sizes, m): no two alike, so that no transpose or mix-up of lengths can pass; then squares,
# so that one that fits is seen in the numbers and not refused for its shape.
SHAPES = (((5, 4, 3), 7), ((3, 7, 2, 5), 11), ((4, 4, 4, 4), 4), ((3, 3, 1), 5))


def _params(rng: np.random.Generator, sizes: tuple[int, ...]) -> list[tuple[Any, Any]]:
    return [
        (rng.standard_normal((n, n_prev)) / np.sqrt(n_prev), 0.3 * rng.standard_normal((n, 1)))
        for n_prev, n in pairwise(sizes)
    ]


def _labels(rng: np.random.Generator, output: str, n: int, m: int) -> np.ndarray:
    if output == "softmax":
        return np.eye(n)[rng.integers(n, size=m)].T
    if output == "linear":
        return rng.standard_normal((n, m))
    return (rng.random((n, m)) < 0.5).astype(float)


def _network(seed: int, sizes: tuple[int, ...], m: int, output: str) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    return (
        _params(rng, sizes),
        rng.standard_normal((sizes[0], m)),
        _labels(rng, output, sizes[-1], m),
    )


def _dropout(seed: int, sizes: tuple[int, ...], m: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    keep = [0.7, 0.6, 0.9][: len(sizes) - 2]
    masks = [rng.random((n, m)) < k for n, k in zip(sizes[1:-1], keep, strict=True)]
    return {"masks": masks, "keep_prob": keep}


def _variants() -> Iterator[tuple[str, tuple[int, ...], int, dict[str, Any]]]:
    for number, ((sizes, m), hidden) in enumerate(
        (shape, hidden) for shape in SHAPES for hidden in ("tanh", "relu")
    ):
        output = "sigmoid" if sizes[-1] == 1 else ("softmax", "linear")[number % 2]
        kwargs: dict[str, Any] = {"hidden": hidden, "output": output}
        if number % 3 == 1:
            kwargs |= _dropout(number, sizes, m)
        dropped = ", dropout" if "masks" in kwargs else ""
        yield f"sizes {sizes}, m = {m}, {hidden}, {output}{dropped}", sizes, m, kwargs


def _forward_parts() -> Iterator[Part]:
    for number, (title, sizes, m, kwargs) in enumerate(_variants()):
        params, X, _ = _network(number, sizes, m, kwargs["output"])
        part = draw(title, mlp.forward, (params, X), kwargs=kwargs)
        yield part if "masks" in kwargs else _may_drop(part, params, X, kwargs)
    params, X, _ = _network(50, (5, 4, 3), 1, "softmax")
    alone = draw("a batch of one", mlp.forward, (params, X), kwargs=_plain("softmax"))
    yield _may_drop(alone, params, X, _plain("softmax"))
    params, X, _ = _network(51, (5, 4, 3), 7, "softmax")
    for size in (1e3, 1e4):
        large = [*params[:-1], (size * params[-1][0], params[-1][1])]
        for output in ("softmax", "sigmoid"):
            part = draw(
                f"logits of some {size:g}, {output}", mlp.forward, (large, X),
                kwargs=_plain(output), terms=1e3 * size,
            )  # fmt: skip
            yield _may_drop(part, large, X, _plain(output))
    yield titled("at evaluation", _evaluation)


def _may_drop(part: Part, params: Any, X: np.ndarray, kwargs: dict[str, Any]) -> Part:
    """A draw without masks; what fails it is looked at for units that were dropped."""

    def run(candidate: Candidate) -> Diagnosis:
        diagnosis = part(candidate)
        if diagnosis.agrees:
            return diagnosis
        _, caches = _result(candidate(copy.deepcopy(params), X.copy(), **kwargs))
        causes = _as_in_training(caches, 1.0)
        return diagnosis._replace(explanations=(*causes, *diagnosis.explanations))

    run.title = getattr(part, "title", "")  # type: ignore[attr-defined]
    return run


def _plain(output: str) -> dict[str, Any]:
    return {"hidden": "tanh", "output": output, "masks": None, "keep_prob": 1.0}


def _evaluation(candidate: Candidate) -> Diagnosis:
    """Without masks nothing is random, and an example's output is its own."""
    params, X, _ = _network(60, (5, 40, 3), 7, "softmax")
    right, _ = mlp.forward(params, X, **_plain("softmax"))
    A, caches = _result(candidate(copy.deepcopy(params), X.copy(), **_plain("softmax")))
    again, _ = _result(candidate(copy.deepcopy(params), X.copy(), **_plain("softmax")))
    alone = np.concatenate(
        [
            as_array("A", _result(candidate(params, X[:, i : i + 1], **_plain("softmax")))[0])
            for i in range(X.shape[1])
        ],
        axis=1,
    )
    A, again = as_array("A", A), as_array("A", again)
    spread = float((np.linalg.norm(A - again) + np.linalg.norm(A - alone)) / np.linalg.norm(right))
    # The order of a sum may differ with the batch: far below what any dependence does.
    tolerance = 1e4 * np.finfo(A.dtype).eps
    return verdict(
        bool(spread <= tolerance),
        "the same twice, and for each example alone",
        f"outputs move by {spread:.2g} between calls or with the other examples of the batch",
        _as_in_training(caches, spread),
    )


def _as_in_training(caches: Any, spread: float) -> list[Explanation]:
    """Whether the hidden activations are g(Z) with some entries 0 and the others scaled up."""
    for cache in caches[:-1]:
        full = activations.ACTIVATIONS[cache.activation][0](np.asarray(cache.Z, float))
        A = np.asarray(cache.A, float)
        if A.shape != full.shape:
            return []
        kept = A != 0
        if kept.all() or not kept.any():
            continue
        scale = float(np.median(A[kept] / full[kept]))
        after = float(np.linalg.norm(A - kept * full * scale) / np.linalg.norm(full))
        detail = (
            f"hidden activations are g(Z) times {scale:.4g} with {1 - kept.mean():.0%} of them 0: "
            f"a dropout mask is drawn"
        )
        return explained("train mode at evaluation", max(spread, 1e-3), after, detail)
    return []


def _result(result: Any) -> tuple[Any, Any]:
    if not (isinstance(result, tuple) and len(result) == 2):
        raise Refused(f"expected (A, caches), got {type(result).__name__}")
    return result


def _backward_parts(reference: Any) -> Iterator[Part]:
    for number, (title, sizes, m, kwargs) in enumerate(_variants()):
        params, X, Y = _network(number, sizes, m, kwargs["output"])
        _, caches = mlp.forward(params, X, **kwargs)
        l2 = {"l2": (0.0, 0.83)[number % 2]} if reference is mlp.backward else {}
        context = {"m": m, **({"l2": l2["l2"]} if l2 else {})}
        said = f", λ = {l2['l2']}" if l2 else ""
        yield draw(f"{title}{said}", reference, (params, caches, Y), kwargs=l2, context=context)
    if reference is mlp.backward:
        yield titled("the mask of the backward pass", _other_mask)
    # Two batches of one training set: a factor that is the set's m and not the batch's shows as
    # two different factors; λ alone, which a bias must not feel.
    params, X, Y = _network(70, (5, 4, 3), 13, "softmax")
    _, caches = mlp.forward(params, X, **_plain("softmax"))
    if reference is mlp.backward:
        for lam in (0.0, 1.7):
            yield draw(
                f"13 examples, λ = {lam}", reference, (params, caches, Y),
                kwargs={"l2": lam}, context={"m": 13, "l2": lam},
            )  # fmt: skip
    yield refused("labels (1, m) for (K, m)", (params, caches, Y[:1]), name="broadcast")


def _other_mask(candidate: Candidate) -> Diagnosis:
    """The mask that dW1 and db1 were computed with: with few examples they determine it.

    Unit i has dW1[i] = Σⱼ Dᵢⱼ cᵢⱼ X[:, j], as many equations as inputs and one for db1, and as many
    unknown Dᵢⱼ as examples. Whatever else is wrong does not give zeros and ones.
    """
    sizes, m, keep_prob = (11, 7, 2), 5, 0.6
    params, X, Y = _network(80, sizes, m, "softmax")
    D = np.random.default_rng(81).random((7, m)) < keep_prob
    how = {"hidden": "tanh", "output": "softmax", "masks": [D], "keep_prob": keep_prob}
    _, caches = mlp.forward(params, X, **how)
    right = mlp.backward(params, caches, Y, l2=0.0)
    grads = candidate(copy.deepcopy(params), copy.deepcopy(caches), Y.copy(), l2=0.0)
    dW, db = (as_array("dW1", one).astype(float) for one in grads[0])
    if dW.shape != right[0][0].shape or db.shape != right[0][1].shape:
        raise Refused(f"expected dW1 and db1 of {right[0][0].shape}, got {dW.shape}, {db.shape}")
    apart = residual(np.hstack([dW, db]), np.hstack(right[0]))
    tolerance = 1e4 * np.finfo(as_array("dW1", grads[0][0]).dtype).eps
    dZ = params[1][0].T @ (caches[-1].A - Y) * activations.tanh_derivative(caches[0].Z)
    inputs = np.vstack([X, np.ones(m)])
    masks = np.stack(
        [
            np.linalg.lstsq(inputs * c / (m * keep_prob), np.r_[row, bias], rcond=None)[0]
            for c, row, bias in zip(dZ, dW, db[:, 0], strict=True)
        ]
    )
    found = np.round(masks)
    used = dZ * found / keep_prob
    after = residual(np.hstack([dW, db]), np.hstack([used @ X.T, used.sum(1, keepdims=True)]) / m)
    causes = []
    if np.isin(found, (0, 1)).all() and not np.array_equal(found, D):
        detail = (
            f"dW1 and db1 come of another mask, {int((found != D).sum())} of {D.size} units off"
        )
        causes = explained("mask", apart, after, detail, "dW1, db1")
    return verdict(
        apart <= tolerance,
        "dW1 and db1 within their bounds",
        f"dW1, db1 off by {apart:.2g}",
        causes,
    )


def _cost_parts() -> Iterator[Part]:
    for number, (title, sizes, m, kwargs) in enumerate(_variants()):
        params, X, Y = _network(number, sizes, m, kwargs["output"])
        l2 = (0.0, 0.83)[number % 2]
        yield draw(
            f"{title}, λ = {l2}", mlp.cost, (params, X, Y), kwargs={**kwargs, "l2": l2},
            context={"m": m, "l2": l2},
        )  # fmt: skip
    params, X, Y = _network(51, (5, 4, 3), 7, "softmax")
    for size in (1e3, 1e4):
        large = [*params[:-1], (size * params[-1][0], params[-1][1])]
        yield draw(
            f"logits of some {size:g}", mlp.cost, (large, X, Y),
            kwargs={**_plain("softmax"), "l2": 0.0},
        )  # fmt: skip


def _logistic_parts(reference: Any) -> Iterator[Part]:
    for n, m in ((5, 7), (3, 11), (4, 4), (6, 1)):
        rng = np.random.default_rng(n * m)
        w, b, X = rng.standard_normal((n, 1)), 0.3, rng.standard_normal((n, m))
        Y = (rng.random((1, m)) < 0.5).astype(float)
        args = (w, b, X) if reference is logistic_regression.forward else (w, b, X, Y)
        yield draw(f"n = {n}, m = {m}", reference, args, context={"m": m, "n": n})
    rng = np.random.default_rng(9)
    w, X = 1e3 * rng.standard_normal((5, 1)), rng.standard_normal((5, 7))
    Y = (rng.random((1, 7)) < 0.5).astype(float)
    args = (w, 0.0, X) if reference is logistic_regression.forward else (w, 0.0, X, Y)
    # Logits of some 1e3 are sums of terms as large: 1e3 times the rounding before the sigmoid.
    yield draw("logits of some 1e3", reference, args, context={"m": 7}, terms=1e6)
    if reference is not logistic_regression.forward:
        yield refused("labels (m, 1) for (1, m)", (w, 0.0, X, Y.T), name="broadcast")


def contracts() -> Iterator[Contract]:
    """mlp.forward, backward, deltas, cost; logistic_regression.forward, cost, gradients."""
    params = "params: list of (W (n[l], n[l−1]), b (n[l], 1))"
    yield contract_of(
        "mlp.forward",
        mlp.forward,
        f"{params}; X (n[0], m) ↦ A[L] (n[L], m) and a list of mlp.Cache, one per layer.",
        _forward_parts(),
    )
    yield contract_of(
        "mlp.backward",
        mlp.backward,
        f"{params}; caches of mlp.forward; Y (n[L], m) ↦ list of (dW, db), with λ/m·W in dW.",
        _backward_parts(mlp.backward),
    )
    yield contract_of(
        "mlp.deltas",
        mlp.deltas,
        f"{params}; caches of mlp.forward; Y (n[L], m) ↦ list of dZ[l] (n[l], m), without 1/m.",
        _backward_parts(mlp.deltas),
    )
    yield contract_of(
        "mlp.cost",
        mlp.cost,
        f"{params}; X (n[0], m); Y (n[L], m) ↦ mean loss + λ/(2m)·Σ‖W‖².",
        _cost_parts(),
    )
    about = "w (n, 1), b a number, X (n, m), Y (1, m)"
    results = (
        ("forward", "A (1, m)"), ("cost", "a number"), ("gradients", "dw (n, 1) and db"),
        ("gradients_loop", "dw (n, 1) and db"),
    )  # fmt: skip
    for name, result in results:
        reference = getattr(logistic_regression, name)
        yield contract_of(
            f"logistic_regression.{name}",
            reference,
            f"{about} ↦ {result}.",
            _logistic_parts(reference),
        )
