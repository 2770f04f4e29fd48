"""What a data set asks of a network: its outputs, its loss, and the unit of its error."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxnet import losses
from jaxnet.data import Dataset, Split, datasets, normalization
from jaxnet.populations import Population


class Task(NamedTuple):
    """A data set ready for training.

    data: the split; the targets of a regression with mean 0 and variance 1 on the training part,
    which one recipe can be trained on whatever their unit. outputs: units of the last layer.
    scale: what an error of the training is multiplied by to be in the targets' own unit.
    percent: whether the error is a share of labels, shown in %; else the root mean squared error.
    """

    data: Split
    outputs: int
    loss: Callable[..., jax.Array]
    scale: float
    percent: bool

    @property
    def unit(self) -> str:
        """Of an error, as an axis says it."""
        return "%" if self.percent else "RMS, target's unit"

    def in_unit(self, error: Any) -> Any:
        """An error as `unit` has it."""
        return 100 * error if self.percent else error

    def said(self, error: float) -> str:
        """An error for people.

        >>> Task(None, 1, losses.binary_cross_entropy, 1.0, True).said(0.0213)
        '2.13 %'
        """
        return f"{self.in_unit(error):.3g}" + (" %" if self.percent else "")


def read_task(name: str) -> Task:
    """The task of a data set of `datasets.load`, told by its targets.

    Real numbers are a regression; two classes take one output unit and the binary cross-entropy,
    more take one for each and softmax.
    Raises ValueError for an unknown name, ImportError where the data set's package is missing.
    """
    try:
        data = datasets.load(name)
    except ValueError as error:
        raise ValueError(str(error).replace("name:", "--dataset:", 1)) from None
    if not jnp.issubdtype(data.train.y.dtype, jnp.integer):
        measured = normalization.fit(data.train.y)
        data = Split(*(Dataset(x, normalization.apply(measured, y)) for x, y in data))
        return Task(data, 1, losses.squared_error, float(measured.sigma), False)
    classes = int(max(part.y.max() for part in data)) + 1
    if classes == 2:
        return Task(data, 1, losses.binary_cross_entropy, 1.0, True)
    return Task(data, classes, losses.softmax_cross_entropy, 1.0, True)


def in_target_unit(population: Population, scale: float) -> Population:
    """A population whose errors and scores are in the targets' own unit; costs stay as trained."""
    parts = []
    for part in population.parts:
        runs = part.runs
        history = {**runs.history, "dev_error": scale * runs.history["dev_error"]}
        assert runs.best is not None  # there is a dev set
        best = runs.best._replace(error=scale * runs.best.error)
        parts.append(part._replace(runs=runs._replace(history=history, best=best)))
    return population._replace(parts=tuple(parts), scores=scale * population.scores)
