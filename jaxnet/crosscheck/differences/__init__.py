"""The semantic differences between frameworks as data, every row executed.

`ROWS` is the table; `run(row)` executes one and says whether its verdict holds. A row whose
frameworks are missing is "not installed", never confirmed. The frameworks are imported while a row
runs and not before.

>>> row = next(row for row in ROWS if row.name == "4d")
>>> run(row).status, row.verdict
('confirmed', "agree if optax' parameters are read as θ + μV")
"""

from jaxnet.crosscheck.differences import (
    activations,
    adaptive,
    clipping,
    data,
    decay,
    dropout,
    gradient_checks,
    initialisation,
    kernels,
    labels,
    losses,
    momentum,
    normalisation,
    penalties,
    precision,
    rmsprop,
    schedules,
    stopping,
)
from jaxnet.crosscheck.differences.difference import Check, Difference, Outcome, as_dict, run

ROWS: tuple[Difference, ...] = tuple(
    sorted(
        (
            row
            for module in (
                momentum, rmsprop, adaptive, decay, penalties, clipping, activations,
                initialisation, kernels, normalisation, dropout, losses, data, precision, labels,
                schedules, stopping, gradient_checks,
            )
            for row in module.ROWS
        ),
        key=lambda row: (row.number, row.part),
    )
)  # fmt: skip
"""All rows by number and part."""

NUMBERS = range(1, 47)
"""The rows of the table of semantic differences, each of which has a row here or several."""

__all__ = ["NUMBERS", "ROWS", "Check", "Difference", "Outcome", "as_dict", "run"]
