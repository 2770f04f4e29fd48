"""Right code for what no single function of the project does by itself; bugs are planted here.

Accuracy, clipping, and what happens around an update: the step, its batch, epochs, resuming, early
stopping, populations, shards. Signatures are those of the contracts of the same names.
"""

import jax
import numpy as np

from jaxnet import losses
from reference_numpy import augmentation, logistic_regression, mlp, optimizers, regularizers


def accuracy(scores, labels):
    """The share of examples, columns of scores (K, m), whose largest score is their label's."""
    if labels.shape != scores.shape[1:]:
        raise ValueError(f"labels: expected shape {scores.shape[1:]}, got {labels.shape}")
    if np.any((labels < 0) | (labels >= len(scores))):
        raise ValueError(f"labels: expected 0 to {len(scores) - 1}, got {labels}")
    return np.mean(np.argmax(scores, axis=0) == labels)


def dropout(rng, A, keep_prob, train):
    """Inverted dropout in training, nothing at evaluation."""
    if train:
        A, _ = regularizers.dropout(rng, A, keep_prob)
    return A


def dropout_masks(rng, shape, keep_prob, steps):
    """A mask for every step."""
    return np.array([regularizers.dropout_mask(rng, shape, keep_prob) for _ in range(steps)])


def augmented_epochs(rng, x, epochs):
    """Every image turned a little, by another angle in every epoch."""
    each = []
    for _ in range(epochs):
        angles = rng.uniform(-15, 15, len(x))
        turned = [augmentation.rotate(image, a) for image, a in zip(x, angles, strict=True)]
        each.append(np.stack(turned))
    return each


def global_norm(grads, limit):
    """All gradients by one factor, so that the norm of all of them is the limit at most.

    g := g · min(1, limit / ‖all g‖)
    """
    norm = np.sqrt(sum(np.sum(g**2) for layer in grads for g in layer))
    factor = min(1.0, limit / norm)
    return [tuple(g * factor for g in layer) for layer in grads]


def batch_gradients(params, X, Y, batch):
    """Gradients of the cost of a mini-batch: the mean over its examples, the columns `batch`."""
    _, caches = mlp.forward(params, X[:, batch], hidden="tanh", output="softmax")
    return mlp.backward(params, caches, Y[:, batch])


def train(params, X, Y, batches, learning_rate):
    """Mini-batch descent with momentum, recorded step by step; learning_rate: step from 0 ↦ α."""
    state = optimizers.momentum_init(params)
    for number, batch in enumerate(batches):
        grads = batch_gradients(params, X, Y, batch)
        params, state = optimizers.momentum_update(
            params, grads, state, learning_rate=learning_rate(number)
        )
        yield {
            "gradient": _named("d", grads),
            "update": _named("", params),
            "state": _named("v", state.v),
        }


def _named(prefix, layers):
    return {
        f"{prefix}{letter}{number}": array
        for number, layer in enumerate(layers, start=1)
        for letter, array in zip("Wb", layer, strict=True)
    }


PROGRAMS = {}
"""What was compiled, as a training class keeps its step."""


def step(params, x, y, learning_rate):
    """One compiled step of gradient descent on logistic regression; x (n, m), y (1, m)."""
    if "step" not in PROGRAMS:
        PROGRAMS["step"] = jax.jit(_step)
    return PROGRAMS["step"](params, x, y, learning_rate)


def _step(params, x, y, learning_rate):
    def cost(params):
        w, b = params
        return losses.cost(losses.binary_cross_entropy((w.T @ x + b)[0], y[0]))

    return jax.tree.map(lambda p, g: p - learning_rate * g, params, jax.grad(cost)(params))


EXAMPLES, BATCH = 12, 3
DATA = 3
"""Seed of data whose lowest cost comes in the second step: a stopper that forgets it takes another
epoch for the best."""


def resume(steps, saved=None):
    """Adam on noisy logistic regression, keeping the best weights; from the start or from `saved`.

    w, b; v_w, v_b, s_w, s_b, t of Adam; key of the noise; order and place of the data; best and
    lowest of the stopper.
    """
    state = _restored(_start() if saved is None else saved)
    for _ in range(steps):
        state = _continued(state)
    return state


def _start():
    zeros = {name: np.zeros((4, 1)) for name in ("w", "v_w", "s_w", "best")}
    zeros |= {name: np.zeros((1, 1)) for name in ("b", "v_b", "s_b")}
    counts = {"t": np.array(0), "key": np.array(17), "place": np.array(0)}
    return {**zeros, **counts, "order": np.arange(EXAMPLES), "lowest": np.array(np.inf)}


def _restored(saved):
    return {
        **{name: saved[name] for name in ("w", "b", "v_w", "v_b", "s_w", "s_b", "best")},
        "t": saved["t"],
        "key": saved["key"],
        "order": saved["order"],
        "place": saved["place"],
        "lowest": saved["lowest"],
    }


def _continued(state):
    rng = np.random.default_rng(int(state["key"]))
    data = np.random.default_rng(DATA)
    X, Y = data.standard_normal((4, EXAMPLES)), data.integers(2, size=(1, EXAMPLES)) * 1.0
    place = int(state["place"])
    order = rng.permutation(EXAMPLES) if place == 0 else state["order"]
    batch = order[place : place + BATCH]
    noisy = X[:, batch] + 0.3 * rng.standard_normal((4, BATCH))
    w, b = state["w"], state["b"]
    dw, db = logistic_regression.gradients(w, b, noisy, Y[:, batch])
    adam = optimizers.AdamState(
        [(state["v_w"], state["v_b"])], [(state["s_w"], state["s_b"])], int(state["t"])
    )
    [(w, b)], adam = optimizers.adam_update(
        [(w, b)], [(dw, np.array([[db]]))], adam, learning_rate=0.5
    )
    cost = logistic_regression.cost(w, b, noisy, Y[:, batch])
    better = cost < state["lowest"]
    [(v_w, v_b)], [(s_w, s_b)], t = adam
    return {
        "w": w,
        "b": b,
        **{"v_w": v_w, "v_b": v_b, "s_w": s_w, "s_b": s_b},
        "best": w if better else state["best"],
        "t": np.array(t),
        "key": np.array(rng.integers(2**31)),
        "order": order,
        "place": np.array((place + BATCH) % EXAMPLES),
        "lowest": np.array(cost if better else state["lowest"]),
    }


def population(seeds, learning_rates):
    """Momentum on logistic regression, a member for each seed and learning rate."""
    members = []
    for seed, learning_rate in zip(seeds, learning_rates, strict=True):
        rng = np.random.default_rng(int(seed))
        params = [(rng.standard_normal((4, 1)), np.zeros((1, 1)))]
        state = optimizers.momentum_init(params)
        for _ in range(6):
            X, Y = rng.standard_normal((4, 5)), rng.integers(2, size=(1, 5))
            dw, db = logistic_regression.gradients(*params[0], X, Y)
            params, state = optimizers.momentum_update(
                params, [(dw, np.array([[db]]))], state, learning_rate=learning_rate
            )
        members.append(params[0][0])
    return np.stack(members)


def sharded_mean(shards):
    """The mean over all examples of shards of any lengths."""
    return sum(np.sum(shard) for shard in shards) / sum(len(shard) for shard in shards)


def early_stopping_loop(update, dev_cost, params, patience):
    """Train until `patience` epochs in a row were no better; the params of the best epoch."""
    best, lowest, waited = np.array(params), np.inf, 0
    while waited < patience:
        params = update(params)
        cost = dev_cost(params)
        if cost < lowest:
            best, lowest, waited = np.array(params), cost, 0
        else:
            waited += 1
    return best
