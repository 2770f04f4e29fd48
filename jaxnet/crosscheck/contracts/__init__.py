"""The public checks that a user's own function is driven through, one contract per algorithm."""

import difflib

from jaxnet.crosscheck.contracts import (
    batch_norm,
    data,
    decisions,
    gradient_checks,
    losses,
    networks,
    optimizers,
    regularizers,
    runs,
    sampling,
    series,
    training,
    weights,
)
from jaxnet.crosscheck.contracts.contract import Contract

MODULES = (
    networks, losses, optimizers, batch_norm, regularizers, weights, sampling, series, data,
    decisions, gradient_checks, training, runs,
)  # fmt: skip

CONTRACTS: dict[str, Contract] = {one.name: one for module in MODULES for one in module.contracts()}
"""name ↦ contract, for every algorithm that a candidate can be held against."""


def contract(name: str) -> Contract:
    """The contract of an algorithm, by its name or a last component that only one has.

    An update rule is known by its own name too: adam is optimizers.adam_update.

    Raises ValueError for an unknown or ambiguous name; the message has the nearest ones.

    >>> contract("softmax_derivative").name
    'activations.softmax_derivative'
    """
    if name in CONTRACTS:
        return CONTRACTS[name]
    ends = (name, f"{name}_update")
    last = [full for full in CONTRACTS if full.split(".")[-1] in ends]
    if len(last) == 1:
        return CONTRACTS[last[0]]
    if last:
        raise ValueError(f"algorithm: {name!r} may be {' or '.join(last)}; say which")
    ends = {full.split(".")[-1].removesuffix("_update"): full for full in CONTRACTS}
    near = difflib.get_close_matches(name, [*CONTRACTS, *ends], n=4, cutoff=0.6)
    nearest = list(dict.fromkeys(ends.get(one, one) for one in near))
    said = f"; nearest: {', '.join(nearest)}" if nearest else ""
    raise ValueError(f"algorithm: expected one of {len(CONTRACTS)} known names, got {name!r}{said}")
