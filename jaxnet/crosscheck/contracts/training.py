"""Contracts of what happens around the update: steps, shards, stopping, masks by step."""

from collections.abc import Iterator
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
from jaxnet.crosscheck.contracts.regularizers import kept_instead
from jaxnet.crosscheck.contracts.statistics import FALSE_ALARM, binomial_fits
from jaxnet.crosscheck.equations import equations
from jaxnet.crosscheck.equations.locate import residual
from jaxnet.crosscheck.findings import Diagnosis, Explanation
from reference_numpy import activations, early_stopping, logistic_regression

# ------------------------------------------------------------------ the compiled step

RATES = (0.1, 0.7, 0.02, 0.7, 0.3)


def _steps(candidate: Candidate) -> Diagnosis:
    """Five steps, each with another learning rate: which one does each of them use?"""
    rng = np.random.default_rng(0)
    w, b = rng.standard_normal((5, 1)), 0.3
    X, Y = rng.standard_normal((5, 11)), (rng.random((1, 11)) < 0.5).astype(float)
    used, off, before = [], [], 0.0
    for rate in RATES:
        dw, db = logistic_regression.gradients(w, b, X, Y)
        result = candidate((w.copy(), b), X.copy(), Y.copy(), rate)
        if not (isinstance(result, tuple | list) and len(result) == 2):
            raise Refused(f"expected (w, b), got {type(result).__name__}")
        new_w, new_b = as_array("w", result[0]), as_array("b", result[1])
        right = {"w": w - rate * dw, "b": np.float64(b - rate * db)}
        mine = {"w": np.reshape(new_w, w.shape), "b": np.reshape(new_b, ())}
        if not compare(mine, right).agrees:
            off.append(rate)
            before = max(before, residual(mine["w"] - w, -rate * dw))
        move, slope = np.ravel(w - mine["w"]), np.ravel(dw)
        # The learning rate that explains the step, and what it does not explain of it.
        best = float(move @ slope / (slope @ slope))
        used.append((best, float(np.linalg.norm(move - best * slope) / np.linalg.norm(move))))
        w, b = right["w"], float(right["b"])
    rates = np.array([rate for rate, _ in used])
    lag = float(np.max(np.abs(rates[1:] / np.array(RATES[:-1]) - 1)))
    constant = float(np.max(np.abs(rates / rates[0] - 1)))
    unexplained = max(rest for _, rest in used)
    detail = f"the steps use {', '.join(f'{rate:.4g}' for rate in rates)} where {RATES} were given"
    causes = explained("stale learning rate", before, max(constant, unexplained), detail)
    causes = causes or explained("stale learning rate", before, max(lag, unexplained), detail)
    factor = rates / np.array(RATES)
    spread = float(np.max(np.abs(factor / factor[0] - 1)))
    called = "factor m" if abs(factor[0] / 11 - 1) < 1e-6 else f"factor {factor[0]:.6g}"
    called = "sign" if abs(factor[0] + 1) < 1e-6 else called
    causes = causes or explained(called, before, max(spread, unexplained), detail)
    return verdict(
        not off,
        "the learning rate given is the one used, also after it changes",
        f"steps with learning rates {off} are not w − α·dw",
        causes,
    )


# ------------------------------------------------------------------ the gradient of a mini-batch


def batch_gradient(params, x, y, indices, l2):
    """Gradient of the cost on the examples of a mini-batch, λ/(2m)·‖w‖² in it with the set's m.

    dw = (1/B) X{t} dZᵀ + (λ/m) w,  db = (1/B) Σ dz
    """
    w, b = params
    dw, db = logistic_regression.gradients(w, b, x[:, indices], y[:, indices])
    return dw + l2 / x.shape[1] * w, db


BATCH = equations(
    "A = sigmoid(w.T @ X + b)",
    "dZ = A - Y",
    "dw = X @ dZ.T / B + l2 / m * w",
    "db = sum(dZ, 1) / B",
    functions={"sigmoid": activations.sigmoid},
    rivals=[
        ("factor m/B", "dw = X @ dZ.T / m + l2 / m * w"),
        ("factor m/B", "db = sum(dZ, 1) / m"),
        ("factor m/B of λ", "dw = X @ dZ.T / B + l2 / B * w"),
    ],
)


