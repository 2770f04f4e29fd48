"""Row 45: when training stops."""

from collections.abc import Callable

import numpy as np

import reference_numpy as ref
from jaxnet.crosscheck.backends import frameworks
from jaxnet.crosscheck.differences.difference import (
    AGREE,
    AGREE_IF,
    Check,
    Difference,
    agree,
    default,
    differ,
    differ_as_predicted,
)

TOPIC = "schedules and stopping"


# Row 45: patience.

CURVE = [3.0, 2.0, 2.5, 2.4, 1.9, 2.0, 2.2, 2.1, 2.3, 2.4, 2.0, 2.1]
"""Improves at epochs 1 and 4; one wait of two epochs on the way, then for good."""
FALL = [1 - 0.01 * epoch for epoch in range(40)]
"""A slow, steady fall."""


def _stop_keras(curve: list[float], patience: int, min_delta: float = 0.0) -> int:
    class Model:
        stop_training = False

    callback = frameworks.keras().callbacks.EarlyStopping(
        monitor="loss", mode="min", patience=patience, min_delta=min_delta
    )
    model = Model()
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, cost in enumerate(curve):
        callback.on_epoch_end(epoch, {"loss": cost})
        if model.stop_training:
            return epoch
    return len(curve) - 1


def _stop_flax(curve: list[float], patience: int, min_delta: float = 0.0) -> int:
    from flax.training.early_stopping import EarlyStopping

    rule = EarlyStopping(min_delta=min_delta, patience=patience)
    for epoch, cost in enumerate(curve):
        rule = rule.update(cost)
        if rule.should_stop:
            return epoch
    return len(curve) - 1


def _stop_textbook(curve: list[float], patience: int, min_delta: float = 0.0) -> int:
    return ref.early_stopping.rule(curve, patience, min_delta)[1]


PATIENCES = (2, 3, 4, 5)


def _patience_keras() -> list[Check]:
    right = [_stop_textbook(CURVE, p) for p in PATIENCES]
    callback = frameworks.keras().callbacks.EarlyStopping
    return [
        agree("the same patience", [_stop_keras(CURVE, p) for p in PATIENCES], right),
        default("restore_best_weights", callback, "restore_best_weights", False),
        default("patience", callback, "patience", 0),
    ]


def _patience_flax() -> list[Check]:
    right = [_stop_textbook(CURVE, p) for p in PATIENCES]
    return [
        agree("p − 1", [_stop_flax(CURVE, p - 1) for p in PATIENCES], right),
        differ("the same patience", [_stop_flax(CURVE, p) for p in PATIENCES], right),
    ]


def _patience_sklearn() -> list[Check]:
    """At a rate at which nothing moves the first epoch is the best and no other improves."""
    from sklearn.neural_network import MLPRegressor

    x = np.random.default_rng(12).standard_normal((7, 4))

    def epochs(patience):
        network = MLPRegressor(
            hidden_layer_sizes=(), activation="identity", solver="sgd", shuffle=False,
            learning_rate_init=1e-30, n_iter_no_change=patience, max_iter=50, random_state=0,
        )  # fmt: skip
        return network.fit(x, x[:, 0]).n_iter_ - 1

    right = [_stop_textbook([1.0] * 50, p, 1e-4) for p in PATIENCES]
    return [
        agree("p − 1", [epochs(p - 1) for p in PATIENCES], right),
        differ("the same patience", [epochs(p) for p in PATIENCES], right),
        default("tol", MLPRegressor, "tol", 1e-4),
    ]


def _min_delta(stop: Callable[..., int], shift: int) -> list[Check]:
    """On the slow fall: the textbook's best follows it, so no epoch gains min_delta; theirs waits.

    Keras and flax compare with the last improvement, which the fall beats by 0.05 at every sixth
    epoch: with a patience above six they go to the end.
    """
    patience = 8
    theirs = stop(FALL, patience - shift, 0.055)
    textbook = _stop_textbook(FALL, patience, 0.055)
    return [
        agree(
            "min_delta = 0",
            [stop(CURVE, p - shift) for p in PATIENCES],
            [_stop_textbook(CURVE, p) for p in PATIENCES],
        ),
        differ_as_predicted(
            "stop on a slow fall", theirs, textbook, len(FALL) - 1, patience
        ),
    ]  # fmt: skip


def _min_delta_keras() -> list[Check]:
    return _min_delta(_stop_keras, 0)


def _min_delta_flax() -> list[Check]:
    return _min_delta(_stop_flax, 1)


ROWS = (
    Difference(
        45, "a", TOPIC, {"keras": "stops after p epochs without gain", "textbook": "the same"},
        AGREE, _patience_keras, {"keras": "patience=0, restore_best_weights=False"},
        "none needed for p ≥ 1", ("keras",),
    ),
    Difference(
        45, "b", TOPIC, {"flax": "stops after p + 1", "textbook, keras": "after p"},
        AGREE_IF + "p − 1 is given", _patience_flax, mapping="p − 1", needs=("flax",),
    ),
    Difference(
        45, "c", TOPIC, {"scikit-learn": "stops after p + 1", "textbook, keras": "after p"},
        AGREE_IF + "p − 1 is given", _patience_sklearn,
        {"scikit-learn": "n_iter_no_change=10, tol=1e-4"}, "p − 1", ("sklearn",),
    ),
    Difference(
        45, "d", TOPIC, {"keras": "best moves by gains above min_delta", "textbook": "always"},
        AGREE_IF + "min_delta = 0", _min_delta_keras, mapping="min_delta = 0", needs=("keras",),
    ),
    Difference(
        45, "e", TOPIC, {"flax": "best moves by gains above min_delta", "textbook": "always"},
        AGREE_IF + "min_delta = 0", _min_delta_flax, mapping="min_delta = 0", needs=("flax",),
    ),
)  # fmt: skip
