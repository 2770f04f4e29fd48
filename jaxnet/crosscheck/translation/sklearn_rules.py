"""scikit-learn's MLP optimizers as optax chains. File and line: scikit-learn 1.9.1."""

from typing import Any

import optax

from jaxnet.crosscheck.translation import rates, transforms, wrappers
from jaxnet.crosscheck.translation.calls import Call, call
from jaxnet.crosscheck.translation.rules import Rule, impossible

_EPS_HAT = "scikit-learn has ε̂ beside the uncorrected √v: no constant ε makes optax's the same"

_ADAPTIVE = (
    "learning_rate='adaptive' divides the rate by 5 whenever the loss has not fallen by tol for "
    "n_iter_no_change epochs, and an optax chain sees no loss. With 'constant' it is the same "
    "until then; optax.contrib.reduce_on_plateau compares losses otherwise"
)

_EXAMPLES = (
    "learning_rate='invscaling' falls with the number of examples seen: pass examples=m, the "
    "number that it is trained on (after early_stopping took its validation_fraction)"
)


def batch_size(a: dict[str, Any], examples: int | None) -> int:
    """Examples in a minibatch: 'auto' is 200, and no more than there are."""
    size = 200 if a.get("batch_size", "auto") == "auto" else a["batch_size"]
    return size if examples is None else min(size, examples)


def _penalty(a: dict[str, Any], examples: int | None) -> tuple[tuple[Call, ...], list[str]]:
    """(α/batch)·W added to the gradients of weights, not biases; and what that rests on."""
    alpha = a.get("alpha", 0)
    if not alpha:
        return (), []
    size = batch_size(a, examples)
    conditions = ["the loss is without the penalty (α/2m)‖W‖²"]
    decay = alpha / size
    if examples is None:
        conditions.append(
            f"every minibatch has {size} examples (pass examples=m for a last one that is smaller)"
        )
    elif examples % size:
        decay = call(rates.per_example, alpha, examples=examples, batch=size)
    return (call(optax.add_decayed_weights, decay, mask=wrappers.weights_only),), conditions


def rule(name: str, a: dict[str, Any], examples: int | None) -> Rule:
    """The MLP, or its optimizer alone, with all its arguments, as a rule."""
    solver = a.get("solver", "sgd" if name == "SGDOptimizer" else "adam")
    if solver not in ("sgd", "adam", "lbfgs"):
        raise ValueError(f"source: expected solver 'sgd', 'adam' or 'lbfgs', got {solver!r}")
    if solver == "lbfgs":
        return impossible(
            "solver='lbfgs' is scipy's L-BFGS-B on all examples at once, with its own line search "
            "and stopping; optax.lbfgs is the same method, not the same steps"
        )
    penalty, conditions = _penalty(a, examples)
    rate: Any = a["learning_rate_init"]
    if solver == "adam":
        b1, b2, eps = a["beta_1"], a["beta_2"], a["epsilon"]
        scale = call(optax.scale_by_learning_rate, rate)
        remarks = [_EPS_HAT]
        if a.get("learning_rate", "constant") != "constant":
            remarks.append(f"scikit-learn ignores learning_rate={a['learning_rate']!r} with adam")
        own = call(transforms.scale_by_adam_eps_hat, b1, b2, eps)
        plain = call(optax.scale_by_adam, b1=b1, b2=b2, eps=eps)
        return Rule(
            (*penalty, own, scale),
            (*penalty, plain, scale),
            "optax.adam",
            tuple(conditions),
            tuple(remarks),
        )
    kind = a["lr_schedule"] if name == "SGDOptimizer" else a["learning_rate"]
    if kind not in ("constant", "invscaling", "adaptive"):
        raise ValueError(
            f"source: expected learning_rate 'constant', 'invscaling' or 'adaptive', got {kind!r}"
        )
    if kind == "adaptive":
        return impossible(_ADAPTIVE)
    if kind == "invscaling":
        if examples is None:
            return impossible(_EXAMPLES)
        size = batch_size(a, examples)
        if name == "SGDOptimizer":
            conditions.append(f"every minibatch has {size} examples")
        rate = call(rates.inverse_scaling, rate, examples=examples, batch=size, power=a["power_t"])
    nesterov = a["nesterov"] if name == "SGDOptimizer" else a["nesterovs_momentum"]
    scale = call(optax.scale_by_learning_rate, rate)
    trace = call(optax.trace, decay=a["momentum"], nesterov=bool(nesterov))
    remarks = ["scikit-learn has the rate within the velocity, optax.sgd outside"]
    if isinstance(rate, Call):
        rival = (*penalty, trace, scale)
        return Rule((*penalty, scale, trace), rival, "optax.sgd", tuple(conditions), tuple(remarks))
    return Rule((*penalty, scale, trace), conditions=tuple(conditions), remarks=tuple(remarks))
