"""`fit`: the training run with checks in front, for one model on data at hand."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from jaxnet import losses, regularizers
from jaxnet.data import Dataset
from jaxnet.models import Model
from jaxnet.training.boundary import as_dataset, check_outputs, shapes_of
from jaxnet.training.run import Run, Setup, make_train
from jaxnet.training.static import join, split_static
from jaxnet.types import PRNGKey, Scalar
from jaxnet.validation import (
    check_batch_size,
    check_count,
    check_flag,
    check_functions,
    check_key,
    check_non_negative,
)


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _train(static, batch_size, epochs, drop_last, dynamic, key, data, dev, after, first_epoch):
    train = make_train(
        lambda setup: setup, batch_size=batch_size, epochs=epochs, drop_last=drop_last
    )
    return train(key, join(dynamic, static), data, dev, after, first_epoch)


def _check_after(after: Run, params, state, opt_state, dev: Dataset | None) -> None:
    """Refuse a run of another model or optimizer, or one with another kind of history."""
    expected = {"params": params, "state": state, "opt_state": opt_state}
    for name, tree in expected.items():
        given = getattr(after, name)
        same = jax.tree.structure(given) == jax.tree.structure(tree)
        if not same or any(
            np.shape(a) != b.shape
            for a, b in zip(jax.tree.leaves(given), jax.tree.leaves(tree), strict=True)
        ):
            raise ValueError(
                f"after.{name}: expected what this model and optimizer have, got another structure "
                f"or other shapes"
            )
    if ("dev_cost" in after.history) != (dev is not None):
        has = "has" if dev is None else "has no"
        raise ValueError(f"dev: expected as in the run to go on from, which {has} dev history")


def fit(
    model: Model,
    data: Dataset,
    *,
    optimizer: optax.GradientTransformation,
    loss: Callable[..., Array] = losses.softmax_cross_entropy,
    l2: Scalar = 0.0,
    l1: Scalar = 0.0,
    batch_size: int | None = 64,
    epochs: int = 10,
    key: PRNGKey,
    dev: Dataset | None = None,
    drop_last: bool = False,
    after: Run | None = None,
) -> Run:
    """Train a model on a data set: the friendly face of `make_train`, one compiled program.

    J = (1/B) Σ L(ŷ, y) + λ₂/(2m) Σ‖W‖² + λ₁/(2m) Σ|w| for each mini-batch of B examples

    data, dev: Dataset(x (m, n_in), y); y integer labels (m,) for the cross-entropies, numbers for
    squared_error. NumPy's numbers become JAX's default float dtype; JAX's floats stay what they
    are. l2, l1: the notes' λ, m being the number of training examples whatever the batch size.
    batch_size: None for all the data in every update. The last batch of an epoch is smaller when
    the data do not divide, unless drop_last. after: a Run of this model and optimizer, from `fit`
    or a population's `member(i)`, to go on from for `epochs` more; with the key that it had the
    two are one run, and the history is that of both.

    Returns Run(params, state, opt_state, history); see `Run` for the history. The same key gives
    the same run. A second call with another learning rate, λ, keep_prob, initial scale or key runs
    the program already compiled; another optax optimizer *object* compiles again.
    Raises ValueError or TypeError, before any compute, for data, labels or numbers that do not fit.
    Source: notes §6, mini-batch gradient descent.

    >>> import jaxnet
    >>> moons = jaxnet.data.datasets.moons(jax.random.key(0), 200, noise=0.1)
    >>> model = jaxnet.mlp((2, 16, 2))
    >>> run = fit(model, moons, optimizer=jaxnet.optimizers.adam(0.01), epochs=100,
    ...           key=jax.random.key(1))
    >>> bool(jaxnet.evaluate(model, run.params, run.state, moons).error < 0.05)
    True
    """
    check_functions("model", model, ("init", "apply"), "a Model such as mlp((4, 3))")
    check_functions(
        "optimizer", optimizer, ("init", "update"), "an optax transformation such as adam(1e-3)"
    )
    check_key("key", key)
    check_flag("drop_last", drop_last)
    if not callable(loss):
        raise TypeError(f"loss: expected a function such as those of jaxnet.losses, got {loss!r}")
    data = as_dataset("data", data)
    m = data.x.shape[0]
    if batch_size is not None:
        check_batch_size("batch_size", batch_size, m)
    check_count("epochs", epochs)
    check_non_negative("l2", l2)
    check_non_negative("l1", l1)
    params, state = shapes_of(model.init, key)
    check_outputs("data", model, params, state, data, loss)
    if dev is not None:
        dev = as_dataset("dev", dev)
        check_outputs("dev", model, params, state, dev, loss)

    # No penalty at all is a program of its own: adding zero to every gradient costs a tenth.
    penalised = not (isinstance(l2, float | int) and isinstance(l1, float | int) and l2 == l1 == 0)
    penalty = regularizers.elastic_net(l2, l1, m=m) if penalised else regularizers.none
    dynamic, static = split_static(Setup(model, optimizer, loss, penalty))
    inputs = (static, batch_size, epochs, drop_last, dynamic, key, data, dev)
    if after is None:
        return _train(*inputs, None, 0)
    _check_after(after, params, state, shapes_of(optimizer.init, params), dev)
    first_epoch = len(after.history["cost"])
    run = _train(*inputs, after._replace(history={}, best=None), first_epoch)
    history = jax.tree.map(
        lambda old, new: jnp.concatenate([jnp.asarray(old), new]), after.history, run.history
    )
    return run._replace(history=history)
