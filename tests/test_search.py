"""Searches: within the budget, reproducible, resumable; and what is kept on disk."""

import json
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from jaxnet import Setup, mlp, optimizers
from jaxnet.data import datasets
from jaxnet.populations import search, sweep
from jaxnet.populations.search import STRATEGIES, rungs

KEY = jax.random.key(1)
DATA = datasets.moons(jax.random.key(0), 60, noise=0.2)
DEV = datasets.moons(jax.random.key(2), 40, noise=0.2)
SPACE = {"learning_rate": ("log_uniform", 1e-4, 1.0)}
RULES = {"adam": optimizers.adam, "momentum": optimizers.momentum}
RUN = {"key": KEY, "batch_size": 20, "dev": DEV}


def build(h):
    return Setup(mlp((2, 4, 2)), optimizers.adam(h["learning_rate"]))


def either(h):
    return Setup(mlp((2, 4, 2)), RULES[h["optimizer"]](h["learning_rate"]))


def equal(left, right):
    jax.tree.map(np.testing.assert_array_equal, left, right)


def look(strategy, **options):
    return search(
        build, SPACE, DATA, strategy=strategy, **{**RUN, "budget": 8, "epochs": 9} | options
    )


@pytest.mark.parametrize(
    ("budget", "epochs"), [(1, 1), (1, 2), (3, 9), (8, 9), (20, 27), (100, 50), (7, 10)]
)
def test_rungs_spend_the_budget_and_no_more(budget, epochs):
    ladder = rungs(budget, epochs)
    assert ladder[-1].epochs == epochs

    def cost(members):
        spent, begun = 0, 0
        for rung in ladder:
            spent += members * (rung.epochs - begun)
            members, begun = -(-members // 3), rung.epochs
        return spent

    first = ladder[0].members
    assert cost(first) <= budget * epochs < cost(first + 1)
    assert first >= budget


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_one_key_gives_one_table(strategy):
    found = look(strategy)
    assert found.table() == look(strategy).table()
    other = look(strategy, key=jax.random.key(7))
    assert (other.hypers["learning_rate"] != found.hypers["learning_rate"]).any()


def test_random_is_a_sweep_of_as_many_members():
    found = look("random")
    assert len(found.scores) == 8
    _, run_key = jax.random.split(KEY)
    again = sweep(build, found.hypers, DATA, **{**RUN, "key": run_key, "epochs": 9})
    equal(again.parts, found.parts)


def test_coarse_to_fine_closes_in():
    found = look("coarse_to_fine", budget=12)
    assert len(found.scores) == 12
    alphas = np.log(found.hypers["learning_rate"])
    best = found.order()
    first_best = next(i for i in best if i < 3)
    # The second round is drawn from a box of half the side around the best of the first.
    assert (np.abs(alphas[3:6] - alphas[first_best]) <= np.log(1e4) / 4 + 1e-5).all()
    assert len(np.unique(jax.random.key_data(found.keys), axis=0)) == 12


def test_survivors_of_halving_are_full_runs():
    """Also where two programs take turns: which one comes first changes as members are stopped."""
    space = {**SPACE, "optimizer": ("choice", ["adam", "momentum"])}
    found = search(either, space, DATA, strategy="halving", budget=8, epochs=9, **RUN)
    ladder = rungs(8, 9)
    table = found.table()
    for rung, following in zip(ladder, [*ladder[1:], None], strict=True):
        left = rung.members - (following.members if following else 0)
        assert [row["epochs"] for row in table].count(rung.epochs) == left
    _, run_key = jax.random.split(KEY)
    full = sweep(either, found.hypers, DATA, **{**RUN, "key": run_key, "epochs": 9})
    at_first = full.history["dev_error"][:, : ladder[0].epochs].min(axis=1)
    for row in table:
        member = row["member"]
        expected, got = full.member(member), found.member(member)
        equal(got.history["dev_cost"], expected.history["dev_cost"][: row["epochs"]])
        if row["epochs"] == 9:
            equal(got, expected)
    # Nobody stopped at the first rung was better there than one that went on.
    stopped = [row["member"] for row in table if row["epochs"] == ladder[0].epochs]
    going = [row["member"] for row in table if row["epochs"] > ladder[0].epochs]
    assert at_first[stopped].min() >= at_first[going].max()


def test_members_that_are_not_finite_are_stopped_first():
    space = {**SPACE, "learning_rate": ("log_uniform", 1e-3, 1e38)}
    found = search(build, space, DATA, budget=12, strategy="halving", epochs=9, **RUN)
    assert not found.finite.all()
    assert all(row["finite"] for row in found.table() if row["epochs"] == 9)


class Killed(Exception):
    pass


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_killed_after_any_chunk_it_ends_with_the_same_table(strategy, tmp_path):
    expected = look(strategy, chunk=2)
    chunks = []
    look(strategy, chunk=2, on_progress=chunks.append)
    out = tmp_path
    for after in {1, len(chunks) // 2, len(chunks) - 1}:
        seen = []

        def dies(progress, seen=seen, after=after):
            seen.append(progress)
            if len(seen) == after:
                raise Killed

        out = tmp_path / f"{after}"
        with pytest.raises(Killed):
            look(strategy, chunk=2, out=out, on_progress=dies)
        trained = []
        resumed = look(strategy, chunk=2, out=out, resume=True, on_progress=trained.append)
        assert resumed.table() == expected.table()
        equal(resumed.parts, expected.parts)
        assert trained[-1].done == chunks[-1].done
    # Everything is there: nothing is trained again, the cut does not matter.
    files = sorted((out / "chunks").iterdir())
    again = look(strategy, chunk=5, out=out, resume=True)
    assert again.table() == expected.table()
    assert sorted((out / "chunks").iterdir()) == files


SCRIPT = """
import sys, jax
from jaxnet import Setup, mlp, optimizers
from jaxnet.data import datasets
from jaxnet.populations import samplers, sweep, write_table
data = datasets.moons(jax.random.key(0), 60, noise=0.2)
build = lambda h: Setup(mlp((2, 4, 2)), optimizers.adam(h["learning_rate"]))
points = samplers.random(jax.random.key(5), {"learning_rate": ("log_uniform", 1e-4, 1.0)}, 200)
found = sweep(build, points, data, dev=data, key=jax.random.key(1), batch_size=20, epochs=3,
              chunk=1, out=sys.argv[1], resume=True)
write_table(found.table(), sys.argv[1])
"""


def test_killed_by_the_system_it_goes_on(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    command = [sys.executable, "-c", SCRIPT]
    subprocess.run([*command, str(whole)], check=True)
    process = subprocess.Popen([*command, str(killed)])
    deadline = time.monotonic() + 120
    while len(list(killed.glob("chunks/*.npz"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = len(list(killed.glob("chunks/*.npz")))
    assert 3 <= done < 200, "it was killed in the middle"
    subprocess.run([*command, str(killed)], check=True)
    assert (killed / "table.csv").read_bytes() == (whole / "table.csv").read_bytes()


ALPHAS = {"learning_rate": [0.1, 0.2]}


def test_another_run_in_the_directory_is_left_alone(tmp_path):
    sweep(build, ALPHAS, DATA, epochs=2, out=tmp_path / "a", **RUN)
    before = {p: p.read_bytes() for p in (tmp_path / "a").rglob("*") if p.is_file()}
    with pytest.raises(ValueError, match="holds this very run; go on with it by resume"):
        sweep(build, ALPHAS, DATA, epochs=2, out=tmp_path / "a", **RUN)
    with pytest.raises(ValueError, match=r"another run.*epochs: 2 there, 3 now"):
        sweep(build, ALPHAS, DATA, epochs=3, out=tmp_path / "a", resume=True, **RUN)
    other = {**ALPHAS, "learning_rate": [0.1, 0.3]}
    with pytest.raises(ValueError, match=r"another run.*hypers"):
        sweep(build, other, DATA, epochs=2, out=tmp_path / "a", resume=True, **RUN)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "table.csv").write_text("mine")
    with pytest.raises(ValueError, match="is not empty and holds no run"):
        sweep(build, ALPHAS, DATA, epochs=2, out=tmp_path / "b", **RUN)
    # Killed while it was noting what it is: that file is nobody's.
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "run.tmp").write_text("{")
    sweep(build, ALPHAS, DATA, epochs=2, out=tmp_path / "d", **RUN)
    (tmp_path / "c").write_text("mine")
    with pytest.raises(ValueError, match="is a file; give a directory"):
        sweep(build, ALPHAS, DATA, epochs=2, out=tmp_path / "c", **RUN)
    assert before == {p: p.read_bytes() for p in (tmp_path / "a").rglob("*") if p.is_file()}


def test_a_damaged_or_foreign_chunk_is_named(tmp_path):
    sweep(build, ALPHAS, DATA, epochs=2, out=tmp_path, **RUN)
    (chunk,) = (tmp_path / "chunks").iterdir()
    content = chunk.read_bytes()
    chunk.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=rf"{chunk.name}: cannot be read"):
        sweep(build, ALPHAS, DATA, epochs=2, out=tmp_path, resume=True, **RUN)
    chunk.write_bytes(content)

    def wider(h):
        return Setup(mlp((2, 5, 2)), optimizers.adam(h["learning_rate"]))

    with pytest.raises(ValueError, match="members of other shapes than build makes now"):
        sweep(wider, ALPHAS, DATA, epochs=2, out=tmp_path, resume=True, **RUN)
    for text in ("{", "[1]"):
        (tmp_path / "run.json").write_text(text)
        with pytest.raises(ValueError, match=r"run.json cannot be read"):
            sweep(build, ALPHAS, DATA, epochs=2, out=tmp_path, resume=True, **RUN)


def test_a_table_of_json_lines_is_read_by_others(tmp_path):
    from jaxnet.populations import write_table

    hypers = {"learning_rate": [0.1, 1e38], "optimizer": ["adam", "momentum"]}
    _, lines = write_table(sweep(either, hypers, DATA, epochs=2, **RUN).table(), tmp_path)
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    assert rows[1]["score"] is None and rows[0]["optimizer"] == "adam"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"space": {}}, "space: expected at least one dimension"),
        ({"space": {"learning_rate": ("log_uniform", 0, 1)}}, "expected bounds > 0"),
        ({"space": {"learning_rate": ("uniform", 1, 0)}}, "low ≤ high, got 1 and 0"),
        ({"space": {**SPACE, "beta": ("uniform", 0, 1)}}, "training function takes.*'beta'"),
        ({"budget": 0}, "budget: expected a whole number ≥ 1"),
        ({"strategy": "bayes"}, "strategy: expected one of"),
        ({"strategy": "coarse_to_fine", "budget": 3}, "budget: expected at least the 4 rounds"),
    ],
)
def test_bad_input(options, message):
    given = {"space": SPACE, "budget": 4, "epochs": 3, **RUN, **options}
    space = given.pop("space")
    with pytest.raises(ValueError, match=message):
        search(build, space, DATA, **given)
