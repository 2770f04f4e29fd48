"""Samplers: scales, grids, boxes that keep the best point."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import reference_numpy.search
from jaxnet.populations import samplers, spaces

KEY = jax.random.key(0)
SPACE = {
    "learning_rate": ("log_uniform", 1e-4, 1.0),
    "beta": ("one_minus_log_uniform", 0.9, 0.999),
    "width": ("integers", 2, 64),
    "useless": ("uniform", -1.0, 3.0),
}

# No bound so small that it is subnormal in float32, which XLA flushes to zero.
BOUNDS = {
    "uniform": st.tuples(
        st.floats(-100, 100, width=32, allow_subnormal=False), st.floats(1e-3, 100)
    ),
    "log_uniform": st.tuples(st.floats(1e-6, 10), st.floats(1e-3, 100)),
    "one_minus_log_uniform": st.tuples(st.floats(0.01, 0.99), st.floats(1e-4, 1)),
    "integers": st.tuples(st.integers(-50, 50), st.integers(0, 200)),
}


def dimension(kind):
    """(kind, low, high) with low below high, on the kind's scale."""

    def build(numbers):
        low, extent = numbers
        if kind == "one_minus_log_uniform":
            return kind, low, 1 - (1 - low) / (1 + 100 * extent)
        return kind, low, low + extent

    return BOUNDS[kind].map(build)


DIMENSIONS = st.sampled_from(spaces.INTERVALS).flatmap(dimension)


@pytest.mark.f64
@pytest.mark.parametrize(
    ("kind", "low", "high", "scale"),
    [
        ("uniform", -1.0, 3.0, lambda v: v),
        ("log_uniform", 1e-4, 1.0, np.log10),
        ("one_minus_log_uniform", 0.9, 0.999, lambda v: np.log10(1 - v)),
    ],
)
def test_even_on_its_scale_and_increasing(kind, low, high, scale):
    u = jnp.linspace(0, 1, 101)
    value = np.asarray(spaces.from_uniform(u, kind, low, high))
    a, b = scale(low), scale(high)
    # 1 − v keeps eps/(1 − v) = 2e-13 of itself at v = 0.999.
    np.testing.assert_allclose(scale(value), a + (b - a) * np.asarray(u), rtol=0, atol=1e-12)
    assert np.all(np.diff(value) > 0)
    assert value.dtype == np.float64
    np.testing.assert_allclose(value[[0, -1]], [low, high], rtol=1e-15)


@pytest.mark.f64
@pytest.mark.parametrize("name", SPACE)
def test_reference_agrees_on_the_same_draws(name):
    kind, low, high = SPACE[name]
    u = np.random.default_rng(0).random(1000)
    twin = getattr(reference_numpy.search, kind)(np.random.default_rng(0), low, high, 1000)
    got = spaces.from_uniform(jnp.asarray(u), kind, low, high)
    # Logarithms of at most 10 are rounded to 10 eps, which the exponential makes relative.
    np.testing.assert_allclose(got, twin, rtol=40 * np.finfo(float).eps)
    if kind == "one_minus_log_uniform":
        np.testing.assert_allclose(1 - got, 1 - twin, rtol=1e-12)


@pytest.mark.f64
@pytest.mark.parametrize("points_per_axis", [1, 2, 3])
def test_reference_grid_agrees(points_per_axis):
    got = samplers.grid(SPACE, points_per_axis)
    twin = reference_numpy.search.grid(SPACE, points_per_axis)
    assert list(got) == list(twin)
    for name in SPACE:
        np.testing.assert_allclose(got[name], twin[name], rtol=40 * np.finfo(float).eps)


@settings(max_examples=60, deadline=None)
@given(DIMENSIONS)
def test_never_outside_the_bounds(bounds):
    kind, low, high = bounds
    u = jnp.array([0.0, 1e-7, 0.3, 0.5, 1 - 6e-8, 1.0])
    value = np.asarray(spaces.from_uniform(u, kind, low, high))
    assert np.all((value >= np.float32(low)) & (value <= np.float32(high)))
    assert (value.dtype == np.int32) == (kind == "integers")


