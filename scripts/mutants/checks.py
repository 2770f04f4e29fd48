"""The checks that a user has, each put before a candidate as a user would put it."""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxnet import models, regularizers
from jaxnet.crosscheck import compare
from jaxnet.crosscheck.agreement import diagnose
from jaxnet.crosscheck.contracts import contract
from jaxnet.crosscheck.findings import Diagnosis
from jaxnet.crosscheck.lockstep.first import first_divergence
from jaxnet.crosscheck.lockstep.of_reference import of_reference
from jaxnet.data import Dataset
from reference_numpy import gradient_check, mlp, optimizers
from scripts.mutants import right
from scripts.mutants.planting import Mutant


def _by_contract(candidate: Callable[..., Any], mutant: Mutant) -> Diagnosis:
    """The contract that the candidate claims to fulfil."""
    return contract(mutant.contract).check(candidate)


def _by_gradient_check(candidate: Callable[..., Any], mutant: Mutant) -> Diagnosis:
    """The gradient of a small network against differences of its whole cost, at every parameter.

    With a penalty and fixed dropout masks. The candidate is the backward pass, or the cost.
    """
    rng = np.random.default_rng(11)
    sizes, m = (5, 4, 3), 7
    params = [
        (rng.standard_normal((n, n_prev)), rng.standard_normal((n, 1)))
        for n_prev, n in itertools.pairwise(sizes)
    ]
    X, Y = rng.standard_normal((5, m)), np.eye(3)[rng.integers(3, size=m)].T
    how: dict[str, Any] = {"hidden": "tanh", "output": "softmax", "keep_prob": 0.7}
    how["masks"] = [rng.random((4, m)) < 0.7]
    backward, cost = (
        (mlp.backward, candidate) if mutant.contract == "mlp.cost" else (candidate, mlp.cost)
    )
    _, caches = mlp.forward(params, X, **how)
    grads = gradient_check.flatten(backward(params, caches, Y, l2=1.3))

    def J(theta):
        return cost(gradient_check.unflatten(theta, params), X, Y, l2=1.3, **how)

    check = gradient_check.check(J, gradient_check.flatten(params), grads, eps=1e-5)
    said = f"relative distance {check.relative_distance:.2g}, worst at parameter {check.worst}"
    agrees = check.verdict == "correct"
    return Diagnosis(agrees, () if agrees else (said,), (), (f"gradient check: {check.verdict}",))


def _by_trajectory(candidate: Callable[..., Any], mutant: Mutant) -> Diagnosis:
    """Twelve updates with a falling learning rate, some gradients as small as 1e-6, compared."""
    rule = mutant.contract.split(".")[-1]
    paths = [_path(update, rule) for update in (candidate, getattr(optimizers, rule))]
    comparison = compare(*paths)
    return Diagnosis(comparison.agrees, () if comparison.agrees else (str(comparison),))


def _path(update: Callable[..., Any], rule: str) -> list[Any]:
    rng = np.random.default_rng(13)
    params = [(rng.standard_normal((3, 2)), rng.standard_normal((3, 1)))]
    state, path = getattr(optimizers, rule.replace("update", "init"))(params), []
    for t in range(12):
        grads = [
            tuple(10 ** rng.uniform(-6, 0, p.shape) * rng.standard_normal(p.shape) for p in layer)
            for layer in params
        ]
        params, state = update(params, grads, state, learning_rate=0.1 / (1 + t))
        path.append(params)
    return path


def _by_diagnosis(candidate: Callable[..., Any], mutant: Mutant) -> Diagnosis:
    """`diagnose` beside the right function, for what has no contract of its own."""
    return DIAGNOSED[mutant.contract](candidate)


def _penalty(candidate: Callable[..., Any]) -> Diagnosis:
    """The gradient of a penalty by all parameters of a network with batch norm."""
    params = models.mlp((5, 4, 3), batch_norm=True).init(jax.random.key(3))[0]
    params = jax.tree.map(lambda leaf: leaf + 0.5, params)

    def gradient(penalty):
        return jax.grad(penalty(0.83, m=7))

    context = {"l2": 0.83, "m": 7}
    return diagnose(gradient(candidate), gradient(regularizers.l2), (params,), context=context)


def _batch(candidate: Callable[..., Any]) -> Diagnosis:
    """The gradient of a mini-batch of 7 among 23 examples."""
    rng = np.random.default_rng(17)
    params = [
        (rng.standard_normal((n, p)), rng.standard_normal((n, 1))) for n, p in ((4, 5), (3, 4))
    ]
    X, Y = rng.standard_normal((5, 23)), np.eye(3)[rng.integers(3, size=23)].T
    args = (params, X, Y, rng.permutation(23)[:7])
    return diagnose(candidate, right.batch_gradients, args, context={"m": 23, "batch_size": 7})


def _by_first_divergence(candidate: Callable[..., Any], mutant: Mutant) -> Diagnosis:
    """A training of 12 mini-batches with a falling learning rate beside the reference's."""
    rng = np.random.default_rng(19)
    x: Any = rng.standard_normal((23, 5))
    y: Any = rng.integers(3, size=23)
    batches = [rng.permutation(23)[:7] for _ in range(12)]
    params = [(0.4 * rng.standard_normal((n, p)), np.zeros((n, 1))) for n, p in ((4, 5), (3, 4))]

    def learning_rate(step):
        return 0.3 / (1 + 0.37 * step)

    found = first_divergence(
        candidate(params, x.T, np.eye(3)[y].T, batches, learning_rate),
        of_reference(
            params, Dataset(x, y), batches, optimizer="momentum", learning_rate=learning_rate,
            hidden="tanh",
        ),
    )  # fmt: skip
    said = (f"step {found.step}, {found.phase}, {found.array}: {found.found}",)
    return Diagnosis(found.agrees, () if found.agrees else said, found.explanations)


DIAGNOSED = {"regularizers.l2": _penalty, "batch_gradients": _batch}


CHECKS: dict[str, Callable[[Callable[..., Any], Mutant], Diagnosis]] = {
    "contract": _by_contract,
    "gradient check": _by_gradient_check,
    "trajectory": _by_trajectory,
    "diagnosis": _by_diagnosis,
    "first divergence": _by_first_divergence,
}
