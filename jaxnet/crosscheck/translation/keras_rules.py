"""keras.optimizers' optimizers as optax chains. File and line: keras 3.15.1, src/optimizers."""

from collections.abc import Callable
from typing import Any, NamedTuple

import optax

from jaxnet.crosscheck.translation import rates, transforms, wrappers
from jaxnet.crosscheck.translation.calls import Call, call
from jaxnet.crosscheck.translation.keras_schedules import schedule_call
from jaxnet.crosscheck.translation.rules import Rule, chained, impossible
from jaxnet.crosscheck.translation.source import Schedule

_EPS_HAT = "keras has ε̂ beside the uncorrected √v: no constant ε makes optax's the same"

_FLOAT32 = (
    "keras takes means and norms in float32 whatever the dtype (backend/jax/numpy.py:231), so that "
    "the proof goes no further"
)


class Core(NamedTuple):
    """The update rule alone: links and rival as in `Rule`, after clipping and before decay.

    sees_parameters: the rule reads the parameters, so that the decay has to come first.
    float32: as in `Rule`.
    """

    links: tuple[Call, ...]
    rival: tuple[Call, ...] = ()
    rival_name: str = ""
    remarks: tuple[str, ...] = ()
    sees_parameters: bool = False
    float32: int = 0


def _rate(learning_rate: Any) -> Call:
    return call(optax.scale_by_learning_rate, learning_rate)


def _sgd(a: dict[str, Any], rate: Any) -> Core:
    if a["momentum"] == 0:
        return Core((_rate(rate),))
    trace = call(optax.trace, decay=a["momentum"], nesterov=bool(a["nesterov"]))
    links = (_rate(rate), trace)
    if not isinstance(rate, Call):
        return Core(links)
    return Core(
        links,
        (trace, _rate(rate)),
        "optax.sgd",
        ("keras has the rate within the velocity, optax.sgd outside; a schedule tells them apart",),
    )


def _adam(a: dict[str, Any], rate: Any) -> Core:
    b1, b2, eps = a["beta_1"], a["beta_2"], a["epsilon"]
    own = call(transforms.scale_by_adam_eps_hat, b1, b2, eps, amsgrad=bool(a["amsgrad"]))
    plain = optax.scale_by_amsgrad if a["amsgrad"] else optax.scale_by_adam
    name = "optax.amsgrad" if a["amsgrad"] else "optax.adam"
    rival = (call(plain, b1=b1, b2=b2, eps=eps), _rate(rate))
    return Core((own, _rate(rate)), rival, name, (_EPS_HAT,))


def _adamax(a: dict[str, Any], rate: Any) -> Core:
    b1, b2, eps = a["beta_1"], a["beta_2"], a["epsilon"]
    own = call(transforms.scale_by_adamax_eps_added, b1, b2, eps)
    rival = (call(optax.scale_by_adamax, b1=b1, b2=b2, eps=eps), _rate(rate))
    remark = "keras adds ε to the maximum, optax within it"
    return Core((own, _rate(rate)), rival, "optax.adamax", (remark,))


def _nadam(a: dict[str, Any], rate: Any) -> Core:
    b1, b2, eps = a["beta_1"], a["beta_2"], a["epsilon"]
    own = call(transforms.scale_by_nadam, b1, b2, eps, 1.0)
    rival = (call(optax.scale_by_adam, b1=b1, b2=b2, eps=eps, nesterov=True), _rate(rate))
    remark = "keras has the momentum schedule β₁(1 − ½·0.96ᵗ), optax.nadam a constant"
    return Core((own, _rate(rate)), rival, "optax.nadam", (remark,))


def _rmsprop(a: dict[str, Any], rate: Any) -> Core:
    scale = optax.scale_by_stddev if a["centered"] else optax.scale_by_rms
    trace = [call(optax.trace, decay=a["momentum"])] if a["momentum"] > 0 else []
    core = call(scale, decay=a["rho"], eps=a["epsilon"], eps_in_sqrt=True)
    return Core((core, _rate(rate), *trace))


def _adagrad(a: dict[str, Any], rate: Any) -> Core:
    start = a["initial_accumulator_value"]
    core = call(optax.scale_by_rss, initial_accumulator_value=start, eps=a["epsilon"])
    return Core((core, _rate(rate)))


