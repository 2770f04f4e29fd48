"""How the reference's functions compute what they return: their equations on given arguments."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxnet.crosscheck.equations import catalogue
from jaxnet.crosscheck.equations.text import Equations, Values, equations
from reference_numpy import (
    activations,
    averages,
    batch_norm,
    logistic_regression,
    losses,
    mlp,
    normalization,
    optimizers,
    regularizers,
    schedules,
)

View = Callable[[Any], dict[str, Any]]


class Derivation(NamedTuple):
    """view: result ↦ arrays by the equations' names. inputs: what the equations start from."""

    view: View
    equations: Equations
    inputs: Values


def _numbered(letters: str, tuples: Sequence[Any]) -> dict[str, Any]:
    return {
        f"{letter}{layer}": array
        for layer, each in enumerate(tuples, start=1)
        for letter, array in zip(letters, each, strict=True)
    }


def _gradients_view(grads: Any) -> dict[str, Any]:
    return {f"d{name}": array for name, array in _numbered("Wb", grads).items()}


def _masks(masks: Any, keep_prob: Any, hidden: int) -> Values:
    if masks is None:
        return {}
    keep = [keep_prob] * hidden if np.ndim(keep_prob) == 0 else list(keep_prob)
    named: Values = {}
    for layer, (mask, keeping) in enumerate(zip(masks, keep, strict=True), start=1):
        named[f"D{layer}"], named[f"keep{layer}"] = np.asarray(mask, float), float(keeping)
    return named


def _forward(a: Values) -> Derivation:
    params, hidden = a["params"], a["hidden"]
    depth = len(params)
    inputs = {"X": np.asarray(a["X"], float), "m": np.shape(a["X"])[1]}
    inputs |= _numbered("Wb", params) | _masks(a["masks"], a["keep_prob"], depth - 1)
    given = catalogue.network(
        depth, hidden=hidden, output=a["output"], dropout=a["masks"] is not None, backward=False
    )

    def view(result: Any) -> dict[str, Any]:
        A, caches = result
        named = {f"A{depth}": A}
        for layer, cache in enumerate(caches, start=1):
            named |= {f"Z{layer}": cache.Z, f"A{layer}": cache.A}
        return named

    return Derivation(view, given, inputs)


def _backward(a: Values) -> Derivation:
    params, caches, Y = a["params"], a["caches"], np.asarray(a["Y"], float)
    depth = len(params)
    inputs: Values = {"Y": Y, "m": Y.shape[1], "l2": a.get("l2", 0.0), "X": caches[0].A_prev}
    inputs |= _numbered("Wb", params)
    for layer, cache in enumerate(caches, start=1):
        inputs |= {f"Z{layer}": cache.Z, f"A{layer}": cache.A}
    dropout = any(cache.mask is not None for cache in caches[:-1])
    if dropout:
        masks = [np.ones_like(c.A) if c.mask is None else c.mask for c in caches[:-1]]
        inputs |= _masks(masks, [c.keep_prob for c in caches[:-1]], depth - 1)
    hidden = caches[0].activation if depth > 1 else "linear"
    given = catalogue.network(
        depth, hidden=hidden, output=caches[-1].activation, dropout=dropout, forward=False
    )
    return Derivation(_gradients_view, given, inputs)


def _deltas(a: Values) -> Derivation:
    derivation = _backward(a)
    return derivation._replace(
        view=lambda dZs: {f"dZ{layer}": dZ for layer, dZ in enumerate(dZs, start=1)}
    )


def _logistic(a: Values) -> Derivation:
    given = equations(
        "A = sigmoid(w.T @ X + b)", "dZ = A - Y", "dw = X @ dZ.T / m", "db = sum(dZ) / m",
        functions=catalogue.functions("linear"),
    )  # fmt: skip
    X, Y = np.asarray(a["X"], float), np.asarray(a["Y"], float)
    inputs = {"w": np.asarray(a["w"], float), "b": float(np.ravel(a["b"])[0]), "X": X, "Y": Y}
    return Derivation(
        lambda result: {"dw": result[0], "db": result[1]}, given, {**inputs, "m": X.shape[1]}
    )


def _update(rule: str) -> Callable[[Values], Derivation]:
    """One step, from the state that was given; over several steps `follow` sees more."""

    def derive(a: Values) -> Derivation:
        inputs: Values = {"alpha": a["learning_rate"]}
        for name, called in (("beta", "beta"), ("b1", "beta1"), ("b2", "beta2"), ("eps", "eps")):
            if name in a:
                inputs[called] = a[name]
        state = a["state"]
        if hasattr(state, "t"):
            inputs["t"] = state.t + 1
        names = []
        for layer, (pair, grads) in enumerate(zip(a["params"], a["grads"], strict=True), start=1):
            for letter, p, g in zip("Wbc", pair, grads, strict=False):
                name = f"{letter}{layer}"
                names.append(name)
                inputs |= {f"{name}_prev": np.asarray(p, float), f"d{name}": np.asarray(g, float)}
                for moment in ("v", "s"):
                    if hasattr(state, moment):
                        index = "Wbc".index(letter)
                        inputs[f"{moment}{name}_prev"] = getattr(state, moment)[layer - 1][index]

        def view(result: Any) -> dict[str, Any]:
            params, new = result
            named = _numbered("Wbc"[: len(params[0])], params)
            for moment in ("v", "s"):
                if hasattr(state, moment):
                    each = getattr(new, moment)
                    named |= {
                        f"{moment}{name}": array
                        for name, array in _numbered("Wbc"[: len(each[0])], each).items()
                    }
            if hasattr(state, "t"):
                named["t"] = new.t
            return named

        return Derivation(view, catalogue.optimizer(rule, tuple(names)), inputs)

    return derive