def _batch_parts() -> Iterator[Part]:
    rng = np.random.default_rng(6)
    w, b, m = rng.standard_normal((5, 1)), 0.3, 23
    X, Y = rng.standard_normal((5, m)), (rng.random((1, m)) < 0.5).astype(float)
    for size, l2 in ((7, 0.0), (3, 0.0), (7, 1.9), (3, 1.9), (1, 0.0), (m, 1.9)):
        indices = rng.permutation(m)[:size]
        inputs = {"w": w, "b": b, "X": X[:, indices], "Y": Y[:, indices], "B": size, "m": m}
        yield draw(
            f"{size} of {m} examples, λ = {l2}", batch_gradient, ((w, b), X, Y, indices, l2),
            context={"m": m, "batch_size": size, "l2": l2},
            view=lambda grads: {"dw": grads[0], "db": np.reshape(as_array("db", grads[1]), (1, 1))},
            # Without a penalty the numbers alone say which factor it is.
            equations=BATCH if l2 else None, inputs={**inputs, "l2": l2},
        )  # fmt: skip


# ------------------------------------------------------------------ shards


def _sharded(candidate: Candidate) -> Diagnosis:
    rng = np.random.default_rng(0)
    found, before, votes = [], 0.0, {"weighting": 0.0, "factor": 0.0, "sum": 0.0}
    for sizes in ((13,), (5, 5, 3), (7, 1), (2, 3, 5, 11), (4, 4, 4)):
        shards = [3 + rng.standard_normal(size) + 2 * k for k, size in enumerate(sizes)]
        mine = float(np.asarray(candidate([shard.copy() for shard in shards])))
        every = np.concatenate(shards)
        right = float(np.mean(every))
        if abs(mine - right) > 1e-5 * abs(right):
            found.append(f"shards of {sizes}: {mine:.6g}, the mean of all is {right:.6g}")
            before = max(before, abs(mine / right - 1))
        others = {
            "weighting": np.mean([np.mean(shard) for shard in shards]),
            "factor": right / len(shards),
            "sum": np.sum([np.mean(shard) for shard in shards]),
        }
        votes = {name: max(votes[name], abs(mine / one - 1)) for name, one in others.items()}
    called = {
        "weighting": ("weighting", "the mean of the shards' means, whatever their sizes"),
        "factor": ("factor 1/shards", "divided by the number of shards as well"),
        "sum": ("factor shards", "the shards' means are summed"),
    }
    causes = [one for name, after in votes.items() if after <= 1e-6
              for one in explained(called[name][0], before, after, called[name][1])]  # fmt: skip
    return Diagnosis(
        not found, tuple(found), tuple(causes), ("five partitions, equal and unequal, against all",)
    )


# ------------------------------------------------------------------ early stopping

CURVE = (5.0, 3.0, 2.0, 2.5, 1.0, 1.5, 1.4, 1.3, 1.2, 1.1, 0.5, 0.4)
PATIENCE = 3


def _best(candidate: Candidate) -> Diagnosis:
    """A planted curve, once with an update that returns new arrays, once with one that writes."""
    best, stop = early_stopping.rule(CURVE, PATIENCE)
    found, causes = [], []
    for in_place in (False, True):
        result, epochs = _stopped(candidate, in_place)
        got = int(np.ravel(result)[0]) - 1
        if got == best:
            continue
        how = "written to in place" if in_place else "new in every epoch"
        found.append(f"params {how}: those of epoch {got} are returned, the best is {best}")
        if in_place and not found[:-1]:
            detail = "right when every epoch has arrays of its own: the best is kept by reference"
            causes.append(Explanation("aliasing", abs(got - best), 0.0, "params", detail))
        elif not in_place and got in (stop, epochs - 1):
            detail = f"those of epoch {got}, the last that was trained"
            causes.append(
                Explanation("last instead of best", abs(got - best), 0.0, "params", detail)
            )
    _, epochs = _stopped(candidate, False)
    if epochs != stop + 1:
        found.append(f"{epochs} epochs are trained, expected {stop + 1} with patience {PATIENCE}")
        if abs(epochs - stop - 1) == 1:
            detail = f"stops after {epochs} epochs"
            causes.append(Explanation("off by one in patience", 1.0, 0.0, "", detail))
    checks = ("the best epoch's params, also when the update writes to its arrays; where it stops",)
    return Diagnosis(not found, tuple(found), tuple(causes), checks)


def _stopped(candidate: Candidate, in_place: bool) -> tuple[Any, int]:
    """What is returned, and how many epochs were trained. params is the number of epochs done."""
    calls = [0]

    def update(params):
        calls[0] += 1
        if calls[0] > 10 * len(CURVE):
            raise RuntimeError("training does not stop")
        if in_place:
            params += 1
            return params
        return params + 1

    def dev_cost(params):
        return CURVE[min(int(params[0]) - 1, len(CURVE) - 1)]

    result = candidate(update, dev_cost, np.zeros(2), PATIENCE)
    return as_array("params", result), calls[0]


