"""explain: every kind of difference is named, with what its constant equals; the right is not."""

import numpy as np
import pytest

from jaxnet.crosscheck.explain import explain
from jaxnet.crosscheck.explain.surroundings import constants, identify, surroundings

# Distinct primes, so that no constant can be taken for another.
M, B = 97, 13
rng = np.random.default_rng(1)
A0, A1, DZ = (rng.normal(size=(5, 7)) for _ in range(3))
W, Z, DA = rng.normal(size=(5, 5)), rng.normal(size=(5, 7)), rng.normal(size=(5, 7))
BIAS = rng.normal(size=(5, 1))
D = rng.random((5, 7)) < 0.8
DW, DB = DZ @ A0.T / M, DZ.sum(1, keepdims=True) / M
RIGHT = {"dW1": DW, "db1": DB}
CONTEXT = {
    "m": M, "batch_size": B, "l2": 0.7, "keep_prob": 0.8, "b1": 0.9, "b2": 0.99, "W1": W,
    "bias": BIAS, "A0": A0, "A1": A1, "dZ1": DZ, "learning_rate": 0.03,
}  # fmt: skip


def scaled(c):
    return {name: c * array for name, array in RIGHT.items()}


AT_0 = np.where(D, A0, 0.0)
EPOCHS = np.arange(12)
DECAYED = 0.2 / (1 + 0.5 * EPOCHS)
CENTRED = Z - Z.mean(1, keepdims=True)
ZHAT = CENTRED / Z.std(1, keepdims=True)
DOUT = rng.normal(size=(5, 7))
THROUGH_MEAN = DOUT.mean(1, keepdims=True)
THROUGH_VAR = ZHAT * (DOUT * ZHAT).mean(1, keepdims=True)
STEPS = np.cumsum(rng.normal(size=(20, 3)), 0)
SOFTMAX = np.exp(Z) / np.exp(Z).sum(0)