def test_integers_are_equally_likely():
    # Every one of the numbers 2 … 8 has the same share of [0, 1): midpoints of 700 equal cells.
    u = (jnp.arange(700) + 0.5) / 700
    counts = np.bincount(spaces.from_uniform(u, "integers", 2, 8), minlength=9)
    assert counts.tolist() == [0, 0] + [100] * 7


def p_value(values, low, high):
    return stats.kstest((values - low) / (high - low), "uniform").pvalue


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), dimension("one_minus_log_uniform"))
def test_beta_is_uniform_in_log_one_minus_beta(seed, bounds):
    points = samplers.random(jax.random.key(seed), {"beta": bounds}, 500)
    exponent = np.log10(1 - np.asarray(points["beta"], float))
    # A right sampler falls below 1e-6 once in 50,000 runs of these 20 examples.
    assert p_value(exponent, np.log10(1 - bounds[2]), np.log10(1 - bounds[1])) > 1e-6


def test_random_points_are_uniform_each_on_its_own_scale_and_on_no_other():
    points = {k: np.asarray(v, float) for k, v in samplers.random(KEY, SPACE, 2000).items()}
    alpha, beta = points["learning_rate"], points["beta"]
    assert p_value(np.log10(alpha), -4, 0) > 1e-3  # a fixed key: chance enters once
    assert p_value(np.log10(1 - beta), -3, -1) > 1e-3
    assert p_value(points["useless"], -1, 3) > 1e-3
    assert stats.chisquare(np.bincount(points["width"].astype(int))[2:]).pvalue > 1e-3
    # The same test sees the usual mistakes: β or α on the wrong scale.
    assert p_value(np.log10(beta), np.log10(0.9), np.log10(0.999)) < 1e-6
    assert p_value(alpha, 1e-4, 1) < 1e-6
    # A quarter in each decade: 4 standard deviations of a share of 2,000.
    decades = np.histogram(np.log10(alpha), [-4, -3, -2, -1, 0])[0] / 2000
    assert np.abs(decades - 0.25).max() < 4 * np.sqrt(0.25 * 0.75 / 2000)
    # Dimensions are independent: rank correlations of 2,000 are below 4/√2000.
    ranks = np.corrcoef(stats.rankdata(list(points.values()), axis=1))
    assert np.abs(ranks - np.eye(4)).max() < 4 / np.sqrt(2000)


def test_random_depends_on_the_key_and_not_on_the_order_of_the_space():
    points = samplers.random(KEY, SPACE, 7)
    again = samplers.random(KEY, dict(reversed(SPACE.items())), 7)
    other = samplers.random(jax.random.key(1), SPACE, 7)
    assert list(points) == list(SPACE)
    for name, values in points.items():
        assert values.shape == (7,)
        assert np.array_equal(values, again[name])
        assert not np.array_equal(values, other[name])


def test_grid_is_the_product_of_even_axes():
    space = {"a": ("log_uniform", 1e-4, 1.0), "b": ("integers", 1, 9), "c": ("uniform", 0, 1)}
    points = samplers.grid(space, 3)
    rows = np.column_stack([np.asarray(points[name], float) for name in space])
    product = [(a, b, c) for a in (1e-4, 1e-2, 1.0) for b in (1, 5, 9) for c in (0, 0.5, 1)]
    np.testing.assert_allclose(rows, product, rtol=1e-6)
    assert points["b"].dtype == jnp.int32


