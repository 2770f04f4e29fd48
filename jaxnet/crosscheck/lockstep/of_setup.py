"""jaxnet's training through its one update, and any functions with an optax optimizer beside."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxnet import regularizers
from jaxnet.crosscheck import layout
from jaxnet.crosscheck.lockstep import naming
from jaxnet.crosscheck.lockstep.training import Arrays, Record, Training
from jaxnet.data import Dataset
from jaxnet.layers import dropout_mask
from jaxnet.models import Model, forward_pass
from jaxnet.training import Carry, Setup, start, step
from jaxnet.training.static import join, split_static


def _exchanging(optimizer: optax.GradientTransformation, given: Any, take: Any) -> Any:
    """The optimizer with a window in front: it records the gradient that comes in, and passes on
    the given one where `take`."""
    inner = optax.with_extra_args_support(optimizer)

    def init(params):
        return inner.init(params), jax.tree.map(jnp.zeros_like, params)

    def update(updates, state, params=None, **extra):
        used = jax.tree.map(lambda own, other: jnp.where(take, other, own), updates, given)
        moves, new = inner.update(used, state[0], params, **extra)
        return moves, (new, updates)

    return optax.GradientTransformationExtraArgs(init, update)


@partial(jax.jit, static_argnums=(0, 1))
def _step(static, activation, dynamic, carry, batch, key, given, take):
    """The one update, with its gradient, and the forward pass that belongs to it."""
    setup = join(dynamic, static)
    model, params, state = setup.model, carry.params, carry.state
    forward = {}
    if activation is not None:
        keep_prob = getattr(model.apply, "args", (None,))[0]
        passed = forward_pass(
            params, state, batch.x, activation=activation, keep_prob=keep_prob, key=key, train=True
        )
        for layer, (z, a) in enumerate(zip(passed.zs, passed.activations[1:], strict=False), 1):
            forward |= {f"Z{layer}": z, f"A{layer}": a}
            if keep_prob is not None:
                keep = jnp.broadcast_to(jnp.asarray(keep_prob), len(params) - 1)[layer - 1]
                mask = dropout_mask(jax.random.fold_in(key, layer - 1), a.shape, keep)
                forward[f"D{layer}"] = mask
    logits = model.apply(params, state, batch.x, key=key, train=True)[0]
    zeros = jax.tree.map(jnp.zeros_like, params)
    exchanging = setup._replace(optimizer=_exchanging(setup.optimizer, given, take))
    new, metrics = step(exchanging, carry._replace(opt_state=(carry.opt_state, zeros)), batch, key)
    opt_state, grads = new.opt_state
    return new._replace(opt_state=opt_state), grads, forward, logits, metrics["cost"]


def of_setup(
    setup: Setup,
    data: Dataset,
    batches: Sequence[Any],
    *,
    key: Any,
    params: Any = None,
    state: Any = None,
    activation: str | None = None,
) -> Training:
    """A training of jaxnet, whose every step is `jaxnet.training.step`.

    setup: as for `step`. data, batches: as in `runs`. key: for the initial parameters, and, folded
    in with the number of the step, for dropout. params, state: to start from, by default those of
    `training.start`. activation: the hidden layers' g of a model made by `mlp`: Z and A of all of
    them are then shown; without it only the logits.

    The parameters of `mlp` are shown in the reference's layout, those of other models by their
    place in the tree and as they are. The program is compiled once for each shape of batch, and
    not again for another learning rate of jaxnet's optimizers.
    Raises ValueError for an activation with a model that is not an mlp.
    """
    first = start(setup, key)
    if params is not None:
        first = Carry(params, first.state if state is None else state, setup.optimizer.init(params))
    network = naming.is_network(first.params)
    if activation is not None and not network:
        raise ValueError(
            f"activation: expected None with a model that is not an mlp, got {activation!r}"
        )
    data = jax.tree.map(jnp.asarray, data)
    dynamic, static = split_static(setup)

    def batch(number: int) -> Arrays:
        return {"indices": np.asarray(batches[number - 1])}

    def take(number: int, at: Arrays, grads: Arrays | None) -> Record:
        where = batch(number)["indices"]
        carry = Carry(
            naming.tree(at, first.params),
            naming.statistics_tree(at, first.state),
            naming.optimizer_tree(at, first.opt_state, first.params),
        )
        given = carry.params if grads is None else naming.tree(grads, first.params, "d")
        with jax.default_matmul_precision("highest"):
            new, own, forward, logits, cost = _step(
                static, activation, dynamic, carry, Dataset(data.x[where], data.y[where]),
                jax.random.fold_in(key, number), given, grads is not None,
            )  # fmt: skip
        return {
            "batch": batch(number),
            "start": at,
            "forward": {**_forward(forward, logits), "J": cost},
            "gradient": naming.names(own, "d", backwards=True),
            "update": naming.names(new.params),
            "state": _state(new),
        }

    def _state(carry: Carry) -> Arrays:
        kept = naming.optimizer_state(carry.opt_state, first.params)
        return {**naming.statistics(carry.state), **kept}

    def _forward(hidden: dict[str, Any], logits: Any) -> Arrays:
        if not network:
            return {"logits": logits}
        z = logits[:, None] if jnp.ndim(logits) == 1 else logits
        shown = {**hidden, f"Z{len(first.params)}": z}
        order = sorted(shown, key=lambda name: (int(name[1:]), "ZDA".index(name[0])))
        return {name: layout.columns(shown[name]) for name in order}

    return Training(naming.names(first.params), _state(first), take, len(batches), batch)


def of_functions(
    apply: Callable[..., Any],
    loss: Callable[..., Any],
    optimizer: optax.GradientTransformation,
    params: Any,
    data: Dataset,
    batches: Sequence[Any],
    *,
    penalty: Callable[..., Any] = regularizers.none,
) -> Training:
    """A training of any apply(params, x) ↦ logits, such as flax's, with any optax optimizer.

    loss: (logits, y) ↦ loss of each example. params: a pytree, shown by the places of its leaves.
    Every step is `jaxnet.training.step`.
    """

    def applied(params, state, x, *, key=None, train=False):
        del key, train
        return apply(params, x), state

    setup = Setup(Model(lambda key: (params, ()), applied), optimizer, loss, penalty)
    return of_setup(setup, data, batches, key=jax.random.key(0))
