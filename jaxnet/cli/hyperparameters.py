"""What a space file of `jaxnet sweep` may name, and the network that is built from it."""

from collections.abc import Callable, Mapping
from functools import partial
from operator import index
from typing import Any, NamedTuple

from jaxnet import Setup, mlp, optimizers, regularizers, schedules
from jaxnet.activations import ACTIVATIONS
from jaxnet.cli.task import Task
from jaxnet.data.minibatches import steps_per_epoch
from jaxnet.initializers import INITIALIZERS
from jaxnet.populations import Space
from jaxnet.populations.hypers import as_columns, split_names
from jaxnet.populations.spaces import Dimension, options_of
from jaxnet.validation import (
    check_batch_size,
    check_choice,
    check_count,
    check_decay,
    check_flag,
    check_non_negative,
    check_positive,
    check_probability,
)

LEARNING_RATE = 1e-3
"""Where the space has none."""


class Rule(NamedTuple):
    """An optimizer, and the names of its numbers beside the learning rate."""

    optimizer: Callable[..., Any]
    numbers: tuple[str, ...]


RULES = {
    "adam": Rule(optimizers.adam, ("b1", "b2", "eps")),
    "gradient_descent": Rule(optimizers.gradient_descent, ()),
    "momentum": Rule(optimizers.momentum, ("beta",)),
    "rmsprop": Rule(optimizers.rmsprop, ("beta", "eps")),
}
"""The first is the one where the space has none."""


class Name(NamedTuple):
    """A hyperparameter that a space may have.

    check: (name, value), raises for a value it cannot have. kind: "number", "whole", "word" or
    "flag". label: what its axis says.
    """

    check: Callable[[str, Any], None]
    kind: str = "number"
    label: str = ""


def _one_of(known: Mapping[str, Any]) -> Callable[[str, Any], None]:
    return partial(check_choice, known=known)


NAMES = {
    "learning_rate": Name(check_non_negative, label="learning_rate α"),
    "optimizer": Name(_one_of(RULES), "word"),
    "beta": Name(check_decay, label="beta β"),
    "b1": Name(check_decay, label="b1 β₁"),
    "b2": Name(check_decay, label="b2 β₂"),
    "eps": Name(check_positive, label="eps ε"),
    "decay_rate": Name(check_non_negative, label="decay_rate (per epoch)"),
    "l2": Name(check_non_negative, label="l2 λ"),
    "l1": Name(check_non_negative, label="l1 λ"),
    "keep_prob": Name(check_probability, label="keep_prob (share of units kept)"),
    "init_scale": Name(check_non_negative, label="init_scale (times the initializer's)"),
    "initializer": Name(_one_of(INITIALIZERS), "word"),
    "activation": Name(_one_of(ACTIVATIONS), "word"),
    "batch_norm": Name(check_flag, "flag"),
    "width": Name(check_count, "whole", "width (units of each hidden layer)"),
    "depth": Name(check_count, "whole", "depth (hidden layers)"),
    "batch_size": Name(check_count, "whole", "batch_size (examples)"),
    "seed": Name(partial(check_count, least=0), "whole"),
}

MODEL_NAMES = ("activation", "keep_prob", "batch_norm", "initializer", "init_scale")


def values_of(name: str, dimension: Dimension) -> list[Any]:
    """The options of a choice, or the two bounds of an interval, as plain values."""
    kind, *bounds = dimension
    return options_of(name, dimension).tolist() if kind == "choice" else bounds


def _checked(name: str, dimension: Dimension) -> Dimension:
    kind, *_ = dimension
    wanted = NAMES[name].kind
    values = values_of(name, dimension)
    if wanted in ("word", "flag") and kind != "choice":
        example = "[true, false]" if wanted == "flag" else f'["{sorted(_words(name))[0]}", …]'
        raise ValueError(f"{name}: expected {{ choice = {example} }}, got {kind}")
    if wanted == "whole" and kind not in ("integers", "choice"):
        raise ValueError(
            f"{name}: expected whole numbers, {{ integers = [low, high] }} or a choice"
        )
    if kind == "integers":
        values = [int(value) for value in values]
    for value in values:
        try:
            NAMES[name].check(name, value)
        except TypeError as error:  # a word where a number is meant
            raise ValueError(str(error)) from None
    if wanted == "number" and kind == "choice":
        # So that 1 beside 0.5 is no reason to take them for whole numbers.
        values = [float(value) for value in values]
    return ("choice", values) if kind == "choice" else (kind, *values)


