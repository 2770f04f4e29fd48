"""Contracts of what runs along time: learning-rate decays and weighted averages."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from jaxnet.crosscheck.contracts.contract import Contract, Part, against, contract_of, draw
from reference_numpy import averages, schedules

NUMBERS: dict[str, tuple[dict[str, float], ...]] = {
    "inverse_time": ({"decay_rate": 0.7}, {"decay_rate": 0.0}),
    "exponential": ({"base": 0.95}, {"base": 0.6}),
    "inverse_sqrt": ({"k": 1.0}, {"k": 2.3}),
    "staircase": (
        {"factor": 0.5, "epochs_per_stair": 3},
        {"factor": 0.8, "epochs_per_stair": 7},
    ),
}
UNITS = tuple(range(2, 101))
"""Steps in an epoch that a candidate may count where epochs are meant."""


def _decay_parts(name: str) -> Iterator[Part]:
    reference: Callable[..., Any] = getattr(schedules, name)
    first = 1 if name == "inverse_sqrt" else 0
    for rate, numbers in zip((0.2, 0.05), NUMBERS[name], strict=True):
        epochs = np.arange(first, 24.0)
        context = {**numbers, "learning_rate": rate}
        shown = ", ".join(f"{key} = {one}" for key, one in numbers.items())
        decay = _decay_of(reference, rate, numbers)
        part = draw(
            f"α₀ = {rate}, {shown}", reference, (epochs, rate), kwargs=numbers, context=context
        )
        yield _with_forms(part, epochs, rate, numbers, decay)
        yield draw(
            f"α₀ = {rate}, {shown}, one epoch", reference, (5.0, rate), kwargs=numbers,
            context=context,
        )  # fmt: skip


def _decay_of(reference, rate, numbers) -> Callable[[Any], np.ndarray]:
    return lambda epochs: reference(epochs, rate, **numbers)


def _with_forms(part: Part, epochs, rate, numbers, decay) -> Part:
    """The decay in other units of time, one epoch off, and compounding on what has decayed."""
    low = float(epochs[0])
    right = decay(epochs)
    forms = [("off by one in t", decay(epochs + 1))]
    forms += [("off by one in t", decay(np.maximum(epochs - 1, low)))]
    for unit in UNITS:
        forms += [("unit of t", decay(np.maximum(epochs * unit, low)))]
        forms += [("unit of t", decay(np.maximum(epochs / unit, low)))]
        forms += [("unit of t", decay(np.maximum(epochs // unit, low)))]
    steps = np.array([float(decay(epoch)) / rate for epoch in epochs])
    forms += [("compounding", rate * np.cumprod(steps))]
    forms += [("compounding", rate * np.cumprod(np.r_[1.0, steps[:-1]]))]

    def run(candidate):
        def called(epochs, rate):
            return candidate(epochs, rate, **numbers)

        diagnosis = part(candidate)
        if diagnosis.agrees:
            return diagnosis
        return against(lambda _: diagnosis, (epochs, rate), right, forms)(called)

    run.title = getattr(part, "title", "")  # type: ignore[attr-defined]
    return run


def _averages_of(theta: np.ndarray, beta: float, start: Any, own: float) -> np.ndarray:
    """V_t = β V_{t−1} + own · θ_t from a start."""
    V, path = start, []
    for theta_t in theta:
        V = beta * V + own * theta_t
        path.append(V)
    return np.array(path)


def _average_parts() -> Iterator[Part]:
    for seed, (shape, beta, corrected) in enumerate(
        (((23,), 0.9, False), ((23,), 0.9, True), ((11, 3), 0.6, False), ((11, 3), 0.6, True),
         ((1,), 0.98, True), ((7,), 0.0, False))
    ):  # fmt: skip
        theta = 2 + np.random.default_rng(seed).standard_normal(shape)
        zero = np.zeros(shape[1:])
        t = np.arange(1, len(theta) + 1).reshape(-1, *[1] * (theta.ndim - 1))
        right = averages.exponentially_weighted(theta, beta, corrected=corrected)
        plain = _averages_of(theta, beta, zero, 1 - beta)
        power = {k: 1 - beta ** np.maximum(t + k, 1) for k in (-1, 0, 1)}
        divide = power[0] if corrected else 1.0
        forms = [
            ("bias correction", plain if corrected else plain / power[0]),
            ("initial value", _averages_of(theta, beta, theta[0], 1 - beta) / divide),
            ("initial value", _averages_of(theta[1:], beta, theta[0], 1 - beta)),
            ("factor 1−β", _averages_of(theta, beta, zero, 1.0) / divide),
            ("1−β in place of β", _averages_of(theta, 1 - beta, zero, beta) / divide),
            ("extra factor β", _averages_of(theta, beta, zero, beta) / divide),
        ]
        if corrected:
            forms += [("off by one in t", plain / power[k]) for k in (-1, 1)]
            forms += [("missing power t", plain / (1 - beta)) if beta < 1 else ("", plain)]
        forms = [(name, one) for name, one in forms if np.shape(one) == theta.shape]
        title = f"{theta.shape} values, β = {beta}{', corrected' if corrected else ''}"
        part = draw(
            title, averages.exponentially_weighted, (theta, beta), kwargs={"corrected": corrected},
            context={"beta": beta},
        )  # fmt: skip
        yield _corrected_forms(part, (theta, beta), corrected, right, forms)


def _corrected_forms(part: Part, args, corrected: bool, right, forms) -> Part:
    def run(candidate):
        diagnosis = part(candidate)
        if diagnosis.agrees:
            return diagnosis

        def called(theta, beta):
            return candidate(theta, beta, corrected=corrected)

        return against(lambda _: diagnosis, args, right, forms)(called)

    run.title = getattr(part, "title", "")  # type: ignore[attr-defined]
    return run


def contracts() -> Iterator[Contract]:
    """The four decays; averages.exponentially_weighted."""
    for name in NUMBERS:
        first = "1, 2, …" if name == "inverse_sqrt" else "0, 1, …"
        yield contract_of(
            f"schedules.{name}",
            getattr(schedules, name),
            f"epoch: {first}, a number or an array; learning_rate: α₀ ↦ α in the shape of epoch.",
            _decay_parts(name),
        )
    yield contract_of(
        "averages.exponentially_weighted",
        averages.exponentially_weighted,
        "theta: θ₁ … θ_T along the first axis ↦ V₁ … V_T in its shape.",
        _average_parts(),
    )
