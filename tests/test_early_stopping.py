"""The stopping rule against a plain loop over the epochs."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reference_numpy.early_stopping
from jaxnet.training.early_stopping import early_stopping

# Few distinct values, so that ties and gaps of exactly min_delta come up.
COSTS = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, 2.0, 4.0, math.nan, math.inf])


def by_hand(costs, patience, min_delta):
    best, best_epoch, wait = math.inf, 0, 0
    for epoch, cost in enumerate(costs):
        wait = 0 if cost < best - min_delta else wait + 1
        if cost < best:
            best, best_epoch = cost, epoch
        if wait == patience:
            return best_epoch, epoch
    return best_epoch, len(costs) - 1


def run(costs, patience, min_delta=0.0):
    stop = early_stopping(jnp.asarray(costs, float), patience=patience, min_delta=min_delta)
    return stop.best_epoch.item(), stop.stop_epoch.item()


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([1, 4, 11]).flatmap(lambda n: st.lists(COSTS, min_size=n, max_size=n)),
    st.integers(1, 6),
    st.sampled_from([0.0, 0.25, 0.3]),
)
def test_is_the_plain_loop(costs, patience, min_delta):
    assert run(costs, patience, min_delta) == by_hand(costs, patience, min_delta)
    if not any(map(math.isnan, costs)):
        twin = reference_numpy.early_stopping.rule(costs, patience, min_delta)
        assert run(costs, patience, min_delta) == twin


@pytest.mark.parametrize(
    ("costs", "patience", "min_delta", "expected"),
    [
        ([3, 1, 2, 2, 0], 2, 0.0, (1, 3)),  # the 0 after the stop is never seen
        ([3, 1, 2, 2, 0], 3, 0.0, (4, 4)),  # one more epoch of patience and it is
        ([3, 1, 2], 2, 0.0, (1, 2)),  # never triggers: the last epoch, but the best parameters
        ([5, 4, 3, 2], 1, 0.0, (3, 3)),
        ([1, 1, 1], 2, 0.0, (0, 2)),  # a tie is no improvement
        ([8, 7.5, 7, 6.5], 2, 1.0, (2, 2)),  # each too small a step; the lowest is still returned
        ([math.nan, math.nan, 1], 2, 0.0, (0, 1)),
    ],
)
def test_planted_curves(costs, patience, min_delta, expected):
    assert run(costs, patience, min_delta) == expected


def test_the_future_does_not_matter():
    rng = np.random.default_rng(0)
    for _ in range(10):
        costs = rng.normal(size=30)
        best, stop = run(costs, 3)
        assert stop < 29
        costs[stop + 1 :] = -100
        assert run(costs, 3) == (best, stop)


def test_compiled_and_mapped():
    curves = jnp.asarray(np.random.default_rng(1).normal(size=(7, 13)), jnp.float32)
    mapped = jax.jit(jax.vmap(lambda c: early_stopping(c, patience=4, min_delta=0.1)))(curves)
    expected = [by_hand(c.tolist(), 4, 0.1) for c in curves]
    assert list(zip(*(part.tolist() for part in mapped), strict=True)) == expected


@pytest.mark.parametrize(
    ("costs", "arguments", "named"),
    [
        (jnp.ones(3), {"patience": 0}, "patience"),
        (jnp.ones(3), {"patience": 1, "min_delta": -1.0}, "min_delta"),
        (jnp.ones(0), {"patience": 1}, "dev_costs"),
    ],
)
def test_refuses(costs, arguments, named):
    with pytest.raises(ValueError, match=named):
        early_stopping(costs, **arguments)