NAMED = {
    "factor m": (scaled(M), RIGHT, CONTEXT),
    "factor 1/m": (scaled(1 / M), RIGHT, CONTEXT),
    "factor m/B": (scaled(B / M), RIGHT, CONTEXT),
    "factor 2": (scaled(2), RIGHT, CONTEXT),
    "factor ½": ({**RIGHT, "dW1": DW / 2}, RIGHT, CONTEXT),
    "factor λ": (scaled(0.7), RIGHT, CONTEXT),
    "factor keep_prob": (scaled(0.8), RIGHT, CONTEXT),
    "missing factor 1−β₁": (scaled(10), RIGHT, CONTEXT),
    "factor n/(n−1)": ({"var": DW * M / (M - 1)}, {"var": DW}, CONTEXT),
    "factor √m": (scaled(M**0.5), RIGHT, CONTEXT),
    "bias correction": (scaled(1 - 0.9**3), RIGHT, CONTEXT),
    "sign": (scaled(-1), RIGHT, CONTEXT),
    "sign, factor m": (scaled(-M), RIGHT, CONTEXT),
    "transpose": ({"dW1": DW.T, "db1": DB}, RIGHT, CONTEXT),
    "permutation": ({"dW1": DW[[2, 0, 1, 3, 4]]}, {"dW1": DW}, CONTEXT),
    "other layer's array": ({"dW1": DZ @ A1.T / M}, {"dW1": DW}, CONTEXT),
    "another step's array": ({"v": W}, {"v": 2 * W + 1}, {"v_prev": W}),
    "last instead of best": ({"W": W}, {"W": A0 @ A1.T}, {"last": W}),
    "missing term λW": (RIGHT, {**RIGHT, "dW1": DW + 0.7 / M * W}, CONTEXT),
    "extra term λW": ({"dW1": DW + 0.7 / M * W}, {"dW1": DW}, CONTEXT),
    "extra term on biases": ({"db1": DB + 0.7 / M * BIAS}, {"db1": DB}, CONTEXT),
    "sign of the term λ/m·W1": ({"dW1": DW - 0.7 / M * W}, {"dW1": DW + 0.7 / M * W}, CONTEXT),
    "axis": ({"db1": DZ.sum(0, keepdims=True) / M}, {"db1": DB}, CONTEXT),
    "derivative at activation": (
        {"dZ": DA * (1 - np.tanh(np.tanh(Z)) ** 2)}, {"dZ": DA * (1 - np.tanh(Z) ** 2)}, {"Z": Z},
    ),
    "mask": ({"dA": DA}, {"dA": DA * D / 0.8}, {"mask": D, "keep_prob": 0.8}),
    "kink convention": ({"g": np.where(AT_0 >= 0, 1.0, 0)}, {"g": np.where(AT_0 > 0, 1.0, 0)},
                        {"Z": AT_0}),
    "off by one in t": ({"W": STEPS[:-1]}, {"W": STEPS[1:]}, {}),
    "compounding": ({"alpha": 0.2 * np.cumprod(DECAYED / 0.2)}, {"alpha": DECAYED}, {}),
    "unit of t": (
        {"alpha": 0.2 / (1 + 0.5 * np.arange(60))},
        {"alpha": 0.2 / (1 + 0.5 * (np.arange(60) // 5))}, {"steps_per_epoch": 5},
    ),
    "ε placement": (
        {"u": STEPS / np.sqrt(STEPS**2 + 1e-3)}, {"u": STEPS / (np.abs(STEPS) + 1e-3)},
        {"s": STEPS**2, "eps": 1e-3},
    ),
    "cancellation": (
        {"var": ((Z + 1e4) ** 2).mean(1) - (Z + 1e4).mean(1) ** 2}, {"var": (Z + 1e4).var(1)},
        {"x": Z + 1e4},
    ),
    "float32 precision": ({"Z": Z.astype(np.float32).astype(float)}, {"Z": Z}, {}),
    "overflow": ({"L": np.where(np.arange(7) < 2, np.nan, 1.0)}, {"L": np.ones(7)},
                 {"Z": np.arange(7) * 1000.0}),
    "saturation": ({"L": np.minimum(np.arange(9.0), 5)}, {"L": np.arange(9.0)}, {}),
    "division by zero": ({"X": np.where(np.arange(5)[:, None] == 2, np.nan, Z)}, {"X": Z},
                         {"raw": np.where(np.arange(5)[:, None] == 2, 3.0, Z)}),
    "missing rows": ({"X": Z[:4]}, {"X": Z}, {}),
    "broadcast": ({"J": np.tile(np.arange(7.0)[:, None], 7)}, {"J": np.arange(7.0)}, {}),
    "factor 1/√var": ({"X": CENTRED / Z.var(1, keepdims=True)}, {"X": ZHAT}, {"var": Z.var(1)}),
    "shared buffer": ({"v1": W, "v2": W}, {"v1": W, "v2": 2 * W + 1}, {}),
    "missing term: the mean, one multiple a row": (
        {"dZ": DOUT - THROUGH_VAR}, {"dZ": DOUT - THROUGH_MEAN - THROUGH_VAR}, {"Zhat": ZHAT},
    ),
    "square": ({"sigma": Z**2 + 1}, {"sigma": np.sqrt(Z**2 + 1)}, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMED)
def test_the_difference_is_named_first_and_its_inverse_leaves_rounding(name):
    left, right, context = NAMED[name]
    found = explain(left, right, context=context)
    assert found, "nothing explains it"
    assert found[0].name == name, [str(one) for one in found[:4]]
    exact = not {"cancellation", "float32 precision"} & {name}
    if exact:
        assert found[0].residual_after <= 1e-12 < found[0].residual_before


def test_softmax_over_the_other_axis():
    other = np.exp(Z) / np.exp(Z).sum(1, keepdims=True)
    assert explain({"A": other}, {"A": SOFTMAX}, context={})[0].name == "axis"


def test_what_agrees_and_what_nothing_explains_gets_no_explanation():
    assert explain(RIGHT, RIGHT, context=CONTEXT) == []
    noise = np.random.default_rng(5)
    for _ in range(20):
        assert explain({"W": noise.normal(size=(5, 5))}, {"W": W}, context=CONTEXT) == []


def test_a_wrong_constant_is_not_called_by_a_name_it_has_not():
    found = explain(scaled(M * (1 + 1e-6)), RIGHT, context=CONTEXT)
    assert found[0].name == "factor 97.0001"
    assert all("m" not in one.name.split() for one in found)


def test_only_the_arrays_at_fault_are_named():
    (first, *_) = explain({"dW1": DW, "db1": 2 * DB}, RIGHT, context=CONTEXT)
    assert (first.name, first.leaf) == ("factor 2", "db1")


def test_works_in_float32_and_without_context():
    left = {"dW": (M * DW).astype(np.float32)}
    found = explain(left, {"dW": DW.astype(np.float32)}, context={"m": M})
    assert found[0].name == "factor m"
    assert explain(3 * W, W)[0].name == "factor 3"


def test_a_size_that_the_context_does_not_name_is_found_in_a_shape():
    found = explain({"db": DZ.sum(1)}, {"db": DZ.sum(1) / 7}, context={"dZ": DZ})
    assert found[0].name == "factor 7 (length of axis 1 of dZ)"


@pytest.mark.parametrize("context", [[1, 2], "m=3", {"m": np.array(["a"])}])
def test_a_context_that_is_no_dict_of_numbers_is_an_error(context):
    with pytest.raises(TypeError, match="context"):
        explain(W, 2 * W, context=context)


def test_identify_prefers_the_simplest_and_keeps_to_the_precision():
    known = constants(surroundings({"m": 97, "batch_size": 13, "l2": 0.7}))
    named = identify(97 / 13, known, 1e-12)
    assert named is not None and named.name == "factor m/B"
    assert identify(97 * (1 + 1e-9), known, 1e-12) is None