def _norm_forward(a: Values) -> Derivation:
    inputs = {name: np.asarray(a[name], float) for name in ("Z", "gamma", "beta")}
    inputs |= {"eps": a["eps"], "m": inputs["Z"].shape[1]}

    def view(result: Any) -> dict[str, Any]:
        out, cache = result
        return {"mu": cache.mu, "var": cache.var, "Zhat": cache.Z_hat, "out": out}

    return Derivation(view, catalogue.batch_norm_forward(), inputs)


def _norm_backward(a: Values) -> Derivation:
    cache, dout = a["cache"], np.asarray(a["dZ_tilde"], float)
    inputs = {
        "dout": dout, "Zhat": cache.Z_hat, "gamma": cache.gamma, "var": cache.var,
        "eps": cache.eps, "m": dout.shape[1],
    }  # fmt: skip
    return Derivation(
        lambda result: dict(zip(("dZ", "dgamma", "dbeta"), result, strict=True)),
        catalogue.batch_norm_backward(),
        inputs,
    )


def _norm_evaluate(a: Values) -> Derivation:
    inputs = {name: np.asarray(a[name], float) for name in ("Z", "gamma", "beta")}
    inputs |= {"running_mean": a["mean"], "running_var": a["var"], "eps": a["eps"]}
    return Derivation(lambda out: {"out": out}, catalogue.batch_norm_evaluate(), inputs)


def _norm_running(a: Values) -> Derivation:
    inputs = {name: a[name] for name in ("batch_mean", "batch_var", "decay")}
    inputs |= {"running_mean": a["mean"], "running_var": a["var"]}
    return Derivation(
        lambda result: {"mean_next": result[0], "var_next": result[1]},
        catalogue.running_statistics(),
        inputs,
    )


def _penalty(kind: str, gradient: bool) -> Callable[[Values], Derivation]:
    def derive(a: Values) -> Derivation:
        inputs = _numbered("Wb", a["params"]) | {kind: a["lam"], "m": a["m"]}
        weights = tuple(f"W{layer}" for layer in range(1, len(a["params"]) + 1))
        given = (catalogue.l2 if kind == "l2" else catalogue.l1)(weights)
        if not gradient:
            return Derivation(lambda J: {"J": J}, given, inputs)
        biases = [f"db{layer} = 0 * b{layer}" for layer in range(1, len(weights) + 1)]
        lines = equations(*map(str, given.lines), *biases)
        return Derivation(_gradients_view, given._replace(lines=lines.lines), inputs)

    return derive


def _weight_decay(a: Values) -> Derivation:
    inputs: Values = {"alpha": a["learning_rate"], "lam": a["lam"], "m": a["m"]}
    lines = []
    for letter, decay in (("W", "(1 - alpha * lam / m) * "), ("b", "")):
        for layer in range(1, len(a["params"]) + 1):
            name = f"{letter}{layer}"
            lines.append(f"{name} = {decay}{name}_prev - alpha * d{name}")
    for kind, prefix, suffix in (("params", "", "_prev"), ("grads", "d", "")):
        named = _numbered("Wb", a[kind])
        inputs |= {f"{prefix}{name}{suffix}": array for name, array in named.items()}
    return Derivation(lambda params: _numbered("Wb", params), equations(*lines), inputs)


def _dropped(a: Values) -> Derivation:
    inputs = {"A": np.asarray(a["A"], float), "D": np.asarray(a["mask"], float)}
    return Derivation(
        lambda out: {"out": out}, equations("out = A * D / keep"), inputs | {"keep": a["keep_prob"]}
    )


def _decay(name: str) -> Callable[[Values], Derivation]:
    def derive(a: Values) -> Derivation:
        inputs = {key: one for key, one in a.items() if key not in ("epoch", "learning_rate")}
        inputs |= {"alpha0": a["learning_rate"], "epoch": np.asarray(a["epoch"], float)}
        return Derivation(lambda alpha: {"alpha": alpha}, catalogue.schedule(name), inputs)

    return derive


def _average(a: Values) -> Derivation | None:
    del a  # a recurrence over its own argument; what can be said of it the numbers say
    return None


