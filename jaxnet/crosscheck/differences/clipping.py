"""Rows 15 and 16: clipping and accumulation of gradients."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import optax

from jaxnet.crosscheck.backends import frameworks
from jaxnet.crosscheck.differences.difference import (
    AGREE,
    AGREE_IF,
    CANNOT,
    Check,
    Difference,
    agree,
    default,
    differ,
    differ_as_predicted,
)
from jaxnet.crosscheck.differences.trajectories import (
    RATE,
    by_keras,
    by_optax,
    gradients,
    keras_optimizer,
    parameters,
)

TOPIC = "decay, clipping, accumulation"


# Row 15: clipping.


def _two() -> dict[str, np.ndarray]:
    """Gradients of norms 3 and 4, so 5 together; the second alone is clipped at 3.5."""
    rng = np.random.default_rng(5)
    first, second = rng.standard_normal(6), rng.standard_normal(4)
    return {
        "first": 3 * first / np.linalg.norm(first), "second": 4 * second / np.linalg.norm(second)
    }  # fmt: skip


LIMIT = 3.5


def _scaled(grads: dict[str, np.ndarray], factor: float) -> dict[str, np.ndarray]:
    return {name: factor * value for name, value in grads.items()}


def _optax_clip(limit: float, grads: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    clip = optax.clip_by_global_norm(limit)
    as_jax = {name: jnp.asarray(value) for name, value in grads.items()}
    clipped: Any = clip.update(as_jax, clip.init(as_jax))[0]
    return {name: np.asarray(value) for name, value in clipped.items()}


def _torch_clip(limit: float, grads: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    torch = frameworks.torch()
    tensors = []
    for value in grads.values():
        tensor = torch.zeros(value.shape, dtype=torch.float64, requires_grad=True)
        tensor.grad = torch.tensor(value)
        tensors.append(tensor)
    torch.nn.utils.clip_grad_norm_(tensors, limit)
    return {
        name: tensor.grad.numpy() for name, tensor in zip(grads, tensors, strict=True)
    }  # fmt: skip


def _clip_optax() -> list[Check]:
    return [agree("c/‖g‖", _optax_clip(LIMIT, _two()), _scaled(_two(), LIMIT / 5))]


def _clip_torch() -> list[Check]:
    grads = _scaled(_two(), 1e-4)  # small, where 1e-6 is large beside ‖g‖ = 5e-4

    def flat(tree):
        return np.concatenate(list(tree.values()))

    limit, norm = 1e-4, 5e-4
    return [
        differ_as_predicted(
            "c/(‖g‖ + 1e-6) against c/‖g‖",
            flat(_torch_clip(limit, grads)), flat(_optax_clip(limit, grads)),
            limit / (norm + 1e-6) * flat(grads), limit / norm * flat(grads),
        )
    ]  # fmt: skip


def _clip_keras() -> list[Check]:
    def clipped(**options):
        keras = frameworks.keras()
        variables = [keras.Variable(np.zeros(len(g)), dtype="float64") for g in _two().values()]
        optimizer = keras.optimizers.SGD(1.0, **options)
        optimizer.apply([jnp.asarray(g) for g in _two().values()], variables)
        return {
            name: -np.asarray(variable) for name, variable in zip(_two(), variables, strict=True)
        }

    right = _optax_clip(LIMIT, _two())
    grads = _two()
    each = {"first": grads["first"], "second": LIMIT / 4 * grads["second"]}
    return [
        agree("global_clipnorm", clipped(global_clipnorm=LIMIT), right),
        differ("clipnorm", clipped(clipnorm=LIMIT), right),
        agree("clipnorm against c/‖g‖ of each array", clipped(clipnorm=LIMIT), each),
    ]


def _clip_infinite() -> list[Check]:
    grads = {"first": np.array([1.0, np.inf, -2.0])}
    left, right = _optax_clip(1.0, grads)["first"], _torch_clip(1.0, grads)["first"]
    with np.errstate(invalid="ignore"):
        by_norm = grads["first"] / np.inf * 1.0  # g/‖g‖·c, and 0·g: the same
    return [
        agree(
            "where optax gives numbers", np.isfinite(left), np.isfinite(by_norm)
        ),
        agree("where torch gives numbers", np.isfinite(right), np.isfinite(by_norm)),
        agree("the numbers", left[np.isfinite(left)], by_norm[np.isfinite(by_norm)]),
    ]  # fmt: skip


# Row 16: accumulation.

PARTS = 4


def _mean_and_sum() -> tuple[np.ndarray, np.ndarray]:
    """Parameters after an update with the mean of every four gradients, and with their sum."""
    grouped = gradients().reshape(-1, PARTS, 5)
    return tuple(
        np.repeat(parameters() - RATE * np.cumsum(total, axis=0), PARTS, axis=0)[: -PARTS + 1]
        for total in (grouped.mean(axis=1), grouped.sum(axis=1))
    )  # type: ignore[return-value]


def _at_updates(path: np.ndarray) -> np.ndarray:
    """Of a trajectory that moves at every fourth step: from the first move to the last."""
    return path[PARTS - 1 :]


def _multi_steps(**options: Any) -> np.ndarray:
    every = optax.MultiSteps(optax.sgd(RATE), PARTS, **options)
    return by_optax(every.gradient_transformation(), gradients())


def _accumulation_optax() -> list[Check]:
    mean, total = _mean_and_sum()
    path = _at_updates(_multi_steps(accumulator_dtype=jnp.float64))
    return [
        agree("mean, accumulator_dtype=float64", path, mean),
        differ("sum", path, total),
        agree("use_grad_mean=False", _at_updates(
            _multi_steps(accumulator_dtype=jnp.float64, use_grad_mean=False)
        ), total),
        default("use_grad_mean", optax.MultiSteps, "use_grad_mean", True),
    ]  # fmt: skip


def _accumulator() -> list[Check]:
    given, plain = _multi_steps(accumulator_dtype=jnp.float64), _multi_steps()
    # Four roundings to float32 of gradients of up to 3, at rate 1/16, in five updates.
    floor = 5 * PARTS * 3 * RATE * 2.0**-24
    mean = _mean_and_sum()[0]
    return [
        agree("accumulator_dtype=float64", _at_updates(given), mean),
        differ("optax' default, by float64's bound", _at_updates(plain), mean),
        agree("optax' default, by float32's", _at_updates(plain), mean, bound=floor),
    ]


def _accumulation_keras() -> list[Check]:
    mean, total = _mean_and_sum()
    optimizer = keras_optimizer("SGD")(RATE, gradient_accumulation_steps=PARTS)
    path = _at_updates(by_keras(optimizer, gradients()))
    return [agree("mean", path, mean), differ("sum", path, total)]


def _torch_backwards(divided_by: int) -> np.ndarray:
    """Every gradient by a backward pass of its own, and a step after each fourth."""
    torch = frameworks.torch()
    theta = torch.nn.Parameter(torch.tensor(parameters()))
    optimizer = torch.optim.SGD([theta], lr=RATE)
    path = []
    for count, gradient in enumerate(gradients(), start=1):
        ((theta * torch.tensor(gradient)).sum() / divided_by).backward()
        if count % PARTS == 0:
            optimizer.step()
            optimizer.zero_grad()
        path.append(theta.detach().numpy().copy())
    return np.stack(path)


def _accumulation_torch() -> list[Check]:
    right = _multi_steps(accumulator_dtype=jnp.float64)
    return [
        agree("loss/k", _torch_backwards(PARTS), right),
        differ("the loss as it is", _torch_backwards(1), right),
    ]


ROWS = (
    Difference(
        15, "a", TOPIC, {"textbook": "g·c/‖g‖", "optax": "g·c/‖g‖, all arrays together"}, AGREE,
        _clip_optax, mapping="none needed",
    ),
    Difference(
        15, "b", TOPIC, {"torch": "g·c/(‖g‖ + 1e-6)", "optax": "g·c/‖g‖"}, CANNOT, _clip_torch,
        mapping="none; 1e-6 beside ‖g‖ is rarely felt", needs=("torch",),
    ),
    Difference(
        15, "c", TOPIC, {"keras clipnorm": "each array by its own norm", "optax": "all together"},
        AGREE_IF + "global_clipnorm is used", _clip_keras, mapping="global_clipnorm",
        needs=("keras",),
    ),
    Difference(
        15, "d", TOPIC, {"optax": "infinite norm: NaN, 0 elsewhere", "torch": "the same"}, AGREE,
        _clip_infinite, mapping="none needed; optax.zero_nans or apply_if_finite in front",
        needs=("torch",),
        note="NaN is where the infinite entry was; the others become 0 on both sides",
    ),
    Difference(
        16, "a", TOPIC, {"optax.MultiSteps": "mean of k gradients", "textbook": "sum"},
        AGREE_IF + "the mean is meant", _accumulation_optax, mapping="k·α for the sum",
    ),
    Difference(
        16, "d", TOPIC,
        {"optax.MultiSteps": "adds up in float32", "textbook": "in the gradients' dtype"},
        AGREE_IF + "accumulator_dtype is given", _accumulator,
        {"optax": "accumulator_dtype=float32"}, "accumulator_dtype=float64",
        note="not in the written table: float64 parameters move by float32 means",
    ),
    Difference(
        16, "b", TOPIC, {"keras": "mean of k gradients", "textbook": "sum"},
        AGREE_IF + "the mean is meant", _accumulation_keras, mapping="k·α for the sum",
        needs=("keras",),
    ),
    Difference(
        16, "c", TOPIC, {"torch": "sum of k backward passes", "optax.MultiSteps": "mean"},
        AGREE_IF + "every loss is divided by k", _accumulation_torch, mapping="loss/k",
        needs=("torch",),
    ),
)  # fmt: skip