@settings(max_examples=100, deadline=None)
@given(st.lists(DIMENSIONS, min_size=1, max_size=3), st.data(), st.floats(0.01, 0.99))
def test_refine_contains_the_best_point_and_shrinks(dimensions, data, shrink):
    space = {f"h{i}": d for i, d in enumerate(dimensions)}
    points, boxes = {}, [space]
    for name, (kind, low, high) in space.items():
        within = st.integers(low, high) if kind == "integers" else st.floats(low, high)
        points[name] = np.array(data.draw(st.lists(within, min_size=4, max_size=4)))
    scores = np.array(data.draw(st.lists(st.integers(0, 3), min_size=4, max_size=4)), float)
    scores[data.draw(st.integers(0, 3))] = data.draw(st.sampled_from([1.0, math.inf, math.nan]))
    best = min(range(4), key=lambda i: math.inf if math.isnan(scores[i]) else scores[i])
    for _ in range(3):  # again on its own result, down to boxes of hardly any width
        boxes.append(samplers.refine(boxes[-1], points, scores, shrink=shrink))
    for old, new in itertools.pairwise(boxes):
        for name, (kind, low, high) in new.items():
            best_value = points[name][best]
            assert old[name][0] == kind
            assert low <= best_value <= high
            assert old[name][1] <= low <= high <= old[name][2]
            old_low, old_high, new_low, new_high = (
                math.log(v)
                if kind == "log_uniform"
                else math.log1p(-v)
                if kind == "one_minus_log_uniform"
                else v
                for v in (*old[name][1:], low, high)
            )
            # Rounding of the bounds and their logarithms; a one-minus bound near 1 keeps
            # eps/(1 − v), at most 1e-16/1e-4/… of its logarithm.
            slack = 1e-11 * max(1, abs(old_low), abs(old_high))
            assert abs(new_high - new_low) <= shrink * abs(old_high - old_low) + slack
            assert all(isinstance(bound, float | int) for bound in (low, high))


@pytest.mark.parametrize(
    ("bounds", "best", "shrink", "expected"),
    [
        (("uniform", 0.0, 8.0), 5.0, 0.5, (3.0, 7.0)),
        (("uniform", 0.0, 8.0), 7.5, 0.5, (5.5, 8.0)),  # cut at the old bound, not moved
        (("log_uniform", 1e-4, 1.0), 1e-2, 0.5, (1e-3, 1e-1)),
        (("one_minus_log_uniform", 0.9, 0.999), 0.99, 0.5, (1 - 10**-1.5, 1 - 10**-2.5)),
        (("integers", 0, 10), 3, 0.5, (1, 5)),
        (("integers", 0, 10), 3, 0.1, (3, 3)),
    ],
)
def test_refine_on_the_dimension_s_own_scale(bounds, best, shrink, expected):
    points = {"h": np.array([best, bounds[1]])}
    (kind, *box) = samplers.refine({"h": bounds}, points, np.array([0.1, 0.2]), shrink=shrink)["h"]
    assert kind == bounds[0]
    np.testing.assert_allclose(box, expected, rtol=1e-13)
    _, *twin = reference_numpy.search.refine({"h": bounds}, points, [0.1, 0.2], shrink=shrink)["h"]
    np.testing.assert_allclose(box, twin, rtol=1e-13)


def test_refine_keeps_a_float32_point_at_a_bound_that_float32_lacks():
    points = samplers.grid({"a": ("log_uniform", 1e-4, 1.0)}, 2)  # float32(1e-4) is below 1e-4
    best = points["a"][0].item()
    box = samplers.refine({"a": ("log_uniform", 1e-4, 1.0)}, points, jnp.array([0.0, 1.0]))
    assert best < 1e-4
    assert box["a"][1] == best


@pytest.mark.parametrize("x64", [False, True])
def test_coarse_to_fine(x64):
    centre = {"learning_rate": 0.01, "beta": 0.99, "width": 20, "useless": 0.0}
    asked = []

    def evaluate(points):
        points = {name: np.asarray(values) for name, values in points.items()}
        asked.append(points)
        distance = (
            np.log10(points["learning_rate"] / centre["learning_rate"]) ** 2
            + np.log10((1 - points["beta"]) / 0.01) ** 2
            + ((points["width"] - centre["width"]) / 20) ** 2
        )
        return jnp.asarray(np.where(points["useless"] > 2.5, np.nan, distance))  # some runs fail

    with jax.enable_x64(x64):
        found = samplers.coarse_to_fine(KEY, SPACE, evaluate, rounds=5, size=11, shrink=0.6)
        plain_scores = np.asarray(evaluate(samplers.random(KEY, SPACE, 55)))
    asked, scores = asked[:-1], np.asarray(found.scores)
    assert [len(points["beta"]) for points in asked] == [11] * 5
    assert scores.shape == (55,)
    assert found.spaces[0] == SPACE
    for name in SPACE:
        drawn = np.concatenate([points[name] for points in asked])
        assert np.array_equal(found.points[name], drawn)
        for i in range(1, 5):
            _, low, high = found.spaces[i][name]
            best = int(np.nanargmin(scores[: 11 * i]))
            assert low <= float(drawn[best]) <= high  # the best of all rounds so far
            inside = asked[i][name]
            assert np.all((inside >= inside.dtype.type(low)) & (inside <= inside.dtype.type(high)))
    # Each round draws anew: not the same places relative to its box.
    _, low, high = found.spaces[1]["useless"]
    assert not np.allclose(
        (asked[1]["useless"] - low) / (high - low), (asked[0]["useless"] + 1) / 4
    )
    # On a bowl the last boxes are closer than the whole space, for this key.
    assert np.nanmin(scores) < np.nanmin(plain_scores)
    assert np.nanmedian(scores[-11:]) < np.nanmedian(scores[:11]) / 4