def _adadelta(a: dict[str, Any], rate: Any) -> Core:
    return Core((call(optax.scale_by_adadelta, rho=a["rho"], eps=a["epsilon"]), _rate(rate)))


def _adafactor(a: dict[str, Any], rate: Any) -> Core:
    own = call(
        transforms.adafactor_keras,
        rate,
        a["beta_2_decay"],
        a["epsilon_1"],
        a["epsilon_2"],
        a["clip_threshold"],
    )
    rival = call(
        optax.adafactor,
        rate,
        decay_rate=-a["beta_2_decay"],
        clipping_threshold=a["clip_threshold"],
        eps=a["epsilon_1"],
    )
    remarks = ("relative_step changes nothing: keras takes min(rate, 1/√t) either way", _FLOAT32)
    # Means: of x², of g² by rows and by columns, of the rows, and of the update's squares.
    return Core((own,), (rival,), "optax.adafactor", remarks, sees_parameters=True, float32=5)


def _ftrl(a: dict[str, Any], rate: Any) -> Core:
    own = call(
        transforms.ftrl,
        rate,
        a["learning_rate_power"],
        a["initial_accumulator_value"],
        a["l1_regularization_strength"],
        a["l2_regularization_strength"],
        a["l2_shrinkage_regularization_strength"],
        a["beta"],
    )
    return Core((own,), sees_parameters=True, remarks=("optax has no FTRL of its own",))


def _lamb(a: dict[str, Any], rate: Any) -> Core:
    adam = call(optax.scale_by_adam, b1=a["beta_1"], b2=a["beta_2"], eps=a["epsilon"])
    return Core((adam, call(optax.scale_by_trust_ratio), _rate(rate)), sees_parameters=True)


def _lion(a: dict[str, Any], rate: Any) -> Core:
    return Core((call(optax.scale_by_lion, b1=a["beta_1"], b2=a["beta_2"]), _rate(rate)))


def _schedule_free(a: dict[str, Any], rate: Any) -> Core:
    own = call(
        transforms.schedule_free_adamw,
        rate,
        a["beta_1"],
        a["beta_2"],
        a["epsilon"],
        a["warmup_steps"],
    )
    remark = "for evaluation keras too has to recover x from y and z; the parameters hold y"
    return Core((own,), sees_parameters=True, remarks=(remark,))


CORES: dict[str, Callable[[dict[str, Any], Any], Core]] = {
    "Adadelta": _adadelta,
    "Adafactor": _adafactor,
    "Adagrad": _adagrad,
    "Adam": _adam,
    "AdamW": _adam,
    "Adamax": _adamax,
    "Ftrl": _ftrl,
    "Lamb": _lamb,
    "Lion": _lion,
    "Nadam": _nadam,
    "RMSprop": _rmsprop,
    "SGD": _sgd,
    "ScheduleFreeAdamW": _schedule_free,
}


def _times(rate: Any, factor: rates.Number) -> Any:
    return call(rates.scaled, rate, factor) if isinstance(rate, Call) else rate * factor


def _decayed(links: tuple[Call, ...], decay: Any, rate: Any, before: bool) -> tuple[Call, ...]:
    """x := x − α·wd·x, then the rule; where the rule does not see x, in either order."""
    if not decay:
        return links
    if before:
        return (call(wrappers.decay_first, chained(links), _times(rate, decay)),)
    if links[-1].function is optax.scale_by_learning_rate:
        return (*links[:-1], call(optax.add_decayed_weights, decay), links[-1])
    return (*links, call(optax.add_decayed_weights, _times(rate, -decay)))


def _clipping(a: dict[str, Any]) -> tuple[Call, ...]:
    # As keras asks: the first of the three that is there and positive.
    for name, transform in (
        ("clipnorm", wrappers.clip_each),
        ("global_clipnorm", optax.clip_by_global_norm),
        ("clipvalue", optax.clip),
    ):
        if a[name] and a[name] > 0:
            return (call(transform, a[name]),)
    return ()


