"""The task that the searches share: a small network on digits, many members in one program."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxnet import Dataset, Setup, losses, make_train, mlp, optimizers
from jaxnet.data import splits

PIXELS, CLASSES = 64, 10
WIDEST = 16
TRAIN, DEV = 192, 600
BATCH_SIZE, EPOCHS = 32, 8
GUESSING = float(np.log(CLASSES))
AT_ONCE = 10  # members that are vmapped; a rest that is no full group would compile once more

Hypers = dict[str, Any]


def build(hyper: Hypers) -> Setup:
    """Adam on one hidden layer of `width` units, at most WIDEST; ε and β₁ where they are given."""
    model = mlp((PIXELS, WIDEST, CLASSES), widths=(hyper.get("width", WIDEST),))
    adam = optimizers.adam(
        hyper["alpha"], b1=hyper.get("beta", 0.9), eps=hyper.get("epsilon", 1e-8)
    )
    return Setup(model, adam)


@jax.jit
def costs(hypers: Hypers, keys: jax.Array, digits: Dataset) -> tuple[jax.Array, jax.Array]:
    """Dev and test cost of every member; hypers: name ↦ (members,), keys: (members,).

    Members of one key have the same split, the same initial draws and the same mini-batches. A
    cost is counted as no more than guessing's log 10: a run that diverged has learnt nothing.
    """
    fit = make_train(build, batch_size=BATCH_SIZE, epochs=EPOCHS, drop_last=True)

    def member(one):
        hyper, key = one
        split_key, run_key = jax.random.split(key)
        train, dev, test = splits.cut(split_key, digits, (TRAIN, DEV))
        run = fit(run_key, hyper, train)

        def cost(part):
            logits, _ = build(hyper).model.apply(run.params, run.state, part.x)
            value = losses.cost(losses.softmax_cross_entropy(logits, part.y))
            return jnp.where(value < GUESSING, value, GUESSING)

        return cost(dev), cost(test)

    return lax.map(member, (hypers, keys), batch_size=AT_ONCE)
