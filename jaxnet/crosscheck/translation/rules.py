"""What a rule of translation returns, and how its parts become one optimizer."""

from typing import NamedTuple

import optax

from jaxnet.crosscheck.translation.calls import Call, call


class Rule(NamedTuple):
    """One optimizer, translated.

    links: the transformations in order. rival: the same with the nearest that optax has of its own,
    where `links` needs one that it has not, and its name; the difference is measured.
    conditions, remarks: as in Source. obstacle: why there is no equivalent, or "".
    float32: how many roundings to float32 the framework makes in an update whatever the dtype.
    magnifies: by how much the rule may magnify a rounding error, beside sums and cancelling.
    """

    links: tuple[Call, ...] = ()
    rival: tuple[Call, ...] = ()
    rival_name: str = ""
    conditions: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    obstacle: str = ""
    float32: int = 0
    magnifies: float = 1.0


def impossible(why: str) -> Rule:
    """The rule of an optimizer that optax cannot express."""
    return Rule(obstacle=why)


def chained(links: tuple[Call, ...]) -> Call:
    """The links as one transformation."""
    return links[0] if len(links) == 1 else call(optax.chain, *links)