def _muon(a: dict[str, Any], rate: Any) -> tuple[Call, ...]:
    own = call(
        wrappers.muon_keras,
        a["momentum"],
        bool(a["nesterov"]),
        (a["muon_a"], a["muon_b"], a["muon_c"]),
        a["ns_steps"],
        a["rms_rate"],
    )
    adam = call(transforms.scale_by_adam_eps_hat, a["adam_beta_1"], a["adam_beta_2"], a["epsilon"])
    slower = _times(rate, a["adam_lr_ratio"])
    other = (adam, _rate(slower))
    if a["adam_weight_decay"]:  # by the rate itself, not the slower one
        other = (*other, call(optax.add_decayed_weights, _times(rate, -a["adam_weight_decay"])))
    matrix = _decayed((own, _rate(rate)), a["weight_decay"], rate, before=False)
    parts = {"matrix": chained(matrix), "other": chained(other)}
    return (call(optax.multi_transform, parts, wrappers.matrices),)


def _outside(a: dict[str, Any], links: tuple[Call, ...]) -> tuple[Call, ...]:
    """Unscaling and clipping before the rule; accumulation and averaging around it."""
    every = a["gradient_accumulation_steps"]
    unscale = (call(optax.scale, 1 / a["loss_scale_factor"]),) if a["loss_scale_factor"] else ()
    links = (*unscale, *_clipping(a), *links)
    if every:
        links = (call(wrappers.accumulate, chained(links), every),)
    if a["use_ema"] and a["ema_overwrite_frequency"]:
        momentum, frequency = a["ema_momentum"], a["ema_overwrite_frequency"]
        average = wrappers.overwrite_with_average
        links = (call(average, chained(links), momentum, frequency, every or 1),)
    return links


_NOT_ALONE = {
    "LossScaleOptimizer": "its scale doubles and halves, and it skips a step whose gradients are "
    "not finite; the scale itself cancels: translate the inner_optimizer, and put "
    "optax.apply_if_finite around it for the skipping",
    "MultiOptimizer": "it picks an optimizer by the variable's path, which an optax tree has not: "
    "translate each optimizer and join them with optax.multi_transform and your labels",
}


def rule(name: str, a: dict[str, Any]) -> Rule:
    """The keras optimizer of that class name with all its arguments, as a rule."""
    if name in _NOT_ALONE:
        return impossible(_NOT_ALONE[name])
    rate, every = a["learning_rate"], a["gradient_accumulation_steps"]
    remarks: list[str] = []
    conditions: list[str] = []
    if isinstance(rate, Schedule):
        rate = schedule_call(rate)
        if every:
            rate = call(rates.at_microstep, rate, every)
            remarks.append("keras' schedule counts minibatches, not the accumulated steps")
    elif callable(rate) or not isinstance(rate, (int, float)):
        return impossible(
            f"learning_rate is {rate!r}, which says nothing about step k; give a number or a "
            f"schedule of keras.optimizers.schedules, or write it as an optax schedule"
        )
    if a["weight_decay"]:
        remarks.append("keras' weight decay is decoupled, times the rate, and acts on biases too")
    if a["clipnorm"]:
        remarks.append("clipnorm acts on each array by its own norm, not on all together")
    if a["loss_scale_factor"]:
        remarks.append(
            f"it takes the gradients of {a['loss_scale_factor']:g} · loss, as keras does"
        )
    if a["use_ema"]:
        conditions.append("the average that keras writes into the weights at the end is left out")
    if name == "Muon":
        links = _outside(a, _muon(a, rate))
        if a["exclude_layers"]:
            return impossible(
                f"exclude_layers={a['exclude_layers']!r} picks variables by path, which an optax "
                f"tree has not: give optax.multi_transform your labels"
            )
        if a["exclude_embeddings"]:
            conditions.append("no matrix is an embedding, which keras leaves to Adam")
        return Rule(
            links,
            conditions=tuple(conditions),
            remarks=(*remarks, _FLOAT32),
            float32=1,  # the norm
            # Each Newton–Schulz step stretches a small singular value by its first coefficient.
            magnifies=max(1.0, abs(a["muon_a"])) ** a["ns_steps"],
        )
    core = CORES[name](a, rate)
    decayed = [
        _decayed(links, a["weight_decay"], rate, core.sees_parameters) if links else ()
        for links in (core.links, core.rival)
    ]
    return Rule(
        _outside(a, decayed[0]),
        _outside(a, decayed[1]) if core.rival else (),
        core.rival_name,
        tuple(conditions),
        (*core.remarks, *remarks),
        float32=core.float32,
    )
