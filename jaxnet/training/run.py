"""The training run: one update, and the pure function of (key, hyperparameters, data) around it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from jaxnet import losses, regularizers
from jaxnet.data import Dataset, minibatches
from jaxnet.models import Model
from jaxnet.training.evaluation import score
from jaxnet.types import Params, PRNGKey, Scalar, State
from jaxnet.validation import check_batch_size, check_count, check_flag, check_key


class Setup(NamedTuple):
    """All that one update needs.

    model: (init, apply). optimizer: any optax transformation. loss: (logits, y) ↦ loss of each
    example. penalty: params ↦ scalar, added to the mean loss.
    """

    model: Model
    optimizer: optax.GradientTransformation
    loss: Callable[..., Array] = losses.softmax_cross_entropy
    penalty: Callable[..., Array] = regularizers.none


class Carry(NamedTuple):
    """What one update hands to the next: parameters, running statistics, optimizer state."""

    params: Params
    state: State
    opt_state: Any


class Best(NamedTuple):
    """The epoch of the lowest dev error so far (of several, the lowest dev cost; then the first).

    epoch counts from 0; −1 before the first epoch that has a finite error and cost.
    """

    epoch: Int[Array, ""]
    error: Float[Array, ""]
    cost: Float[Array, ""]
    params: Params
    state: State


class Run(NamedTuple):
    """A finished run.

    history: a dict of arrays with a leading epoch axis: "cost" (epochs, steps per epoch), the cost
    of each mini-batch just before its update; with a dev set "dev_cost" and "dev_error" (epochs,)
    after each epoch; "observed", what the observer returned after each epoch, stacked.
    best: the best epoch and its parameters, when they were asked for, else None.
    """

    params: Params
    state: State
    opt_state: Any
    history: dict[str, Any]
    best: Best | None = None


def start(setup: Setup, key: PRNGKey) -> Carry:
    """Parameters, running statistics and optimizer state before the first update."""
    params, state = setup.model.init(key)
    return Carry(params, state, setup.optimizer.init(params))


def step(
    setup: Setup, carry: Carry, batch: Dataset, key: PRNGKey
) -> tuple[Carry, dict[str, Array]]:
    """One update on one mini-batch: the only one there is; everything that trains calls it.

    J = (1/B) Σ L(ŷ, y) + penalty(params),   params := params + optimizer's update of ∇J

    batch: x (B, n_in) and its y. key: for dropout; the same key drops the same units.
    Returns the new carry and {"cost": J before the update}.
    Source: notes §6, mini-batch gradient descent.
    """

    def cost(params):
        logits, state = setup.model.apply(params, carry.state, batch.x, key=key, train=True)
        return losses.cost(setup.loss(logits, batch.y), setup.penalty(params)), state

    (value, state), grads = jax.value_and_grad(cost, has_aux=True)(carry.params)
    # Line searches and rules that watch the cost ask for more than the gradient.
    optimizer = optax.with_extra_args_support(setup.optimizer)
    updates, opt_state = optimizer.update(
        grads, carry.opt_state, carry.params, value=value, grad=grads, value_fn=lambda p: cost(p)[0]
    )
    params = optax.apply_updates(carry.params, updates)
    return Carry(params, state, opt_state), {"cost": value}


def _epoch(setup: Setup, carry: Carry, data: Dataset, key: PRNGKey, batch_size, drop_last):
    """One pass over the data: a scan over the full mini-batches, then the smaller last one."""
    shuffle_key, noise_key = jax.random.split(key)

    def update(carry, numbered):
        number, indices = numbered
        batch = Dataset(data.x[indices], data.y[indices])
        return step(setup, carry, batch, jax.random.fold_in(noise_key, number))

    if batch_size is None:
        carry, metrics = step(setup, carry, data, noise_key)
        return carry, jax.tree.map(lambda value: value[None], metrics)
    full, rest = minibatches.epoch_indices(shuffle_key, data.x.shape[0], batch_size)
    carry, metrics = jax.lax.scan(update, carry, (jnp.arange(full.shape[0]), full))
    if rest.size and not drop_last:
        carry, last = update(carry, (full.shape[0], rest))
        metrics = jax.tree.map(lambda m, v: jnp.append(m, v), metrics, last)
    return carry, metrics


def _no_best(carry: Carry, dtype: Any) -> Best:
    worst = jnp.full((), jnp.inf, dtype)
    return Best(jnp.int32(-1), worst, worst, carry.params, carry.state)


def _better(best: Best, now: Best) -> Best:
    """The better of two epochs; NaN is never better."""
    finite = jnp.isfinite(now.error) & jnp.isfinite(now.cost)
    lower = (now.error < best.error) | ((now.error == best.error) & (now.cost < best.cost))
    return jax.tree.map(lambda new, old: jnp.where(lower & finite, new, old), now, best)


def make_train(
    build: Callable[[Any], Setup],
    *,
    batch_size: int | None,
    epochs: int,
    drop_last: bool = False,
    observe: Callable[[Carry], Any] | None = None,
    keep_best: bool = False,
) -> Callable[..., Run]:
    """The training run as a pure function, to be compiled, mapped over members, or sharded.

    build: hyper ↦ Setup, called inside the trace: every scalar of the optimizer, penalty or model
    may come from hyper and be traced, so a new learning rate compiles nothing new:
    `build = lambda h: Setup(mlp((64, 64, 10)), adam(h["learning_rate"]))`.
    batch_size: examples in a mini-batch, reshuffled every epoch; the last one is smaller when the
    data do not divide, or is left out with drop_last. None takes all the data in every update, in
    order (batch gradient descent).
    epochs: passes over the data. observe: carry ↦ any pytree, recorded after every epoch.
    keep_best: also return the parameters of the epoch with the lowest dev error.

    Returns train(key, hyper, data, dev=None, after=None, first_epoch=0) ↦ Run. Everything random
    comes from key: first the initial parameters, then, per epoch, the order of the data and
    dropout. after: a Run (or its parameters, state, opt_state and best) to go on from, its key
    being the same and first_epoch, which may be traced, the number of epochs it had: a run in
    pieces is the whole run, bit for bit on one device; the history is that of the new epochs.
    Raises ValueError for a batch size or a number of epochs below 1; train, for a batch larger than
    the data, targets of another number and keep_best without dev. Inside jit values cannot be
    looked at: labels outside the classes and NaN are found by `fit`, not here.
    Source: notes §6, mini-batch gradient descent; §7, training many models in parallel.

    >>> from jaxnet import data, mlp, optimizers
    >>> build = lambda h: Setup(mlp((2, 4, 2)), optimizers.adam(h["learning_rate"]))
    >>> train = jax.jit(make_train(build, batch_size=32, epochs=5))
    >>> moons = data.datasets.moons(jax.random.key(0), 100)
    >>> run = train(jax.random.key(1), {"learning_rate": 0.01}, moons)
    >>> run.history["cost"].shape
    (5, 4)
    """
    if batch_size is not None:
        check_count("batch_size", batch_size)
    check_count("epochs", epochs)
    check_flag("drop_last", drop_last)
    check_flag("keep_best", keep_best)

    def train(
        key: PRNGKey,
        hyper: Any,
        data: Dataset,
        dev: Dataset | None = None,
        after: Run | None = None,
        first_epoch: Scalar = 0,
    ) -> Run:
        check_key("key", key)
        if keep_best and dev is None:
            raise ValueError("dev: expected a dev set to tell the best epoch by, got None")
        m = data.x.shape[0]
        if batch_size is not None:
            check_batch_size("batch_size", batch_size, m)
        for name, part in (("data", data), ("dev", dev)):
            if part is not None and part.y.shape[:1] != part.x.shape[:1]:
                raise ValueError(
                    f"{name}.y: expected {part.x.shape[0]} targets, one for each row of x, got "
                    f"shape {part.y.shape}"
                )
        data, dev = jax.tree.map(jnp.asarray, (data, dev))
        setup = build(hyper)
        init_key, run_key = jax.random.split(key)

        def epoch(carries, number):
            carry, best = carries
            epoch_key = jax.random.fold_in(run_key, number)
            carry, history = _epoch(setup, carry, data, epoch_key, batch_size, drop_last)
            if dev is not None:
                dev_score = score(setup.model, carry.params, carry.state, dev, setup.loss)
                history |= {"dev_cost": dev_score.cost, "dev_error": dev_score.error}
                if keep_best:
                    now = Best(number, dev_score.error, dev_score.cost, carry.params, carry.state)
                    best = _better(best, now)
            if observe is not None:
                history["observed"] = observe(carry)
            return (carry, best), history

        best = None
        if after is None:
            carry = start(setup, init_key)
        else:
            carry, best = Carry(after.params, after.state, after.opt_state), after.best
        if keep_best and best is None and dev is not None:
            shape = jax.eval_shape(
                lambda c: score(setup.model, c.params, c.state, dev, setup.loss), carry
            )
            best = _no_best(carry, shape.cost.dtype)
        numbers = jnp.asarray(first_epoch, jnp.int32) + jnp.arange(epochs, dtype=jnp.int32)
        (carry, best), history = jax.lax.scan(epoch, (carry, best if keep_best else None), numbers)
        return Run(carry.params, carry.state, carry.opt_state, history, best)

    return train