def test_coarse_to_fine_keeps_the_best_of_an_earlier_round():
    # Later rounds are worse by construction: every box must stay around the first round's best.
    scores = iter([np.array([3.0, 1.0, 2.0]), np.array([5.0, 4.0, 6.0]), np.full(3, np.nan)])
    found = samplers.coarse_to_fine(
        KEY, SPACE, lambda points: jnp.asarray(next(scores)), rounds=3, size=3
    )
    for name in SPACE:
        best = found.points[name][1].item()
        assert all(box[name][1] <= best <= box[name][2] for box in found.spaces[1:])


@pytest.mark.parametrize(
    ("space", "named"),
    [
        ({}, "space"),
        ({"a": ("uniform", 1.0, 0.0)}, "a: .*low ≤ high.*1.0 and 0.0"),
        ({"a": ("uniform", 0.0, math.inf)}, "a: .*finite"),
        ({"a": ("uniform", math.nan, 1.0)}, "a: .*finite"),
        ({"a": ("log_uniform", 0.0, 1.0)}, "a: .*> 0"),
        ({"a": ("log_uniform", -1.0, 1.0)}, "a: .*> 0"),
        ({"a": ("one_minus_log_uniform", 0.9, 1.0)}, "a: .*< 1"),
        ({"a": ("integers", 1, 2.5)}, "a: .*whole"),
        ({"a": ("log-uniform", 0.1, 1.0)}, "kind of a.*did you mean 'log_uniform'"),
    ],
)
def test_refuses_space(space, named):
    with pytest.raises(ValueError, match=named):
        samplers.grid(space, 3)
    with pytest.raises(ValueError, match=named):
        samplers.random(KEY, space, 3)
    with pytest.raises(ValueError, match=named):
        samplers.refine(space, {"a": np.ones(2)}, np.ones(2))
    with pytest.raises(ValueError, match=named):
        samplers.coarse_to_fine(KEY, space, lambda p: p["a"], rounds=2, size=3)


def test_refuses_numbers():
    space = {"a": ("uniform", 0.0, 1.0), "n": ("integers", 1, 3)}
    points = {"a": np.array([0.1, 0.2]), "n": np.array([1, 2])}
    with pytest.raises(ValueError, match=r"points_per_axis.*3 whole numbers of n"):
        samplers.grid(space, 4)
    with pytest.raises(ValueError, match=r"points_per_axis"):
        samplers.grid(space, 0)
    with pytest.raises(ValueError, match=r"size"):
        samplers.random(KEY, space, 0)
    with pytest.raises(ValueError, match=r"rounds"):
        samplers.coarse_to_fine(KEY, space, lambda p: p["a"], rounds=0, size=3)
    for shrink in (0.0, 1.1, math.nan):
        with pytest.raises(ValueError, match=r"shrink"):
            samplers.refine(space, points, np.ones(2), shrink=shrink)
    with pytest.raises(ValueError, match=r"scores.*\(2,\).*\(3,\)"):
        samplers.refine(space, points, np.ones(3))
    with pytest.raises(ValueError, match=r"scores.*NaN"):
        samplers.refine(space, points, np.full(2, np.nan))
    with pytest.raises(ValueError, match=r"points.*\['a', 'n'\].*\['a'\]"):
        samplers.refine(space, {"a": points["a"]}, np.ones(2))
    with pytest.raises(ValueError, match=r"points.*a of the best point.*1.5"):
        samplers.refine(space, points | {"a": np.array([1.5, 0.2])}, np.array([0.0, 1.0]))


