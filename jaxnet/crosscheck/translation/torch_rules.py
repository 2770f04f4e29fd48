"""torch.optim's optimizers as optax chains. File and line: torch 2.13."""

from collections.abc import Callable
from typing import Any

import optax

from jaxnet import schedules
from jaxnet.crosscheck.translation import rates, transforms, wrappers
from jaxnet.crosscheck.translation.calls import Call, call
from jaxnet.crosscheck.translation.rules import Rule, impossible

_BIASES = "weight decay acts on biases too"


def _rate(learning_rate: Any) -> Call:
    return call(optax.scale_by_learning_rate, learning_rate)


def _prepared(arguments: dict[str, Any], *core: Call) -> tuple[Call, ...]:
    """maximize first, then the coupled weight decay λx added to the gradient, then the rule."""
    links = [call(optax.scale, -1.0)] if arguments.get("maximize") else []
    decay = arguments.get("weight_decay", 0)
    if decay and not arguments.get("decoupled_weight_decay"):
        links.append(call(optax.add_decayed_weights, decay))
    return (*links, *core)


def _decayed(arguments: dict[str, Any], core: Call) -> tuple[Call, ...]:
    """The rule, then the decoupled decay, then the rate over both."""
    decay = arguments.get("weight_decay", 0)
    links = [core]
    if decay and arguments.get("decoupled_weight_decay"):
        links.append(call(optax.add_decayed_weights, decay))
    return _prepared(arguments, *links, _rate(arguments["lr"]))


def _remarks(arguments: dict[str, Any], *others: str) -> tuple[str, ...]:
    return (*others, *([_BIASES] if arguments.get("weight_decay") else []))


def _sgd(a: dict[str, Any]) -> Rule:
    if a["nesterov"] and (a["momentum"] <= 0 or a["dampening"] != 0):
        raise ValueError(
            f"source: torch.optim.SGD takes nesterov only with momentum > 0 and dampening 0, got "
            f"momentum={a['momentum']} and dampening={a['dampening']}"
        )
    rate = _rate(a["lr"])
    if a["momentum"] == 0:
        return Rule(_prepared(a, rate), remarks=_remarks(a))
    if a["dampening"] == 0:
        trace = call(optax.trace, decay=a["momentum"], nesterov=a["nesterov"])
        return Rule(_prepared(a, trace, rate), remarks=_remarks(a))
    damped = call(transforms.trace_first_undamped, a["momentum"], a["dampening"])
    trace = call(optax.trace, decay=a["momentum"])
    factor = call(optax.scale, 1 - a["dampening"])
    return Rule(
        _prepared(a, damped, rate),
        _prepared(a, factor, trace, rate),
        "optax.trace over (1−dampening)·g",
        remarks=_remarks(a, "torch does not damp the first gradient (torch/optim/sgd.py:361)"),
    )


def _adam(a: dict[str, Any]) -> Rule:
    (b1, b2), eps = a["betas"], a["eps"]
    plain = call(optax.scale_by_adam, b1=b1, b2=b2, eps=eps)
    if not a["amsgrad"]:
        return Rule(_decayed(a, plain), remarks=_remarks(a))
    return Rule(
        _decayed(a, call(transforms.scale_by_amsgrad_raw, b1, b2, eps)),
        _decayed(a, call(optax.scale_by_amsgrad, b1=b1, b2=b2, eps=eps)),
        "optax.scale_by_amsgrad",
        remarks=_remarks(
            a, "torch takes the maximum over v before the correction, optax over v̂ after it"
        ),
    )


def _adamw(a: dict[str, Any]) -> Rule:
    return _adam({**a, "decoupled_weight_decay": True})


def _adamax(a: dict[str, Any]) -> Rule:
    core = call(optax.scale_by_adamax, b1=a["betas"][0], b2=a["betas"][1], eps=a["eps"])
    return Rule(_decayed(a, core), remarks=_remarks(a))


def _nadam(a: dict[str, Any]) -> Rule:
    (b1, b2), eps = a["betas"], a["eps"]
    own = call(transforms.scale_by_nadam, b1, b2, eps, a["momentum_decay"])
    return Rule(
        _decayed(a, own),
        _decayed(a, call(optax.scale_by_adam, b1=b1, b2=b2, eps=eps, nesterov=True)),
        "optax.nadam",
        remarks=_remarks(
            a,
            "optax.nadam has a constant momentum where torch has the schedule "
            "β₁(1 − ½·0.96^(tψ)), ψ=momentum_decay (torch/optim/nadam.py)",
            "torch keeps the product of the momenta in its default dtype: in float32 unless "
            "torch.set_default_dtype says otherwise, as the proof does",
        ),
    )


def _radam(a: dict[str, Any]) -> Rule:
    (b1, b2), eps = a["betas"], a["eps"]
    return Rule(
        _decayed(a, call(transforms.scale_by_radam_eps_hat, b1, b2, eps)),
        _decayed(a, call(optax.scale_by_radam, b1=b1, b2=b2, eps=eps)),
        "optax.radam",
        remarks=_remarks(a, "torch adds ε to √v before its correction, optax to √v̂ after it"),
    )


def _rmsprop(a: dict[str, Any]) -> Rule:
    scale = optax.scale_by_stddev if a["centered"] else optax.scale_by_rms
    rate = _rate(a["lr"])
    trace = [call(optax.trace, decay=a["momentum"])] if a["momentum"] > 0 else []
    own = call(scale, decay=a["alpha"], eps=a["eps"], eps_in_sqrt=False)
    default = call(scale, decay=a["alpha"], eps=a["eps"])
    return Rule(
        _prepared(a, own, *trace, rate),
        _prepared(a, default, rate, *trace),
        "optax.rmsprop with its default eps_in_sqrt=True",
        remarks=_remarks(a, "torch has ε outside the root (torch/optim/rmsprop.py:325)"),
    )


