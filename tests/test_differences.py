"""The table of differences: complete, every row executed, and a wrong mapping noticed."""

import functools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

from jaxnet import layers
from jaxnet.crosscheck import differences
from jaxnet.crosscheck.differences import ROWS, adaptive, as_dict, clipping, difference, laws, run
from jaxnet.crosscheck.differences.trajectories import RATE, by_optax, gradients
from scripts.differences import _arms as arms
from scripts.differences import _parts as parts
from scripts.differences import _rules as rules
from scripts.differences import _training as training
from scripts.differences.__main__ import document, line, main
from scripts.differences._pages import markdown

DOCS = Path(__file__).parents[1] / "docs"
BY_NAME = {row.name: row for row in ROWS}
EVERYWHERE = [row for row in ROWS if row.execute is not None and set(row.needs) <= {"sklearn"}]
"""What runs wherever the tests do."""


def _skip_without(row):
    for package in row.needs:
        pytest.importorskip(package, reason=f"row {row.name} is about {package}")


@pytest.fixture(autouse=True)
def _keras_on_jax(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_row_has_its_verdict(row):
    _skip_without(row)
    outcome = run(row)
    assert outcome.status == ("confirmed" if row.execute else "not run here"), outcome.detail


def test_the_table_is_complete():
    assert sorted({row.number for row in ROWS}) == list(differences.NUMBERS)
    assert len(BY_NAME) == len(ROWS)
    assert [row.name for row in ROWS if row.execute is None] == ["39a"]
    assert "GPU" in BY_NAME["39a"].note
    for row in ROWS:
        verdict = row.verdict
        assert verdict in ("agree", "cannot agree") or verdict.startswith("agree if "), row.name
        assert row.sides and row.topic, row.name
        assert row.mapping or verdict == "cannot agree", row.name


@pytest.mark.parametrize("row", EVERYWHERE, ids=[row.name for row in EVERYWHERE])
def test_an_error_of_ten_bounds_contradicts_the_row(row, monkeypatch):
    """Every agreement and every predicted value rests on `compare`: one side is pushed off."""
    true_compare = difference.compare

    def pushed(left, right, *, bound=None, terms=difference.TERMS):
        outcome = true_compare(left, right, bound=bound, terms=terms)
        leaf = outcome.leaves[0]._replace(ratio=10.0)
        return outcome._replace(agrees=False, leaves=(leaf, *outcome.leaves[1:]))

    monkeypatch.setattr(difference, "compare", pushed)
    monkeypatch.setattr("jaxnet.crosscheck.differences.laws.distance", lambda *_: (1.0, 0.0))
    assert run(row).status == "contradicted"


# Laws are told apart by their own distance and 35d by an infinity, both without `compare`.
WITHOUT = [
    row for row in EVERYWHERE
    if row.verdict.startswith("agree if") and row.number not in (23, 25, 26) and row.name != "35d"
]  # fmt: skip


@pytest.mark.parametrize("row", WITHOUT, ids=[row.name for row in WITHOUT])
def test_no_difference_without_the_mapping_contradicts_the_row(row, monkeypatch):
    true_compare = difference.compare

    def alike(left, right, **options):
        del right
        return true_compare(left, left, **options)

    monkeypatch.setattr(difference, "compare", alike)
    assert run(row).status == "contradicted"


def test_a_wrong_mapping_is_noticed(monkeypatch):
    """Rows 1 and 5 with a mapping that is off: β for 1−β, and the other place of ε."""
    momentum = differences.momentum
    monkeypatch.setattr(momentum, "BETA", 0.8)
    monkeypatch.setattr(momentum, "textbook", lambda rate, path=momentum.textbook: path(2 * rate))
    assert run(BY_NAME["1a"]).status == "contradicted"

    plain = optax.rmsprop

    @functools.wraps(plain)  # keeps its signature, whose defaults the row reads
    def same_place(*args, **options):
        return plain(*args, **{**options, "eps_in_sqrt": True})

    monkeypatch.setattr(optax, "rmsprop", same_place)
    outcome = run(BY_NAME["5a"])
    assert outcome.status == "contradicted" and "eps_in_sqrt=False" in outcome.detail


def test_a_wrong_prediction_is_noticed():
    claim = "a half against a whole"
    right = difference.differ_as_predicted(claim, [0.5], [1.0], [0.5], [1.0])
    assert right.holds and right.measured == right.expected == 0.5
    assert not difference.differ_as_predicted(claim, [0.5], [1.0], [0.6], [1.0]).holds
    assert not difference.differ_as_predicted(claim, [0.5], [1.0], [0.5], [1.1]).holds
    assert not difference.differ_as_predicted(claim, [0.5], [0.5], [0.5], [0.5]).holds
    assert difference.differ_as_predicted(claim, [np.nan], [0.0], [np.nan], [0.0]).holds
    assert not difference.differ_as_predicted(claim, [np.nan], [0.0], [1.0], [0.0]).holds
    assert not difference.differ_as_predicted(claim, [np.inf], [0.0], [-np.inf], [0.0]).holds


def test_laws_are_told_apart():
    draws = np.random.default_rng(0).standard_normal(60_000)
    assert laws.follows("itself", draws, laws.normal(1.0)).holds
    assert not laws.does_not_follow("itself", draws, laws.normal(1.0)).holds
    wrong = [laws.normal(1.1), laws.normal(0.9), laws.truncated(1 / laws.KEPT), laws.uniform(3.0)]
    for law in wrong:
        assert not laws.follows("another", draws, law).holds
        assert laws.does_not_follow("another", draws, law).holds
    assert stats.truncnorm(-2, 2).std() == pytest.approx(laws.KEPT, rel=1e-12)


def test_shares_are_compared_with_their_odds():
    rng = np.random.default_rng(0)
    left, right = rng.random(20_000) < 0.3, np.zeros(20_000)
    assert laws.share_as_predicted("", left, right, (0.3, 0.0)).holds
    assert not laws.share_as_predicted("", left, right, (0.33, 0.0)).holds
    assert not laws.share_as_predicted("", left, left, (0.3, 0.3)).holds


def test_another_default_is_noticed():
    def function(*, eps=1e-8):
        return eps

    assert difference.default("ε", function, "eps", 1e-8).holds
    assert not difference.default("ε", function, "eps", 1e-7).holds
    assert not difference.is_default("a flag, not 1", True, 1).holds


def test_shapes_that_differ_are_no_difference():
    with pytest.raises(ValueError, match="can be compared"):
        difference.differ("shapes", np.zeros(3), np.zeros(4))


@pytest.mark.parametrize(
    ("verdict", "kinds", "lacks"),
    [
        ("agree", ["differ"], "an agreement"),
        ("agree if mapped", ["agree"], "a difference without it"),
        ("agree if mapped", ["differ"], "an agreement and"),
        ("cannot agree", ["agree", "differ"], "a predicted difference"),
        ("perhaps", ["agree"], "one of"),
    ],
)
def test_a_verdict_needs_its_checks(verdict, kinds, lacks):
    checks = [difference.Check("", kind, True, 0.0, 0.0, 0.0) for kind in kinds]
    row = difference.Difference(1, "", "", {}, verdict, lambda: checks)
    outcome = run(row)
    assert outcome.status == "contradicted" and lacks in outcome.detail


def test_a_missing_framework_is_no_pass(monkeypatch):
    monkeypatch.setattr(difference, "installed", lambda name: None)
    outcome = run(BY_NAME["3b"])
    assert (outcome.status, outcome.detail, outcome.checks) == ("not installed", "sklearn", ())
    assert "not installed" in line(outcome)


def test_json_round_trip():
    outcomes = [run(BY_NAME[name]) for name in ("1a", "35d", "40a", "39a")]
    found = document(outcomes, [(arms.PAIRS[0], training.effect(np.arange(3.0), np.zeros(3)))])
    text = json.dumps(found, allow_nan=False)
    assert json.loads(text) == found
    assert [row["status"] for row in found["rows"]] == ["confirmed"] * 3 + ["not run here"]
    assert found["rows"][2]["checks"][0]["measured"] == "nan"
    assert found["effects"][0]["mean_points"] == 1.0
    page = markdown(found)
    assert "needs a GPU" in page and "+1.00 [" in page
    assert as_dict(outcomes[0])["verdict"] == BY_NAME["1a"].verdict


def test_a_file_that_cannot_be_written_is_said_first(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["--json", str(tmp_path / "missing" / "differences.json")])
    out, error = capsys.readouterr()
    assert not out and "expected its directory to exist" in error


def test_the_committed_table_is_this_one():
    found = json.loads((DOCS / "differences.json").read_text(encoding="utf-8"))
    rows = {f"{row['number']}{row['part']}": row for row in found["rows"]}
    assert list(rows) == list(BY_NAME)
    for name, row in rows.items():
        mine = BY_NAME[name]
        assert (row["verdict"], row["sides"]) == (mine.verdict, dict(mine.sides)), name
        assert row["status"] == ("confirmed" if mine.execute else "not run here"), name
    told = [(one["row"], one["what"], one["left"], one["right"]) for one in found["effects"]]
    assert told == [(p.row, p.what, p.left.name, p.right.name) for p in arms.PAIRS]
    assert all(one["seeds"] == 20 for one in found["effects"])
    assert (DOCS / "differences.md").read_text(encoding="utf-8") == markdown(found)


# The effects.


def test_the_interval_is_student_s():
    left = np.array([95.0, 96.5, 94.0, 97.0, 95.5])
    right = np.array([94.0, 96.0, 94.5, 95.0, 95.0])
    interval = stats.ttest_rel(left, right).confidence_interval(0.95)
    outcome = training.effect(left, right)
    np.testing.assert_allclose((outcome.low, outcome.high), interval, rtol=1e-12)
    assert outcome.mean == pytest.approx((left - right).mean(), rel=1e-14)


@pytest.mark.parametrize(
    ("apart", "verdict"),
    [
        ([0.5, 0.6, 0.4, 0.5], "matters"),
        ([-0.5, -0.6, -0.4, -0.5], "matters"),
        ([0.1, 0.11, 0.09, 0.1], "does not matter at this size"),
        ([1.0, -0.5, 0.5, 0.3], "undecided"),
        # Excludes 0, but the mean is below 0.2 and the interval is not.
        ([0.14, 0.22, 0.17, 0.23], "undecided"),
    ],
)
def test_the_criterion(apart, verdict):
    assert training.effect(np.array(apart), np.zeros(4)).verdict == verdict


def test_every_pair_is_about_a_row():
    numbers = {str(row.number) for row in ROWS}
    assert {pair.row for pair in arms.PAIRS} <= numbers | {""}
    for pair in arms.PAIRS:
        assert pair.left._replace(name="") != pair.right._replace(name=""), pair.what


@pytest.mark.f64
def test_rules_of_the_arms_are_those_of_the_rows():
    grads = gradients()
    adam = {"bound": 1e-12}  # as the rows: 2,000 roundings of parameters of up to 2.5
    falling = adaptive.FALLING
    pairs = [
        (parts.adam_hat(RATE, 1e-3), grads, adaptive._adam_path(grads, adaptive._hat(1e-3))),
        (parts.amsgrad_raw(RATE), falling, adaptive._adam_path(falling, lambda t: 1e-8, "raw")),
        (parts.nadam(RATE, 0.004), grads, adaptive._nadam_path(0.004, 1e-8)),
    ]
    for rule, given, path in pairs:
        assert difference.agree("", by_optax(rule, given), path, **adam).holds
    buffer, position, path = grads[0], differences.momentum.parameters(), []
    for t, gradient in enumerate(grads):
        buffer = gradient if t == 0 else 0.9 * buffer + (1 - 0.9) * gradient
        position = position - RATE * buffer
        path.append(position)
    assert difference.agree("", by_optax(parts.dampened(RATE, 0.9), grads), np.stack(path)).holds


@pytest.mark.f64
def test_adagrad_of_the_arms_is_torch_s():
    grads = gradients()
    moves = 0.01 * grads / (np.sqrt(np.cumsum(grads**2, axis=0)) + 1e-10)
    path = differences.momentum.parameters() - np.cumsum(moves, axis=0)
    assert difference.agree("", by_optax(rules._adagrad_torch({}), grads), path).holds


def test_relu_of_the_arms_differs_at_0_alone():
    z = jnp.array([-1.0, 0.0, 2.0])
    slopes = jax.vmap(jax.grad(arms._relu_at, argnums=1), in_axes=(None, 0))(0.5, z)
    np.testing.assert_array_equal(slopes, [0.0, 0.5, 1.0])
    np.testing.assert_array_equal(arms._relu_at(0.5, z), [0.0, 0.0, 2.0])


@pytest.mark.f64
def test_layer_norm_of_the_arms_normalises_each_example():
    z = jax.random.normal(jax.random.key(0), (7, 4))
    params = layers.BatchNormParams(jnp.ones(4), jnp.zeros(4))
    out, _ = parts.layer_norm(1e-3)(params, (), z, True)
    assert difference.agree(
        "", out, differences.normalisation._layer_norm(np.asarray(z), 1e-3)
    ).holds


@pytest.mark.f64
def test_clips_of_the_arms_are_those_of_the_rows():
    grads = {name: jnp.asarray(value) for name, value in clipping._two().items()}
    each = parts.clip_each(3.5).update(grads, optax.EmptyState())[0]
    expected = {"first": grads["first"], "second": 3.5 / 4 * grads["second"]}
    assert difference.agree("", each, expected).holds
    together = parts.clip_torch(3.5).update(grads, optax.EmptyState())[0]
    scaled = jax.tree.map(lambda g: 3.5 / (5 + 1e-6) * g, grads)
    assert difference.agree("", together, scaled).holds


@pytest.mark.f64
def test_batch_norm_of_the_arms_is_jaxnet_s():
    z = jax.random.normal(jax.random.key(0), (7, 4))
    params = layers.BatchNormParams(jnp.arange(1.0, 5.0), jnp.ones(4))
    state = layers.BatchNormState(jnp.zeros(4), jnp.ones(4))
    out, batch = layers.batch_norm(params, z)
    ours, kept = parts.batch_norm()(params, state, z, True)
    assert difference.agree("", ours, out).holds
    assert difference.agree("", kept, layers.update_running(state, batch)).holds
    unbiased = parts.batch_norm(unbiased=True)(params, state, z, True)[1]
    assert difference.agree("", unbiased.var, 0.99 + 0.01 * 7 / 6 * batch.var).holds
    running = parts.batch_norm(by_running=True)(params, state, z, True)[0]
    assert difference.agree("", running, layers.batch_norm_evaluate(params, kept, z)).holds


def test_a_run_is_paired_and_learns():
    arm = rules.SGD_01
    first, again = (training.accuracies(arm, 2) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.min() > 90  # one class in ten is 10 %
    slower = training.accuracies(arm._replace(hyper={"rate": 1e-4}), 2)
    assert training.effect(first, slower).mean > 5
