"""The notes' algorithms as equations, line by line as the reference computes them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxnet.crosscheck.equations.text import Equations, equations
from reference_numpy import activations


def _softmax(Z: Any, axis: int = 0) -> Any:
    E = np.exp(Z - np.max(Z, axis=axis, keepdims=True))
    return E / np.sum(E, axis=axis, keepdims=True)


def functions(hidden: str) -> dict[str, Callable[..., Any]]:
    """g and dg of the hidden layers, the outputs' functions, and other slopes dg is taken for."""
    g, dg = activations.ACTIVATIONS[hidden]
    named: dict[str, Callable[..., Any]] = {
        "g": g,
        "dg": dg,
        "sigmoid": activations.sigmoid,
        "dsigmoid": activations.sigmoid_derivative,
        "linear": activations.linear,
        "softmax": _softmax,
        "tanh": np.tanh,
    }
    if hidden in ("relu", "leaky_relu"):
        # At the kink itself the other slope, 1 in place of ReLU's 0 and the reverse.
        named["dg_as_kink_convention"] = lambda Z: np.where(Z == 0, 1.0 - dg(Z), dg(Z))
    for other, (_, slope) in activations.ACTIVATIONS.items():
        if other not in (hidden, "linear"):
            named[f"dg_as_derivative_of_{other}"] = slope
    return named


def network(
    depth: int,
    *,
    hidden: str = "relu",
    output: str = "sigmoid",
    dropout: bool = False,
    forward: bool = True,
    backward: bool = True,
) -> Equations:
    """A network of `depth` layers: Z1, A1 … of the forward pass, dZ, dW, db of the backward pass.

    Inputs: X, Y, W1, b1 …, m, l2; with dropout D1, keep1 … of the hidden layers. For the backward
    pass alone Z1, A1 … are inputs as well.
    Source: notes, figs. 25, 35, 40 (corrected) and 47.
    """
    lines = []
    for layer in range(1, depth + 1) if forward else ():
        before = "X" if layer == 1 else f"A{layer - 1}"
        lines.append(f"Z{layer} = W{layer} @ {before} + b{layer}")
        if layer == depth:
            call = "softmax(Z{0}, 0)" if output == "softmax" else f"{output}(Z{{0}})"
            lines.append(f"A{layer} = {call.format(layer)}")
        else:
            dropped = f" * D{layer} / keep{layer}" if dropout else ""
            lines.append(f"A{layer} = g(Z{layer}){dropped}")
    for layer in range(depth, 0, -1) if backward else ():
        before = "X" if layer == 1 else f"A{layer - 1}"
        if layer == depth:
            lines.append(f"dZ{layer} = A{layer} - Y")
        else:
            dropped = f" * D{layer} / keep{layer}" if dropout else ""
            lines.append(f"dA{layer} = W{layer + 1}.T @ dZ{layer + 1}{dropped}")
            lines.append(f"dZ{layer} = dA{layer} * dg(Z{layer})")
        lines.append(f"dW{layer} = dZ{layer} @ {before}.T / m + l2 / m * W{layer}")
        lines.append(f"db{layer} = sum(dZ{layer}, 1) / m")
    return equations(*lines, functions=functions(hidden))


# One step of each rule for one parameter; {p} is its name. alpha_first and alpha_prev, when they
# are among the inputs, are what a stale learning rate would be.
RULES = {
    "gradient_descent": ("{p} = {p}_prev - alpha * d{p}",),
    "momentum": (
        "v{p} = beta * v{p}_prev + (1 - beta) * d{p}",
        "{p} = {p}_prev - alpha * v{p}",
    ),
    "rmsprop": (
        "s{p} = beta * s{p}_prev + (1 - beta) * d{p} ** 2",
        "{p} = {p}_prev - alpha * d{p} / (sqrt(s{p}) + eps)",
    ),
    "adam": (
        "v{p} = beta1 * v{p}_prev + (1 - beta1) * d{p}",
        "s{p} = beta2 * s{p}_prev + (1 - beta2) * d{p} ** 2",
        "vhat{p} = v{p} / (1 - beta1 ** t)",
        "shat{p} = s{p} / (1 - beta2 ** t)",
        "{p} = {p}_prev - alpha * vhat{p} / (sqrt(shat{p}) + eps)",
    ),
}

# Forms of whole rules that no single change makes.
RIVALS = {
    "momentum": (
        (
            "learning rate inside the velocity",
            "v{p}",
            "beta * v{p}_prev + (1 - beta) * alpha * d{p}",
        ),
        ("Nesterov", "{p}", "{p}_prev - alpha * (beta * v{p} + (1 - beta) * d{p})"),
    ),
    "rmsprop": (),
    "adam": (
        ("bias correction", "{p}", "{p}_prev - alpha * v{p} / (sqrt(s{p}) + eps)"),
        (
            "ε placement",
            "{p}",
            "{p}_prev - alpha * sqrt(1 - beta2 ** t) * vhat{p} / (sqrt(s{p}) + eps)",
        ),
    ),
    "gradient_descent": (),
}


