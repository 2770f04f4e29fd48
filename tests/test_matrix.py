"""The matrix: every cell as expected, and no way for a cell to pass without being right."""

import json
import re

import numpy as np
import pytest

from jaxnet.crosscheck import matrix
from jaxnet.crosscheck.backends import BACKENDS, Adapter, Backend
from jaxnet.crosscheck.backends.frameworks import installed
from jaxnet.crosscheck.bounds import rounded
from jaxnet.crosscheck.matrix import ABSENT, AGREE, DIFFERS, DISAGREE, FAILED, run

FRAMEWORKS = {"torch": "torch", "keras": "keras", "scikit-learn": "sklearn", "flax": "flax"}


def problems(found):
    return [row for row in found.rows if row.verdict not in (AGREE, DIFFERS)]


@pytest.mark.parametrize("name", ["optax", *FRAMEWORKS])
def test_every_cell_of_a_framework_is_as_expected(name):
    if name in FRAMEWORKS and installed(FRAMEWORKS[name]) is None:
        pytest.skip(f"{name} comes with [compare]")
    found = run(backends=[name])
    assert problems(found) == []
    assert found.summary["unexpected"] == 0
    backend = next(one for one in BACKENDS if one.name == name)
    cells = sum(len(one.dtypes) for several in backend.adapters.values() for one in several)
    assert len(found.rows) == cells
    for row in found.rows:
        assert (row.max_relative_error <= row.bound) == (row.verdict == AGREE)
        assert np.isfinite(row.detects) and row.arrays


def test_the_cells_of_jaxnet_are_as_expected():
    names = ["activations", "optimizers/adam", "networks/softmax_regression", "batch_norm/training"]
    found = run(names, ["numpy", "jax", "jax.jit", "jax.vmap"])
    assert problems(found) == []
    assert {row.left for row in found.rows} >= {"jax", "jax.jit", "jax.vmap"}


def test_the_reference_s_own_draws_follow_the_law():
    found = run(["initializers"], ["numpy"])
    assert [row.verdict for row in found.rows] == [AGREE] * 4


def test_a_missing_framework_is_rows_of_its_own(monkeypatch):
    monkeypatch.setattr(matrix, "installed", lambda package: None if package == "torch" else "1")
    found = run(["activations"], ["torch", "jax.jit"])
    absent = [row for row in found.rows if row.left.startswith("torch")]
    backend = next(one for one in BACKENDS if one.name == "torch")
    assert {row.algorithm for row in absent} == {
        name for name in backend.adapters if name.startswith("activations/")
    }
    assert all(row.verdict == ABSENT and "compare" in row.note for row in absent)
    assert all(np.isnan(row.max_relative_error) and not row.arrays for row in absent)
    assert found.summary["verdicts"][ABSENT] == len(absent) > 0
    assert found.summary["unexpected"] == 0
    assert found.versions["torch"] is None


def with_cell(monkeypatch, **fields):
    """A matrix of one cell, whose adapter is given."""
    backend = Backend("planted", "numpy", {"activations/tanh": (Adapter(**fields),)})
    monkeypatch.setattr(matrix, "BACKENDS", (backend,))
    (row,) = run(["activations/tanh"]).rows
    return row


def tanh(args, dtype):
    Z = args["Z"].astype(dtype)
    return {"A": np.tanh(Z), "dZ": 1 - np.tanh(Z) ** 2}


def test_a_right_cell_agrees_and_a_subset_says_so(monkeypatch):
    row = with_cell(monkeypatch, run=tanh)
    assert row.verdict == AGREE and row.arrays == ("A", "dZ")
    row = with_cell(monkeypatch, run=lambda args, dtype: {"A": tanh(args, dtype)["A"]})
    assert row.verdict == AGREE and row.arrays == ("A",)


def test_an_error_just_above_what_a_cell_detects_is_caught(monkeypatch):
    detects = with_cell(monkeypatch, run=tanh).detects

    def wrong(args, dtype):
        right = tanh(args, dtype)
        A = right["A"].copy()
        # Twice: the rounding that is there may point the other way.
        A.flat[3] += 2.01 * detects * np.abs(A).max()
        return {**right, "A": A}

    assert with_cell(monkeypatch, run=wrong).verdict == DISAGREE


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda args, dtype: 1 / 0, "ZeroDivisionError"),
        (lambda args, dtype: {}, "got none"),
        (lambda args, dtype: {"a": np.zeros(3)}, r"got \['a'\]"),
        (lambda args, dtype: None, "Type"),
    ],
)
def test_what_does_not_run_is_failed(monkeypatch, wrong, message):
    row = with_cell(monkeypatch, run=wrong)
    assert row.verdict == FAILED and re.search(message, row.note)
    assert run(["activations/tanh"]).summary["unexpected"] == 1


