"""Update rules in Bounded numbers: the notes' and the rival conventions of the frameworks.

Each gives the values of the rule and how far a computed result may be from them, so that one text
says how far two right implementations may be apart, and what a framework that follows another
convention has to arrive at.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxnet.crosscheck import bounds
from jaxnet.crosscheck.bounds import Bounded
from jaxnet.crosscheck.cases.case import Args

# A step of a rule: (step number from 1, gradient, learning rate, what it remembers) ↦ (move, what
# it remembers). W := W − move.
Rule = Callable[[int, Bounded, float, Any], tuple[Bounded, Any]]

CONVERTED = 4
"""Roundings that converting hyperparameters adds to a move: 1 − β and its product with α, or a
quotient of two bias corrections and its root, each taken before the update."""


def _averaged(beta: float, old: Bounded, new: Bounded) -> Bounded:
    # β o + (1−β) n, or o + (1−β)(n − o), whose difference rounds up to |n| + |o| once more.
    mean = beta * old + (1 - bounds.bounded(beta)) * new
    apart = (1 - beta) * (np.abs(old.value) + np.abs(new.value))
    return Bounded(mean.value, mean.error + 2 * apart)


def step(
    rule: Rule, t: int, theta: Bounded, g: Bounded, rate: float, memory: Any
) -> tuple[Bounded, Any]:
    """One step of a rule, in whatever order its constants are multiplied."""
    move, memory = rule(t, g, rate, memory)
    move = Bounded(move.value, move.error + CONVERTED * np.abs(move.value))
    return theta - move, memory


def path(rule: Rule, args: Args) -> dict[str, Bounded]:
    """W and b after every step of a rule, on the gradients and rates of an optimizer's case.

    W is rounded at every step, so errors grow like t·u·|W|; the averages forget theirs. Adam's
    1 − β₂ᵗ cancels at first: a rounding of β₂ᵗ is 1/(1−β₂) times larger in Ŝ.
    """
    results = {}
    for name in ("W", "b"):
        theta, steps = bounds.bounded(args[name]), []
        memory = (bounds.bounded(np.zeros_like(args[name])),) * 2
        for t, (g, rate) in enumerate(zip(args[f"d{name}"], args["rates"], strict=True), start=1):
            theta, memory = step(rule, t, theta, bounds.bounded(g), float(rate), memory)
            steps.append(theta)
        results[name] = Bounded(
            np.stack([step.value for step in steps]), np.stack([step.error for step in steps])
        )
    return results


def descent(args: Args) -> Rule:
    """W := W − α dW."""
    del args
    return lambda t, g, rate, memory: (rate * g, memory)


def momentum(args: Args) -> Rule:
    """The notes': V := β V + (1−β) dW, W := W − α V."""

    def rule(t, g, rate, memory):
        v = _averaged(args["beta"], memory[0], g)
        return rate * v, (v, memory[1])

    return rule


def trace(args: Args) -> Rule:
    """optax's and torch's: V := β V + dW, W := W − α V."""

    def rule(t, g, rate, memory):
        v = args["beta"] * memory[0] + g
        return rate * v, (v, memory[1])

    return rule


def dampened(args: Args) -> Rule:
    """torch's dampening = β: V := β V + (1−β) dW, but V = dW at the first step, undamped."""

    def rule(t, g, rate, memory):
        v = g if t == 1 else _averaged(args["beta"], memory[0], g)
        return rate * v, (v, memory[1])

    return rule


def rate_inside(args: Args) -> Rule:
    """keras' and scikit-learn's: V := β V + α(1−β) dW, W := W − V; α is inside the velocity."""

    def rule(t, g, rate, memory):
        v = args["beta"] * memory[0] + rate * (1 - bounds.bounded(args["beta"])) * g
        return v, (v, memory[1])

    return rule


def rmsprop(args: Args) -> Rule:
    """The notes': ε outside the root, dW / (√S + ε)."""

    def rule(t, g, rate, memory):
        s = _averaged(args["beta"], memory[1], g * g)
        return rate * g / (bounds.root(s) + args["eps"]), (memory[0], s)

    return rule


def rmsprop_inside(args: Args) -> Rule:
    """optax's default and keras': ε inside the root, dW / √(S + ε)."""

    def rule(t, g, rate, memory):
        s = _averaged(args["beta"], memory[1], g * g)
        return rate * g / bounds.root(s + args["eps"]), (memory[0], s)

    return rule


def _adam(args: Args, eps_at: Callable[[int], Any]) -> Rule:
    def rule(t, g, rate, memory):
        v = _averaged(args["b1"], memory[0], g)
        s = _averaged(args["b2"], memory[1], g * g)
        v_hat = v / (1 - bounds.power(args["b1"], t))
        s_hat = s / (1 - bounds.power(args["b2"], t))
        return rate * v_hat / (bounds.root(s_hat) + eps_at(t)), (v, s)

    return rule


def adam(args: Args) -> Rule:
    """The notes': ε added to the corrected root."""
    return _adam(args, lambda t: args["eps"])


def adam_hat(args: Args) -> Rule:
    """keras' and scikit-learn's: ε̂ added to the root before its correction.

    α√(1−β₂ᵗ)/(1−β₁ᵗ) · V/(√S + ε̂), which is the notes' with ε = ε̂/√(1−β₂ᵗ) at step t.
    """
    return _adam(args, lambda t: args["eps"] / bounds.root(1 - bounds.power(args["b2"], t)))


NOTES = {"gradient_descent": descent, "momentum": momentum, "rmsprop": rmsprop, "adam": adam}