def _loss(line: str, *more: str) -> Callable[[Values], Derivation]:
    def derive(a: Values) -> Derivation:
        first = "Z" if "Z" in a else "A"
        inputs = {first: np.asarray(a[first], float), "Y": np.asarray(a["Y"], float)}
        inputs |= {"K": inputs["Y"].shape[0]}
        out = (more or (line,))[-1].split("=")[0].strip()
        given = equations(line, *more, functions=catalogue.functions("linear"))
        # One loss for each example: a row here, a vector there.
        flat = out == "L"
        return Derivation(
            lambda loss: {out: np.atleast_2d(loss) if flat else np.asarray(loss)}, given, inputs
        )

    return derive


def _of_Z(*lines: str, out: str) -> Callable[[Values], Derivation]:
    """A function of Z alone, or of Z and its slope."""

    def derive(a: Values) -> Derivation:
        inputs: Values = {"Z": np.asarray(a["Z"], float)}
        if "slope" in a:
            inputs["slope"] = a["slope"]
        given = equations(*lines, functions=catalogue.functions("linear") | {"where": np.where})
        return Derivation(lambda result: {out: result}, given, inputs)

    return derive


def _cost(a: Values) -> Derivation:
    losses_ = np.asarray(a["losses"], float)
    return Derivation(
        lambda J: {"J": J}, equations("J = sum(L) / m"), {"L": losses_, "m": losses_.size}
    )


def _normalise(a: Values) -> Derivation:
    inputs = {"X": np.asarray(a["X"], float), "mu": a["mu"], "sigma": a["sigma"]}
    return Derivation(lambda out: {"out": out}, equations("out = (X - mu) / sigma"), inputs)


DERIVATIONS: dict[Callable[..., Any], Callable[[Values], Derivation | None]] = {
    mlp.forward: _forward,
    mlp.backward: _backward,
    mlp.deltas: _deltas,
    logistic_regression.gradients: _logistic,
    logistic_regression.gradients_loop: _logistic,
    optimizers.gradient_descent_update: _update("gradient_descent"),
    optimizers.momentum_update: _update("momentum"),
    optimizers.rmsprop_update: _update("rmsprop"),
    optimizers.adam_update: _update("adam"),
    batch_norm.forward: _norm_forward,
    batch_norm.backward: _norm_backward,
    batch_norm.evaluate: _norm_evaluate,
    batch_norm.update_running: _norm_running,
    regularizers.l2_cost: _penalty("l2", False),
    regularizers.l2_gradient: _penalty("l2", True),
    regularizers.l1_cost: _penalty("l1", False),
    regularizers.l1_gradient: _penalty("l1", True),
    regularizers.apply_mask: _dropped,
    regularizers.weight_decay_update: _weight_decay,
    schedules.inverse_time: _decay("inverse_time"),
    schedules.exponential: _decay("exponential"),
    schedules.inverse_sqrt: _decay("inverse_sqrt"),
    schedules.staircase: _decay("staircase"),
    normalization.apply: _normalise,
    losses.cost: _cost,
    activations.sigmoid: _of_Z("A = 1 / (1 + exp(-Z))", out="A"),
    activations.sigmoid_derivative: _of_Z("A = sigmoid(Z)", "dA = A * (1 - A)", out="dA"),
    activations.tanh: _of_Z("A = (exp(Z) - exp(-Z)) / (exp(Z) + exp(-Z))", out="A"),
    activations.tanh_derivative: _of_Z("A = tanh(Z)", "dA = 1 - A ** 2", out="dA"),
    activations.softmax: _of_Z("E = exp(Z - max(Z, 0))", "A = E / sum(E, 0)", out="A"),
    losses.binary_cross_entropy_from_logits: _loss(
        "A = sigmoid(Z)", "L = -(Y * log(A) + (1 - Y) * log(1 - A))"
    ),
    losses.softmax_cross_entropy_from_logits: _loss("A = softmax(Z, 0)", "L = -sum(Y * log(A), 0)"),
    losses.binary_cross_entropy: _loss("L = -(Y * log(A) + (1 - Y) * log(1 - A))"),
    losses.binary_cross_entropy_from_logits_gradient: _loss("dZ = sigmoid(Z) - Y"),
    losses.softmax_cross_entropy_from_logits_gradient: _loss("dZ = softmax(Z, 0) - Y"),
    losses.squared_error: _loss("L = sum((A - Y) ** 2, 0) / 2"),
    losses.squared_error_gradient: _loss("dZ = A - Y"),
    averages.exponentially_weighted: _average,
}


def derivation(
    reference: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Derivation | None:
    """The equations of one of the reference's functions on these arguments; None for others.

    Arguments that the function would refuse are its own to refuse: None for those too.
    """
    derive = DERIVATIONS.get(reference) if callable(reference) else None
    if derive is None:
        return None
    try:
        bound = inspect.signature(reference).bind(*args, **kwargs)
        bound.apply_defaults()
        return derive(dict(bound.arguments))
    except (TypeError, ValueError, KeyError, AttributeError):
        return None