def _words(name: str) -> Mapping[str, Any]:
    return {"optimizer": RULES, "initializer": INITIALIZERS, "activation": ACTIVATIONS}[name]


def check_names(space: Space) -> dict[str, Dimension]:
    """The space, once every name is one of NAMES and every value one that it can have.

    In a program a hyperparameter is traced, and nobody looks at its value any more.
    Raises ValueError that names the hyperparameter; for an unknown one, all there are.
    """
    for name in space:
        check_choice("hyperparameter", name, NAMES)
    return {name: _checked(name, dimension) for name, dimension in space.items()}


def make_build(
    task: Task, space: Space, hidden: tuple[int, ...], batch_size: int
) -> Callable[[Mapping[str, Any]], Setup]:
    """The function hyper ↦ Setup that `sweep` and `search` train.

    Names are read with a default, so that what a space does not give is left at it, and `sweep`
    sees which names have an effect: those of every optimizer that the space has.
    hidden: sizes of the hidden layers; () is left to "width" and "depth" of the space, which
    otherwise are one layer of 64 units. All widths are one program, that of the widest.
    Raises ValueError for sizes that are given twice, and batches larger than the data.
    """
    if "width" in space and hidden:
        raise ValueError("--hidden: the space gives the width; leave one of them out")
    if "depth" in space and len(hidden) > 1:
        raise ValueError("--hidden: the space gives the depth; give one size for all layers")
    m = len(task.data.train.x)
    if "batch_size" in space:
        check_batch_size("batch_size", max(values_of("batch_size", space["batch_size"])), m)
    check_batch_size("--batch-size", batch_size, m)
    rules = values_of("optimizer", space["optimizer"]) if "optimizer" in space else ["adam"]
    numbers = sorted({name for rule in rules for name in RULES[rule].numbers})
    sizes = hidden or (max(values_of("width", space["width"])) if "width" in space else 64,)
    n_in = task.data.train.x.shape[1]

    def build(h: Mapping[str, Any]) -> Setup:
        def given(names):
            # All of them are read, also those that are not given: sweep names what can be.
            values = {name: h.get(name) for name in names}
            return {name: value for name, value in values.items() if value is not None}

        depth, width = h.get("depth"), h.get("width")
        layers = sizes if depth is None else (sizes[0],) * index(depth)
        widths = None if width is None else (width,) * len(layers)
        model = mlp((n_in, *layers, task.outputs), widths=widths, **given(MODEL_NAMES))

        alpha, decay = h.get("learning_rate", LEARNING_RATE), h.get("decay_rate")
        if decay is not None:
            # Compiled in, the size is a plain number here; the decay counts epochs, not steps.
            per_epoch = steps_per_epoch(m, h.get("batch_size", batch_size))
            alpha = schedules.inverse_time(alpha, decay_rate=decay, steps_per_epoch=per_epoch)
        rule = RULES[h.get("optimizer", "adam")]
        takes = {name: value for name, value in given(numbers).items() if name in rule.numbers}

        l2, l1 = h.get("l2"), h.get("l1")
        penalty = regularizers.none  # zero strength would cost a tenth of the time
        if l2 is not None or l1 is not None:
            penalty = regularizers.elastic_net(
                0.0 if l2 is None else l2, 0.0 if l1 is None else l1, m=m
            )
        return Setup(model, rule.optimizer(alpha, **takes), task.loss, penalty)

    return build


def check_effect(build: Callable[[Any], Setup], space: Space) -> None:
    """Refuse a name that has no effect, such as beta with adam: `sweep`'s own check, at one point.

    Raises ValueError that names those with one.
    """
    split_names(
        build,
        as_columns({name: [values_of(name, dimension)[0]] for name, dimension in space.items()}),
    )