# ------------------------------------------------------------------ choices and files


CHOICES = {"optimizer": ("choice", ["adam", "momentum"]), "b": ("choice", (0.9, 0.99, 0.5))}


@pytest.mark.f64
def test_a_choice_is_the_references():
    u = np.random.default_rng(0).random(200)
    for dimension in CHOICES.values():
        got = spaces.from_uniform(jnp.asarray(u), *dimension)
        twin = reference_numpy.search.from_uniform(u, *dimension)
        assert list(got) == list(twin)


def test_options_that_are_lists():
    drawn = spaces.from_uniform(jnp.array([0.1, 0.9]), "choice", [[64, 32], [8, 8]])
    assert drawn.tolist() == [(64, 32), (8, 8)]


def test_every_option_is_equally_likely():
    u = (jnp.arange(300) + 0.5) / 300
    drawn = spaces.from_uniform(u, "choice", (1, 2, 3))
    assert np.bincount(drawn).tolist() == [0, 100, 100, 100]
    assert spaces.from_uniform(jnp.array(1.0), "choice", ["a", "b"]) == "b"


def test_a_grid_takes_all_options():
    points = samplers.grid({**CHOICES, "a": ("uniform", 0, 1)}, 2)
    twin = reference_numpy.search.grid({**CHOICES, "a": ("uniform", 0, 1)}, 2)
    assert len(points["a"]) == 2 * 3 * 2
    for name, values in points.items():
        assert np.asarray(values).tolist() == pytest.approx(twin[name].tolist())


def test_coarse_to_fine_keeps_all_options():
    space = {**CHOICES, "a": ("uniform", 0.0, 8.0)}

    def evaluate(points):
        return (np.asarray(points["a"]) - 3) ** 2 + (points["optimizer"] == "adam")

    found = samplers.coarse_to_fine(KEY, space, evaluate, rounds=3, size=8)
    assert all(box["optimizer"] == space["optimizer"] for box in found.spaces)
    best = int(found.scores.argmin())
    assert found.points["optimizer"][best] == "momentum"
    twin = reference_numpy.search.refine(
        space, {n: np.asarray(v) for n, v in found.points.items()}, found.scores
    )
    got = samplers.refine(space, found.points, found.scores)
    assert got["a"][1:] == pytest.approx(twin["a"][1:], rel=1e-6)
    assert got["optimizer"] == twin["optimizer"]


TOML = """
learning_rate = { log_uniform = [1e-4, 1e-1] }
beta = { one_minus_log_uniform = [0.9, 0.999] }
width = { integers = [8, 64] }
l2 = { uniform = [0, 1] }
optimizer = { choice = ["adam", "momentum"] }
"""


def test_a_space_from_a_file(tmp_path):
    path = tmp_path / "space.toml"
    path.write_text(TOML)
    assert spaces.read_space(path) == {
        "learning_rate": ("log_uniform", 1e-4, 0.1),
        "beta": ("one_minus_log_uniform", 0.9, 0.999),
        "width": ("integers", 8, 64),
        "l2": ("uniform", 0, 1),
        "optimizer": ("choice", ["adam", "momentum"]),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected at least one dimension"),
        ("a = 3", r"a: expected \{ kind = \[low, high\] \}"),
        ("a = { uniform = 3 }", "a: expected a list after uniform, got 3"),
        ("a = { log_uniform = [0, 1] }", "a: expected bounds > 0 on a log scale"),
        ("a = { uniform = [2, 1] }", "a: expected finite bounds low ≤ high, got 2 and 1"),
        ("a = { uniform = ['x', 1] }", "a: expected numbers as bounds, got 'x' and 1"),
        ("a = { uniform = [1] }", r"a: expected \(kind, low, high\)"),
        ("a = { choice = [] }", r"a: expected \('choice', options\) with at least one option"),
        ("a = { choice = [1, 1] }", "a: expected each option once"),
        ("a = { uniforn = [1, 2] }", "kind of a: expected one of"),
        ("a = {", "not TOML"),
    ],
)
def test_a_bad_file(tmp_path, text, message):
    path = tmp_path / "space.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        spaces.read_space(path)
    assert str(path) in str(error.value)