# ------------------------------------------------------------------ randomness by step and epoch


def _masks(candidate: Candidate) -> Diagnosis:
    steps, shape, keep_prob = 6, (17, 13), 0.7
    masks = as_array("masks", candidate(np.random.default_rng(0), shape, keep_prob, steps))
    if masks.shape != (steps, *shape) or not np.isin(masks, (0, 1)).all():
        raise Refused(f"expected 0 and 1 of shape {(steps, *shape)}, got shape {masks.shape}")
    kept = int(masks.sum())
    diagnosis = _distinct(
        list(masks),
        "step",
        []
        if binomial_fits(kept, masks.size, keep_prob)
        else [f"{masks.mean():.3f} of the units are kept, keep_prob is {keep_prob}"],
        f"{steps} masks, the share kept within its binomial bound (false alarm ≤ {FALSE_ALARM:g})",
    )
    others = kept_instead(kept, masks.size, keep_prob)
    return diagnosis._replace(explanations=(*diagnosis.explanations, *others))


def _augmented(candidate: Candidate) -> Diagnosis:
    epochs = 5
    x = np.random.default_rng(1).random((7, 11, 13))
    given = x.copy()
    result = candidate(np.random.default_rng(0), given, epochs)
    each = [as_array("x", one) for one in result]
    if len(each) != epochs or any(one.shape != x.shape for one in each):
        raise Refused(f"expected {epochs} arrays of shape {x.shape}, got {len(each)}")
    found = [] if np.array_equal(given, x) else ["the images given are changed in place"]
    return _distinct(each, "epoch", found, f"{epochs} epochs of 7 images")


def _distinct(each: list[np.ndarray], unit: str, found: list[str], check: str) -> Diagnosis:
    hashes = [one.tobytes() for one in each]
    causes = []
    if len(set(hashes)) == 1:
        found.append(f"every {unit} has the same")
        causes.append(Explanation("reused key", 1.0, 0.0, "", f"all {len(each)} are one draw"))
    elif len(set(hashes)) < len(hashes):
        period = next((p for p in range(1, len(each)) if hashes[p] == hashes[0]), 0)
        found.append(f"only {len(set(hashes))} of {len(hashes)} {unit}s differ")
        detail = f"the first comes again after {period}" if period else "some come twice"
        causes.append(Explanation("reused key", 1.0, 0.0, "", detail))
    return Diagnosis(not found, tuple(found), tuple(causes), (f"{check}, no two alike",))


def contracts() -> Iterator[Contract]:
    """One for everything that happens around an update; the names begin with `training`."""
    yield contract_of(
        "training.step",
        "(params, x, y, learning_rate)",
        "One step of gradient descent on logistic regression; params: (w (n, 1), b); x (n, m); "
        "y (1, m) ↦ params: w − α·dw, b − α·db. Called with changing learning rates.",
        [titled("changing learning rates", _steps)],
    )
    yield contract_of(
        "training.batch_gradient",
        "(params, x, y, indices, l2)",
        "Gradient of logistic regression's cost on x[:, indices] with L2, λ/(2m) with the set's m; "
        "params: (w (n, 1), b); x (n, m); y (1, m); indices (B,) ↦ (dw, db).",
        _batch_parts(),
    )
    yield contract_of(
        "training.sharded_mean",
        "(shards)",
        "shards: list of arrays (mᵢ,), of unequal lengths ↦ the mean over all examples.",
        [titled("shards", _sharded)],
    )
    yield contract_of(
        "training.early_stopping_loop",
        "(update, dev_cost, params, patience)",
        "update: params ↦ params after one more epoch; dev_cost: params ↦ number; params: an "
        "array ↦ the params of the epoch with the lowest dev cost.",
        [titled("a planted curve", _best)],
    )
    yield contract_of(
        "training.dropout_masks",
        "(rng, shape, keep_prob, steps)",
        "rng: numpy Generator ↦ the masks of all steps, (steps, *shape) of 0 and 1.",
        [titled("masks by step", _masks)],
    )
    yield contract_of(
        "training.augmented_epochs",
        "(rng, x, epochs)",
        "rng: numpy Generator; x: images (m, H, W) ↦ one augmented (m, H, W) per epoch.",
        [titled("images by epoch", _augmented)],
    )