@pytest.mark.parametrize(
    "wrong",
    [
        lambda args, dtype: {"A": np.tanh(args["Z"]) * (1 + 1e-13)},
        lambda args, dtype: {"A": np.tanh(args["Z"]).T},
        lambda args, dtype: {"A": np.where(args["Z"] > 0, np.nan, np.tanh(args["Z"]))},
    ],
)
def test_what_is_wrong_disagrees(monkeypatch, wrong):
    row = with_cell(monkeypatch, run=wrong)
    assert row.verdict == DISAGREE
    assert run(["activations/tanh"]).summary["unexpected"] == 1


def test_a_documented_difference_has_to_be_there_and_to_be_that_one(monkeypatch):
    def doubled(args):
        return {"A": rounded(2 * np.tanh(args["Z"]), 20)}

    def of(factor):
        return lambda args, dtype: {"A": factor * np.tanh(args["Z"])}

    assert with_cell(monkeypatch, run=of(2), predicted=doubled).verdict == DIFFERS
    row = with_cell(monkeypatch, run=of(3), predicted=doubled, note="twice as large")
    assert row.verdict == DISAGREE and "differs from that too" in row.note
    row = with_cell(monkeypatch, run=of(1), predicted=doubled)
    assert row.verdict == DISAGREE


def test_a_documented_difference_that_vanished_is_not_agreement(monkeypatch):
    def wide(args):
        return {"A": rounded(np.tanh(args["Z"]), 10**6)}

    row = with_cell(monkeypatch, run=lambda a, d: {"A": np.tanh(a["Z"])}, predicted=wide)
    assert row.verdict == DISAGREE and "is not there" in row.note


def test_the_reference_is_given_an_injected_draw(monkeypatch):
    def run_on(args, dtype):
        return tanh({"Z": args["Z"] + 1 if args.get("own") else args["Z"]}, dtype)

    def inject(args, dtype):
        return {**args, "Z": args["Z"] + 1}

    right = with_cell(monkeypatch, run=tanh, inject=inject)
    assert right.verdict == AGREE
    # An adapter that draws something else than it injects is caught.
    other = with_cell(monkeypatch, run=lambda a, d: tanh({"Z": a["Z"] + 0.5}, d), inject=inject)
    assert other.verdict == DISAGREE


def test_parts_are_chosen_by_name_family_and_pattern():
    def names(*algorithms):
        return sorted({row.algorithm for row in run(algorithms, ["optax"]).rows})

    assert names("clipping") == names("clipping/") == ["clipping/global_norm", "clipping/value"]
    assert names("schedules/*time", "clipping/value") == ["clipping/value"]
    assert names("averages/*_corrected") == ["averages/exponentially_weighted_corrected"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["optimizers/adm"], None), "algorithms: .*did you mean 'optimizers/adam'"),
        ((["los"], None), "algorithms: .*did you mean 'losses'"),
        ((["networks/*gelu*"], None), "algorithms: expected one of"),
        ((None, ["pytorch"]), "backends: expected one of .*did you mean 'torch'"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(arguments, message):
    with pytest.raises(ValueError, match=message):
        run(*arguments)


def test_rows_come_as_they_are_made_and_serialise():
    seen = []
    found = run(["activations/relu", "averages"], ["jax.jit", "optax"], on_row=seen.append)
    assert tuple(seen) == found.rows
    plain = json.loads(json.dumps(found.as_dict()))
    assert set(plain) == {"versions", "rows", "summary"}
    needed = {"algorithm", "quantity", "left", "right", "dtype", "max_relative_error", "bound"}
    assert needed | {"verdict", "note", "detects", "arrays"} == set(plain["rows"][0])
    assert plain["summary"]["verdicts"][AGREE] == len(found.rows)
    # Optax has no activations: that is said, and not a row.
    assert plain["summary"]["without counterpart"]["optax"] == ["activations/relu"]


def test_the_same_run_gives_the_same_rows():
    first, again = (run(["losses/squared_error"], ["jax.jit", "optax"]).rows for _ in range(2))
    assert first == again
