"""optax' own way to the cases, in the spelling that its users write."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxnet.crosscheck import bounds, layout
from jaxnet.crosscheck.backends import predicted
from jaxnet.crosscheck.backends.adapter import BOTH, Adapter, Backend, gathered, layer_pairs
from jaxnet.crosscheck.cases import clipping, optimizers, rules, schedules
from jaxnet.crosscheck.cases.case import Args, Results
from jaxnet.regularizers import is_weight


def _run(make: Callable[[Args, Any], optax.GradientTransformation]) -> Callable:
    """An adapter's run of an optimizer, given as (arguments, schedule) ↦ transformation."""

    def run(args: Args, dtype: Any) -> Results:
        del dtype
        return optimizers.run_optax(partial(make, args), args)

    return run


def _averaged(args: Args, rate: Any) -> optax.GradientTransformation:
    average = optax.ema(args["beta"], debias=False)
    return optax.chain(average, optax.scale_by_learning_rate(rate))


def _inside(args: Args, rate: Any) -> optax.GradientTransformation:
    return optax.chain(
        optax.scale_by_learning_rate(lambda count: (1 - args["beta"]) * rate(count)),
        optax.trace(args["beta"]),
    )


OPTIMIZERS = {
    "optimizers/gradient_descent": Adapter(_run(lambda args, rate: optax.sgd(rate)), dtypes=BOTH),
    "optimizers/momentum": (
        Adapter(
            _run(
                lambda args, rate: optax.sgd(
                    lambda count: (1 - args["beta"]) * rate(count), momentum=args["beta"]
                )
            ),
            note="α(1 − β) for α, as the velocity is a sum",
            dtypes=BOTH,
        ),
        Adapter(_run(_averaged), variant="ema", note="chain(ema(β, debias=False), −α)"),
        Adapter(
            _run(lambda args, rate: optax.sgd(rate, momentum=args["beta"])),
            variant="same α",
            note="V := βV + dW, a sum and not an average: the steps are 1/(1 − β) as long",
            predicted=lambda args: rules.path(rules.trace(args), args),
        ),
        Adapter(
            _run(_inside),
            variant="α inside",
            note="chain(α, trace): α inside the velocity, as in keras and scikit-learn",
            predicted=lambda args: rules.path(rules.rate_inside(args), args),
        ),
    ),
    "optimizers/momentum_at_constant_rate": Adapter(
        _run(_inside), variant="α inside", note="α inside the velocity, which is constant"
    ),
    "optimizers/rmsprop": (
        Adapter(
            _run(
                lambda args, rate: optax.rmsprop(
                    rate, decay=args["beta"], eps=args["eps"], eps_in_sqrt=False
                )
            ),
            note="eps_in_sqrt=False",
            dtypes=BOTH,
        ),
        Adapter(
            _run(lambda args, rate: optax.rmsprop(rate, decay=args["beta"], eps=args["eps"])),
            variant="default ε",
            note="ε inside the root",
            predicted=lambda args: rules.path(rules.rmsprop_inside(args), args),
        ),
    ),
    "optimizers/adam": Adapter(
        _run(lambda args, rate: optax.adam(rate, b1=args["b1"], b2=args["b2"], eps=args["eps"])),
        dtypes=BOTH,
    ),
}


def _loss(function: Any, lay_out: Any, lay_out_targets: Any, args: Args, dtype: Any) -> Results:
    z, y = lay_out(args["Z"], dtype), lay_out_targets(args["Y"])

    @jax.jit
    def everything(z):
        each, pull_back = jax.vjp(lambda z: function(z, y), z)
        return each, each.mean(), *pull_back(jnp.ones_like(each))

    each, cost, dz = everything(z)
    back = layout.columns if dz.ndim == 2 else layout.target_row
    return {"L": np.asarray(each), "J": np.asarray(cost), "dZ": back(dz)}


def _mean_of_squares(args: Args, dtype: Any) -> Results:
    z, y = layout.rows(args["Z"], dtype), layout.rows(args["Y"], dtype)
    total, dz = jax.jit(jax.value_and_grad(lambda z: optax.losses.squared_error(z, y).mean()))(z)
    return {"J": np.asarray(total), "dZ": layout.columns(dz)}


