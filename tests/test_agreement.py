"""diagnose and assert_agree: what a user's own function is told, right or wrong."""

import inspect

import jax.numpy as jnp
import numpy as np
import pytest

from jaxnet.crosscheck.agreement import assert_agree, diagnose
from reference_numpy import activations, batch_norm, mlp, optimizers

rng = np.random.default_rng(3)
Z = rng.normal(size=(3, 7))


def names(diagnosis):
    return [one.name for one in diagnosis.explanations]


def test_a_right_function_agrees_and_the_report_says_what_was_looked_at():
    diagnosis = diagnose(lambda Z: 1 / (1 + np.exp(-Z)), activations.sigmoid, (Z,))
    assert diagnosis.agrees and not diagnosis.found and not diagnosis.explanations
    text = str(diagnosis)
    assert text.startswith("agrees") and "an error of 2e-13 of the scale" in text
    assert_agree(jnp.tanh, activations.tanh, (Z.astype(np.float32),))


def test_assert_agree_fails_with_the_diagnosis():
    with pytest.raises(AssertionError) as failure:
        assert_agree(lambda Z: 7 * np.tanh(Z), activations.tanh, (Z,), context={"m": 7})
    assert "factor m" in str(failure.value) and "DISAGREE" in str(failure.value)


def test_arguments_that_are_changed_are_named():
    def candidate(params, scale):
        params[0][0][:] *= scale
        return params[0][0] * 1.0

    def reference(params, scale):
        return params[0][0] * scale

    given = [(np.ones((2, 3)), np.zeros((2, 1)))]
    diagnosis = diagnose(candidate, reference, (given, 2.0))
    assert not diagnosis.agrees
    assert "changes its arguments in place: [0][0][0][0]" in diagnosis.found[0]
    assert names(diagnosis)[0] == "aliasing"
    assert np.array_equal(given[0][0], np.ones((2, 3)))  # the user's own stay as they were


def test_a_function_that_remembers_or_draws_is_found():
    calls = []

    def counting(x):
        calls.append(1)
        return x + 1e-9 * len(calls)

    diagnosis = diagnose(counting, lambda x: x, (Z,), bound=1.0)
    assert not diagnosis.agrees
    assert names(diagnosis) == ["not a function of its arguments"]


@pytest.mark.parametrize(
    "candidate, said",
    [
        (lambda Z: 1 / 0, "the candidate raised ZeroDivisionError"),
        (lambda Z: None, "candidate: expected arrays, got NoneType"),
        (lambda Z: "0.5", "candidateresult: expected an array of numbers"),
        (lambda Z: Z.T, "shape (7, 3) on the left, (3, 7) on the right"),
        (lambda Z: (Z, Z), "only on the left"),
        (lambda Z: np.where(Z > 1, np.nan, Z), "NaN on the left"),
        (lambda: 1, "takes 0 positional arguments"),
    ],
)
def test_what_cannot_be_compared_is_said_in_words(candidate, said):
    diagnosis = diagnose(candidate, activations.linear, (Z,))
    assert not diagnosis.agrees
    assert said in str(diagnosis), str(diagnosis)


def test_a_result_of_another_form_than_the_references_is_described():
    norm = (Z, np.ones((3, 1)), np.zeros((3, 1)))
    diagnosis = diagnose(lambda *args: np.zeros((3, 7)), batch_norm.forward, norm)
    assert "expected a result of the reference's form, got array (3, 7)" in diagnosis.found[0]


def test_what_the_reference_refuses_is_the_callers_mistake():
    with pytest.raises(ValueError, match="keep_prob"):
        layers = [(np.ones((4, 3)), np.ones((4, 1))), (np.ones((1, 4)), np.ones((1, 1)))]
        diagnose(lambda *a, **k: 0, mlp.forward, (layers, Z), kwargs={"keep_prob": 2.0})
    with pytest.raises(TypeError, match="candidate: expected a function"):
        diagnose(3, activations.tanh, (Z,))  # type: ignore[arg-type]


def test_the_equations_of_the_reference_are_found_without_being_named():
    params = [(rng.normal(size=(4, 3)), rng.normal(size=(4, 1)))]
    grads = [(rng.normal(size=(4, 3)), rng.normal(size=(4, 1)))]
    state = optimizers.adam_init(params)
    _, state = optimizers.adam_update(params, grads, state, learning_rate=0.1)
    source = inspect.getsource(optimizers).replace("V / (1 - b1**t)", "V")
    planted: dict = {"__name__": "planted"}
    exec(compile(source, "planted", "exec"), planted)
    diagnosis = diagnose(
        planted["adam_update"], optimizers.adam_update, (params, grads, state),
        kwargs={"learning_rate": 0.1},
    )  # fmt: skip
    assert names(diagnosis)[0] == "bias correction", str(diagnosis)


def smoothed(x, y, *, weight, shift):
    """A function of a user's own, of which nothing is known."""
    return weight * np.tanh(x) + (1 - weight) * np.tanh(y) + shift


@pytest.mark.parametrize(
    "candidate, expected",
    [
        (lambda x, y, *, weight, shift: smoothed(x, y, weight=1 - weight, shift=shift),
         "1−weight in place of weight"),
        (lambda x, y, *, weight, shift: smoothed(x.T, y, weight=weight, shift=shift), "transpose"),
        (lambda x, y, *, weight, shift: smoothed(x, x, weight=weight, shift=shift), "other array"),
        (lambda x, y, *, weight, shift: smoothed(x, y, weight=weight, shift=0), "shift taken as 0"),
        (lambda x, y, *, weight, shift: smoothed(x, y, weight=weight**2, shift=shift),
         "weight² in place of weight"),
    ],
)  # fmt: skip
def test_any_reference_is_run_again_on_changed_arguments(candidate, expected):
    x, y = rng.normal(size=(2, 5, 5))
    diagnosis = diagnose(candidate, smoothed, (x, y), kwargs={"weight": 0.3, "shift": 2.0})
    assert any(name.startswith(expected) for name in names(diagnosis)), str(diagnosis)


def test_a_generator_among_the_arguments_gives_both_the_same_draws():
    def drawing(generator, n):
        return generator.normal(size=n)

    assert diagnose(drawing, drawing, (np.random.default_rng(0), 5)).agrees