def optimizer(rule: str, parameters: tuple[str, ...] = ("W", "b")) -> Equations:
    """One step of an update rule for each parameter, to be followed over several steps.

    Inputs: W_prev, vW_prev …, dW … per step, alpha per step, t per step, and the rule's numbers
    beta, beta1, beta2, eps.
    Source: notes §6.
    """
    return equations(
        *(line.format(p=p) for p in parameters for line in RULES[rule]),
        rivals=[
            (name, f"{out.format(p=p)} = {source.format(p=p)}")
            for p in parameters
            for name, out, source in RIVALS[rule]
        ],
    )


def batch_norm_forward() -> Equations:
    """Batch norm over the batch: mu, var, Zhat and out from Z, gamma, beta, eps."""
    return equations(
        "mu = mean(Z, 1)",
        "centred = Z - mu",
        "var = mean(centred ** 2, 1)",
        "Zhat = centred / sqrt(var + eps)",
        "out = gamma * Zhat + beta",
    )


def batch_norm_backward() -> Equations:
    """Batch norm's backward pass: dgamma, dbeta, dZ from dout, Zhat, gamma, var, eps."""
    return equations(
        "dgamma = sum(dout * Zhat, 1)",
        "dbeta = sum(dout, 1)",
        "dZhat = gamma * dout",
        "through_mu = mean(dZhat, 1)",
        "through_var = Zhat * mean(dZhat * Zhat, 1)",
        "dZ = (dZhat - through_mu - through_var) / sqrt(var + eps)",
    )


def batch_norm_evaluate() -> Equations:
    """Batch norm with running statistics: out from Z, gamma, beta, mean_, var, eps.

    For changes that take the batch's own, its statistics stand among the inputs as batch_mean and
    batch_var.
    """
    return equations(
        "out = gamma * (Z - running_mean) / sqrt(running_var + eps) + beta",
        rivals=[
            (
                "train mode at evaluation",
                "out = gamma * (Z - mean(Z, 1))"
                " / sqrt(mean((Z - mean(Z, 1)) ** 2, 1) + eps) + beta",
            )
        ],
    )


def running_statistics() -> Equations:
    """Running mean and variance after one more batch.

    m, the batch's size, is for the unbiased variance that some take.
    """
    return equations(
        "mean_next = decay * running_mean + (1 - decay) * batch_mean",
        "var_next = decay * running_var + (1 - decay) * batch_var",
        rivals=[
            (
                "factor n/(n−1)",
                "var_next = decay * running_var + (1 - decay) * batch_var * m / (m - 1)",
            )
        ],
    )


def l2(parameters: tuple[str, ...]) -> Equations:
    """L2 penalty and its gradient by each weight; the biases are not among the parameters."""
    squares = " + ".join(f"sum({p} ** 2)" for p in parameters)
    return equations(
        f"J = l2 / (2 * m) * ({squares})", *(f"d{p} = l2 / m * {p}" for p in parameters)
    )


def l1(parameters: tuple[str, ...]) -> Equations:
    """L1 penalty and its subgradient by each weight, sign(0) = 0."""
    sizes = " + ".join(f"sum(abs({p}))" for p in parameters)
    return equations(
        f"J = l1 / (2 * m) * ({sizes})",
        *(f"d{p} = l1 / (2 * m) * sign({p})" for p in parameters),
        functions={
            "sign_as_kink_convention": lambda W: np.where(np.asarray(W) == 0, 1.0, np.sign(W))
        },
    )


def clip_by_global_norm(gradients: tuple[str, ...]) -> Equations:
    """Gradients scaled by min(1, c/‖all of them‖)."""
    squares = " + ".join(f"sum({g} ** 2)" for g in gradients)
    return equations(
        f"norm = sqrt({squares})",
        *(f"clipped_{g} = {g} * minimum(1, c / norm)" for g in gradients),
        rivals=[
            (
                "norm: per tensor in place of globally",
                f"clipped_{g} = {g} * minimum(1, c / sqrt(sum({g} ** 2)))",
            )
            for g in gradients
        ],
    )


SCHEDULES = {
    "inverse_time": "alpha = alpha0 / (1 + decay_rate * epoch)",
    "exponential": "alpha = base ** epoch * alpha0",
    "inverse_sqrt": "alpha = k / sqrt(epoch) * alpha0",
    "staircase": "alpha = factor ** floor(epoch / epochs_per_stair) * alpha0",
}


def schedule(name: str) -> Equations:
    """A decay by the epoch. `alpha_prev`, `step` among the inputs are what it may be mixed up with.

    Source: notes §6, learning rate decay.
    """
    return equations(SCHEDULES[name])