LOGISTIC = partial(_loss, optax.losses.sigmoid_binary_cross_entropy, layout.targets, layout.targets)
SOFTMAX = partial(
    _loss, optax.losses.softmax_cross_entropy_with_integer_labels, layout.rows, layout.labels
)
LOSSES = {
    "losses/binary_cross_entropy": Adapter(LOGISTIC, dtypes=BOTH),
    "losses/binary_cross_entropy_of_soft_labels": Adapter(LOGISTIC),
    "losses/softmax_cross_entropy": (
        Adapter(SOFTMAX, dtypes=BOTH),
        Adapter(
            partial(_loss, optax.losses.softmax_cross_entropy, layout.rows, layout.rows),
            variant="one-hot",
        ),
    ),
    "losses/squared_error": Adapter(
        partial(_loss, optax.losses.l2_loss, layout.targets, layout.targets), note="l2_loss"
    ),
    "losses/squared_error_of_several_outputs": (
        Adapter(
            partial(
                _loss,
                lambda z, y: optax.losses.l2_loss(z, y).sum(axis=1),
                layout.rows,
                layout.rows,
            ),
            note="l2_loss, summed over output units",
        ),
        Adapter(
            _mean_of_squares,
            variant="squared_error",
            note="squared_error(…).mean(): no ½, and the mean over output units too; dZ is of it",
            predicted=predicted.mean_over_all_entries,
        ),
    ),
}


def _decayed(masked: bool, args: Args, dtype: Any) -> Results:
    params = layout.layers(layer_pairs(args), dtype)
    grads = layout.layers([(args[f"dW{n}"], args[f"db{n}"]) for n in (1, 2)], dtype)
    optimizer = optax.chain(
        optax.add_decayed_weights(
            args["lam"] / args["m"],
            mask=(lambda params: jax.tree.map(is_weight, params)) if masked else None,
        ),
        optax.sgd(args["learning_rate"]),
    )

    @jax.jit
    def step(params, grads):
        updates, _ = optimizer.update(grads, optimizer.init(params), params)
        return optax.apply_updates(params, updates)

    (W1, b1), (W2, b2) = layout.pairs(step(params, grads))
    return {"W1": W1, "b1": b1, "W2": W2, "b2": b2}


def _clipped(make: Any, args: Args, dtype: Any) -> Results:
    optimizer = make(args["limit"])

    @jax.jit
    def update(grads):
        return optimizer.update(grads, optimizer.init(grads))[0]

    return clipping.both(args, lambda grads: layout.pairs(update(layout.layers([grads], dtype)))[0])


def _average(corrected: bool, args: Args, dtype: Any) -> Results:
    ema = optax.ema(args["beta"], debias=corrected)

    @jax.jit
    def run(theta):
        def one(state, observation):
            average, state = ema.update(observation, state)
            return state, average

        return jax.lax.scan(one, ema.init(theta[0]), theta)[1]

    return {"V": np.asarray(run(layout.to_jax(args["theta"], dtype)))}


def _schedule(make: Callable[[Args], Any], args: Args, dtype: Any) -> Results:
    del dtype
    steps = jnp.asarray(args["steps"], jnp.int32)  # as optax' optimizers count
    return {"alpha": np.asarray(jax.jit(jax.vmap(make(args)))(steps))}


def _in_float32(name: str, args: Args) -> Results:
    """The values of the schedule, computed in float32 whatever the dtype of everything else."""
    case = next(case for case in schedules.CASES if case.name == name)
    wider = float(np.finfo(np.float32).eps / np.finfo(np.float64).eps)
    # α₀ and the base are rounded to float32 first: the base's unit grows with the epoch.
    epochs = args["steps"] // args["steps_per_epoch"]
    alpha = case.reference(args)["alpha"]
    error = (epochs + 2) * alpha + case.errors(args)["alpha"].error
    return {"alpha": bounds.Bounded(alpha, wider * error)}


def _decay(args: Args) -> Any:
    return optax.exponential_decay(
        args["learning_rate"], args["steps_per_epoch"], args["base"], staircase=True
    )


def _stairs(args: Args) -> Any:
    steps = args["steps_per_epoch"] * args["epochs_per_stair"]
    return optax.exponential_decay(args["learning_rate"], steps, args["factor"], staircase=True)


FLOAT32 = "exponential_decay of an int32 count, as optax counts, is in float32 even under x64"

OTHERS = {
    "regularizers/weight_decay": (
        Adapter(partial(_decayed, True), note="add_decayed_weights(λ/m, mask=weights), sgd"),
        Adapter(
            partial(_decayed, False),
            variant="no mask",
            note="add_decayed_weights falls on the biases too",
            predicted=predicted.decayed_everywhere,
        ),
    ),
    "clipping/global_norm": Adapter(partial(_clipped, optax.clip_by_global_norm)),
    "clipping/value": Adapter(partial(_clipped, optax.clip)),
    "averages/exponentially_weighted": Adapter(
        partial(_average, False), note="ema(β, debias=False)"
    ),
    "averages/exponentially_weighted_corrected": Adapter(partial(_average, True), note="ema(β)"),
    **{
        name: Adapter(partial(_schedule, make), note=FLOAT32, predicted=partial(_in_float32, name))
        for name, make in {"schedules/exponential": _decay, "schedules/staircase": _stairs}.items()
    },
}

BACKEND = Backend("optax", "optax", gathered(OPTIMIZERS, LOSSES, OTHERS))