def _adagrad(a: dict[str, Any]) -> Rule:
    rate = a["lr"]
    if a["lr_decay"]:
        rate = call(schedules.inverse_time, rate, decay_rate=a["lr_decay"], steps_per_epoch=1)
    start, eps = a["initial_accumulator_value"], a["eps"]
    own = call(transforms.scale_by_rss_eps_outside, start, eps)
    plain = call(optax.scale_by_rss, initial_accumulator_value=start, eps=eps)
    return Rule(
        _prepared(a, own, _rate(rate)),
        _prepared(a, plain, _rate(rate)),
        "optax.adagrad, ε within the root,",
        remarks=_remarks(a, "torch has ε outside the root and starts from 0, optax from 0.1"),
    )


def _adadelta(a: dict[str, Any]) -> Rule:
    core = call(optax.scale_by_adadelta, rho=a["rho"], eps=a["eps"])
    return Rule(_decayed(a, core), remarks=_remarks(a))


def _adafactor(a: dict[str, Any]) -> Rule:
    eps1, eps2 = a["eps"]
    own = call(transforms.adafactor_torch, a["lr"], a["beta2_decay"], eps1, eps2, a["d"])
    share = a["lr"] * a["weight_decay"]
    decay = [call(optax.add_decayed_weights, -share)] if share else []
    rival = call(optax.adafactor, a["lr"], decay_rate=-a["beta2_decay"], clipping_threshold=a["d"])
    sign = [call(optax.scale, -1.0)] if a["maximize"] else []
    return Rule(
        (*sign, own, *decay),
        (*sign, rival, *decay),
        "optax.adafactor",
        remarks=_remarks(a),
    )


def _asgd(a: dict[str, Any]) -> Rule:
    rate = a["lr"]
    if a["lambd"]:
        rate = call(rates.power_decay, rate, decay=a["lambd"], power=a["alpha"])
    decay = [call(optax.add_decayed_weights, a["lambd"])] if a["lambd"] else []
    return Rule(
        _prepared(a, *decay, _rate(rate)),
        remarks=_remarks(
            a,
            f"this is the path of the parameters; the average that torch keeps in state['ax'] from "
            f"step t0={a['t0']:g} on has to be kept beside it",
            "torch keeps η in its default dtype: in float32 unless torch.set_default_dtype says "
            "otherwise, as the proof does",
        ),
    )


def _rprop(a: dict[str, Any]) -> Rule:
    (eta_minus, eta_plus), (least, most) = a["etas"], a["step_sizes"]
    sign = call(optax.scale, -1.0)
    rival = call(
        optax.scale_by_rprop,
        learning_rate=a["lr"],
        eta_minus=eta_minus,
        eta_plus=eta_plus,
        min_step_size=least,
        max_step_size=most,
    )
    return Rule(
        _prepared(
            a, call(transforms.scale_by_rprop, a["lr"], eta_minus, eta_plus, least, most), sign
        ),
        _prepared(a, rival, sign),
        "optax.rprop",
        remarks=(
            "optax 0.2.8's rprop returns each update one step late, and 0 first "
            "(optax/_src/transform.py:949)",
        ),
    )


def _muon(a: dict[str, Any]) -> Rule:
    own = call(
        wrappers.muon_torch,
        a["momentum"],
        a["nesterov"],
        tuple(a["ns_coefficients"]),
        a["eps"],
        a["ns_steps"],
        a["adjust_lr_fn"],
    )
    return Rule(
        _decayed({**a, "decoupled_weight_decay": True}, own),
        conditions=("torch's rounding of the orthogonalisation to bfloat16 is left out",),
        remarks=("every parameter has to be a matrix, as in torch",),
        # Each Newton–Schulz step stretches a small singular value by its first coefficient.
        magnifies=max(1.0, abs(a["ns_coefficients"][0])) ** a["ns_steps"],
    )


def _lbfgs(a: dict[str, Any]) -> Rule:
    search = (
        "its strong-Wolfe search interpolates otherwise than optax's zoom search"
        if a["line_search_fn"]
        else "its first step is min(1, 1/‖g‖₁)·lr long, which optax.lbfgs(linesearch=None) has not"
    )
    return impossible(
        f"torch's LBFGS asks a closure for up to {a['max_iter']} gradients within one step(); "
        f"{search}, and it skips pairs with yᵀs ≤ 1e-10 and stops by its own tolerances. "
        f"optax.lbfgs(memory_size={a['history_size']}) is the same method, not the same steps"
    )


def _sparse_adam(a: dict[str, Any]) -> Rule:
    del a
    return impossible(
        "SparseAdam leaves moments and parameters alone where a sparse gradient has no entry; "
        "optax's gradients are dense, and its moments decay everywhere. With dense gradients use "
        "torch.optim.Adam"
    )


RULES: dict[str, Callable[[dict[str, Any]], Rule]] = {
    "Adadelta": _adadelta,
    "Adafactor": _adafactor,
    "Adagrad": _adagrad,
    "Adam": _adam,
    "AdamW": _adamw,
    "Adamax": _adamax,
    "ASGD": _asgd,
    "LBFGS": _lbfgs,
    "Muon": _muon,
    "NAdam": _nadam,
    "RAdam": _radam,
    "RMSprop": _rmsprop,
    "Rprop": _rprop,
    "SGD": _sgd,
    "SparseAdam": _sparse_adam,
}
