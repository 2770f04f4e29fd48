"""`jaxnet sweep`: what it trains, writes and prints, what it refuses, and going on after a kill."""

import builtins
import csv
import json
import math
import signal
import subprocess
import sys
import time
from typing import Any

import jax
import numpy as np
import pytest
from matplotlib.image import imread

from jaxnet import Carry, cli, populations, step
from jaxnet.cli import pictures, plan
from jaxnet.cli import sweep as command
from jaxnet.cli.hyperparameters import NAMES, RULES, check_effect, check_names, make_build
from jaxnet.cli.task import read_task
from jaxnet.populations import Part, Population
from jaxnet.training import Run
from jaxnet.training.run import Best

SPACE = """
learning_rate = { log_uniform = [1e-3, 1.0] }
beta = { one_minus_log_uniform = [0.5, 0.99] }
optimizer = { choice = ["momentum"] }
"""
QUICK = {"dataset": "moons", "members": 6, "epochs": 2, "batch-size": 300, "hidden": "4"}


@pytest.fixture(autouse=True)
def started(monkeypatch):
    """JAX has started in this process, too late for other devices."""
    monkeypatch.setattr(populations, "use_all_cores", lambda: 1)


@pytest.fixture(autouse=True)
def unsaved(monkeypatch, request):
    """Pictures are drawn everywhere and made into files where a test looks at them."""
    if not request.node.name.startswith("test_tables_pictures"):
        monkeypatch.setattr(pictures, "save", lambda figure, file: file.touch())


@pytest.fixture
def ask(tmp_path, capsys):
    """Run the command on a space, given as text, into `out`; returns status, stdout, stderr."""

    def run(text=SPACE, *flags, **options):
        file = tmp_path / "space.toml"
        file.write_text(text, encoding="utf-8")
        given = {"space": file, "out": tmp_path / "out"} | QUICK | options
        listed = [f"--{name}={value}" for name, value in given.items() if value is not None]
        with pytest.raises(SystemExit) as stopped:
            cli.main(["sweep", *listed, *flags])
        said = capsys.readouterr()
        return stopped.value.code, said.out, said.err

    return run


def table(out):
    with (out / "table.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# ------------------------------------------------------------------ what it does


def test_tables_pictures_leaderboard_and_the_winners_test_error(ask, tmp_path):
    code, said, err = ask()
    out = tmp_path / "out"
    assert code == 0 and err == "" and "\x1b" not in said
    rows = table(out)
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    scores = [float(row["score"]) for row in rows]
    assert scores == sorted(scores)
    lines = (out / "table.jsonl").read_text().splitlines()
    assert [json.loads(line)["member"] for line in lines] == [int(row["member"]) for row in rows]
    for name in ("search.png", "curves.png"):
        assert imread(out / name).shape[1] == 1350
    assert f"the best is member {rows[0]['member']}: learning_rate" in said
    assert said.count("test error") == 1
    head = next(line for line in said.splitlines() if line.startswith("rank"))
    assert " ".join(head.split()) == (
        "rank member learning_rate beta optimizer dev error at epoch of"
    )
    assert {path.name for path in out.iterdir()} == {
        "curves.png", "members", "search.png", "sweep.json", "table.csv", "table.jsonl",
    }  # fmt: skip


def test_halving(ask, tmp_path):
    code, _, _ = ask(strategy="halving", members=4, epochs=3)
    rows = table(tmp_path / "out")
    assert code == 0 and len(rows) > 4 and {row["epochs"] for row in rows} == {"1", "3"}


@pytest.mark.parametrize(("members", "subset"), [(6, False), (4, True)])
def test_a_grid_whole_or_a_subset_by_the_seed(members, subset):
    space = check_names(
        {"learning_rate": ("uniform", 0.0, 1.0), "activation": ("choice", ["relu", "tanh"])}
    )

    def points(seed):
        request = plan.Request("moons", space, (4,), members, 1, 64, "grid", 3, seed)
        found = plan.grid_points(request)
        return list(zip(*(np.asarray(values).tolist() for values in found.values()), strict=True))

    whole = [(rate, word) for rate in (0.0, 0.5, 1.0) for word in ("relu", "tanh")]
    assert len(points(0)) == members and set(points(0)) <= set(whole)
    assert points(0) == points(0)
    assert any(points(0) != points(seed) for seed in range(1, 6)) is subset


def test_regression_is_in_the_targets_unit(ask, tmp_path):
    code, said, _ = ask(
        "learning_rate = { choice = [0.03] }", dataset="diabetes", strategy="coarse_to_fine",
        members=4, epochs=5, **{"batch-size": 64},
    )  # fmt: skip
    scores = [float(row["score"]) for row in table(tmp_path / "out")]
    assert code == 0 and all(40 < score < 150 for score in scores)  # the targets' σ is 77
    assert f"{scores[0]:.3g}" in said and "%" not in said


def test_what_diverges_is_counted_and_a_run_of_nothing_else_fails(ask, tmp_path):
    space = (
        'learning_rate = { choice = [0.1, 1e30] }\noptimizer = { choice = ["gradient_descent"] }'
    )
    code, said, _ = ask(space, strategy="grid", members=2, **{"points-per-axis": 1})
    assert code == 0 and "1 met a number that is not finite" in said and "not finite" in said
    rows = table(tmp_path / "out")
    assert [row["finite"] for row in rows] == ["True", "False"]
    code, said, err = ask(space.replace("0.1, ", ""), members=2, out=tmp_path / "none")
    assert code == 1 and err.startswith("jaxnet: best: every one of the 2") and "test" not in said
    assert err.count("\n") == 1 and len(table(tmp_path / "none")) == 2


def test_progress_on_a_terminal_only(capsys, monkeypatch):
    task = read_task("moons")
    for terminal in (False, True):
        monkeypatch.setattr("sys.stderr.isatty", lambda answer=terminal: answer, raising=False)
        with command.progress(task) as on_progress:
            assert (on_progress is not None) is terminal
            if on_progress is not None:
                on_progress(populations.Progress(2, 6, math.nan))
                on_progress(populations.Progress(6, 6, 0.05))
    said = capsys.readouterr()
    assert "6/6" in said.err and "members/s" in said.err and "best 5 %" in said.err
    assert said.out == ""


# ------------------------------------------------------------------ the network


EVERYTHING = {
    "learning_rate": ("log_uniform", 1e-3, 1e-1),
    "optimizer": ("choice", list(RULES)),
    "beta": ("one_minus_log_uniform", 0.5, 0.99),
    "b1": ("uniform", 0.5, 0.9),
    "b2": ("choice", [0.99, 0.999]),
    "eps": ("log_uniform", 1e-8, 1e-6),
    "decay_rate": ("uniform", 0.0, 1.0),
    "l2": ("log_uniform", 1e-3, 1.0),
    "l1": ("choice", [0, 1]),
    "keep_prob": ("choice", [1, 0.5]),
    "init_scale": ("uniform", 0.5, 1.0),
    "initializer": ("choice", ["he", "glorot"]),
    "activation": ("choice", ["relu", "tanh"]),
    "batch_norm": ("choice", [True, False]),
    "width": ("integers", 2, 5),
    "depth": ("integers", 1, 2),
    "batch_size": ("choice", [150, 300]),
    "seed": ("integers", 0, 9),
}


def test_every_name_is_taken_and_reaches_the_network():
    task = read_task("moons")
    space = check_names(EVERYTHING)
    assert set(space) == set(NAMES)
    build = make_build(task, space, (), 100)
    check_effect(build, space)
    chosen = {name: values[-1] for name, values in space.items()}
    chosen |= {"optimizer": "adam", "b2": 0.999, "batch_norm": True, "activation": "tanh"}
    chosen |= {"initializer": "he", "keep_prob": 1.0, "l1": 1.0, "batch_size": 150}
    params, state = build(chosen).model.init(jax.random.key(0))
    assert [layer.w.shape for layer in params] == [(2, 5), (5, 5), (5, 1)] and len(state) == 2
    narrow, _ = build(chosen | {"width": 2}).model.init(jax.random.key(0))
    assert not narrow[1].w[:, 2:].any() and narrow[1].w[:2, :2].all()
    numbers = {name: value for name, value in chosen.items() if isinstance(value, float)}
    assert len(numbers) == 10

    def update(numbers):
        setup = build(chosen | numbers)
        params, state = setup.model.init(jax.random.key(0))
        carry = Carry(params, state, setup.optimizer.init(params))
        return step(setup, carry, task.data.dev, jax.random.key(1))

    grown = jax.make_jaxpr(update)(numbers).jaxpr
    used = {id(variable) for equation in grown.eqns for variable in equation.invars}
    unused = [name for name, one in zip(sorted(numbers), grown.invars, strict=True)
              if id(one) not in used]  # fmt: skip
    assert unused == ["beta"]  # which adam has not


def test_losses_by_the_targets():
    outputs = {name: read_task(name).outputs for name in ("digits", "spirals", "moons", "diabetes")}
    assert outputs == {"digits": 10, "spirals": 3, "moons": 1, "diabetes": 1}


# ------------------------------------------------------------------ what it refuses


@pytest.mark.parametrize(
    ("space", "options", "said"),
    [
        ("", {}, "at least one dimension"),
        ("learning_rate = {", {}, "not TOML"),
        ("learning_rate = { log_uniform = [1, 0.1] }", {}, "low ≤ high"),
        ("learning_rate = { log_uniform = [0, 0.1] }", {}, "bounds > 0"),
        ("learning_rate = { uniform = [-1, 1] }", {}, "learning_rate: expected a finite number ≥"),
        ("keep_prob = { uniform = [0, 1] }", {}, "keep_prob: expected a probability"),
        ("beta = { choice = [1.0] }", {}, "beta: expected a factor in [0, 1)"),
        ("l2 = { choice = ['a'] }", {}, "l2: expected a finite number"),
        ("width = { uniform = [2, 4] }", {"hidden": None}, "width: expected whole numbers"),
        ("width = { integers = [0, 4] }", {"hidden": None}, "width: expected a whole number ≥ 1"),
        ("activation = { uniform = [0, 1] }", {}, "choice = ["),
        ("activation = { choice = ['rely'] }", {}, "did you mean 'relu'?"),
        ("batch_norm = { choice = [1] }", {}, "batch_norm: expected True or False"),
        ("learning_rat = { uniform = [0, 1] }", {}, "did you mean 'learning_rate'?"),
        ("beta = { uniform = [0, 0.9] }", {}, "'b1', 'b2', 'batch_norm'"),  # with adam
        ("width = { integers = [2, 4] }", {}, "--hidden: the space gives the width"),
        ("depth = { integers = [1, 2] }", {"hidden": "4,4"}, "the space gives the depth"),
        ("batch_size = { choice = [9, 901] }", {}, "batch_size: expected at most the 900 examples"),
        (SPACE, {"members": 0}, "--members: expected a whole number ≥ 1"),
        (SPACE, {"batch-size": 901}, "at most the 900 examples"),
        (SPACE, {"hidden": "4,x"}, "--hidden: expected sizes such as 64,32"),
        (SPACE, {"dataset": "mons"}, "--dataset: expected one of breast_cancer, circles"),
        (SPACE, {"strategy": "rand"}, "did you mean 'random'?"),
        (SPACE, {"strategy": "grid"}, "--points-per-axis and --strategy grid go together"),
        (SPACE, {"points-per-axis": 2}, "--points-per-axis and --strategy grid go together"),
        (SPACE, {"strategy": "grid", "points-per-axis": 0}, "--points-per-axis: expected a whole"),
        (SPACE, {"strategy": "grid", "points-per-axis": 2}, "4 points, 2 × 2 × 1; give at most"),
        (SPACE, {"strategy": "grid", "points-per-axis": 2000}, "more than 1,000,000"),
        (SPACE, {"strategy": "coarse_to_fine", "members": 3}, "at least the 4 rounds"),
        (SPACE, {"space": "nowhere.toml"}, "nowhere.toml: No such file"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_and_status_2_and_nothing_is_written(
    ask, tmp_path, space, options, said
):
    code, out, err = ask(space, **options)
    assert code == 2 and said in err and out == ""
    assert err.startswith("jaxnet: ") and err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_with_a_choice_of_optimizers_the_numbers_of_all_are_fine():
    space = check_names(
        {
            "optimizer": ("choice", ["adam", "momentum"]),
            "beta": ("uniform", 0.0, 0.9),
            "b1": ("uniform", 0.0, 0.9),
        }
    )
    check_effect(make_build(read_task("moons"), space, (4,), 64), space)


def test_another_sweeps_directory_is_left_alone_and_the_difference_named(ask, tmp_path):
    assert ask()[0] == 0
    out = tmp_path / "out"
    before = {path: path.read_bytes() for path in out.iterdir() if path.is_file()}
    code, _, err = ask()
    assert code == 2 and "holds this very run; go on with it by --resume" in err
    for flags in ((), ("--resume",)):
        code, _, err = ask(SPACE.replace("1.0", "0.5"), *flags, members=7)
        assert code == 2 and "holds another run" in err
        assert "members: 6 there, 7 now; space.learning_rate" in err and "epochs" not in err
    assert ask(SPACE, "--resume")[0] == 0  # a finished one is printed again
    for path in before:
        assert path.suffix == ".png" or path.read_bytes() == before[path]


def test_what_is_no_sweeps_is_left_alone(ask, tmp_path):
    mine = tmp_path / "out" / "table.csv"
    mine.parent.mkdir()
    mine.write_text("mine")
    for flags in ((), ("--resume",)):
        code, _, err = ask(SPACE, *flags)
        assert code == 2 and "is not empty and holds no run" in err
    code, _, err = ask(out=mine)
    assert code == 2 and "is a file" in err
    assert mine.read_text() == "mine" and len(list(mine.parent.iterdir())) == 1
    (mine.parent / "sweep.json").write_text("[1]")
    code, _, err = ask(SPACE, "--resume")
    assert code == 2 and "cannot be read" in err


def test_debug_shows_where_a_mistake_arises(tmp_path):
    options = ["--dataset", "moons", "--space", "nowhere.toml", "--out", str(tmp_path / "o")]
    with pytest.raises(cli.Mistake, match="nowhere"):
        cli.main(["sweep", *options, "--debug"])


@pytest.mark.parametrize("absent", ["tyro", "rich", "matplotlib", "sklearn"])
def test_a_missing_package_is_named_with_what_installs_it(ask, tmp_path, monkeypatch, absent):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.split(".")[0] == absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    if absent == "matplotlib":
        monkeypatch.delitem(sys.modules, "jaxnet.cli.pictures")
        monkeypatch.delattr(cli, "pictures")
    code, _, err = ask(dataset="digits")
    extra = "figures" if absent == "sklearn" else "train"
    assert code == 2 and f"jaxnet-suite[{extra}]" in err and not (tmp_path / "out").exists()
    assert absent in err or "scikit-learn" in err


def test_jax_that_has_started_already_is_a_failed_run(ask, monkeypatch):
    def late():
        raise RuntimeError("use_all_cores: JAX has started already")

    monkeypatch.setattr(populations, "use_all_cores", late)
    code, _, err = ask()
    assert code == 1 and err == "jaxnet: use_all_cores: JAX has started already\n"


# ------------------------------------------------------------------ the pictures


def test_what_explains_the_ranks():
    rng = np.random.default_rng(0)
    x = rng.uniform(size=400)
    quarters = np.floor(4 * x)
    assert pictures.share_explained(quarters, x) > 0.9
    noise = [pictures.share_explained(quarters, rng.uniform(size=400)) for _ in range(20)]
    assert max(noise) < 0.05
    failed = np.where(quarters == 3, math.nan, rng.uniform(size=400))
    assert pictures.share_explained(quarters, failed) > 0.4
    assert pictures.share_explained(np.zeros(5), x[:5]) == 0


def population(hypers):
    """Four members as halving leaves them: two stopped after one epoch, one of NaN."""

    def part(members, errors):
        errors = np.array(errors)
        history = {"dev_error": errors, "dev_cost": errors, "cost": errors[..., None]}
        measured: list[Any] = [errors.argmin(1), errors.min(1), errors[:, 0]]
        lowest = Best(*measured, params=np.zeros(len(members)), state=np.zeros(len(members)))
        return Part(np.array(members), Run(None, None, None, history, lowest))

    parts = part([1, 3], [[0.5], [math.nan]]), part([0, 2], [[0.5, 0.02], [0.4, 0.1]])
    scores = np.array([0.02, 0.5, 0.1, math.nan])
    return Population(hypers, None, parts, scores, ~np.isnan(scores))


def test_panels_have_the_scales_of_the_space():
    space = check_names(
        {
            "learning_rate": ("log_uniform", 1e-3, 1.0),
            "b1": ("one_minus_log_uniform", 0.5, 0.99),
            "l2": ("uniform", 0, 1),
            "init_scale": ("choice", [0.5, 1]),
        }
    )
    found = population(
        {
            "learning_rate": np.array([1e-3, 1e-1, 1.0, 0.5]),
            "b1": np.array([0.5, 0.9, 0.99, 0.7]),
            "l2": np.array([0.0, 0.5, 1.0, 0.2]),
            "init_scale": np.array([0.5, 1.0, 1.0, 0.5]),
        }
    )
    task = read_task("moons")
    figure = pictures.search(found, space, task)
    assert [ax.get_xscale() for ax in figure.axes] == ["log", "log", "linear", "linear"]
    assert figure.axes[1].get_xlabel() == "1 − b1 β₁"
    assert [text.get_text() for text in figure.axes[3].get_xticklabels()] == ["0.5", "1.0"]
    assert figure.get_suptitle() == "Best of 4: dev error 2 %"
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["member", "1 stopped early", "1 not finite, at the top edge", "best"]
    (ax,) = pictures.curves(found, space, task).axes
    assert ax.get_ylabel() == "dev error (%)" and "2 %, at epoch 1; half reach" in ax.get_title()
    assert [len(lines.get_paths()) for lines in ax.collections] == [3, 1]


# ------------------------------------------------------------------ a kill


def test_killed_and_resumed_it_ends_with_the_same_table(ask, tmp_path):
    size = {"members": 150, "epochs": 20}
    assert ask(**size)[0] == 0  # on one device here, on all cores there
    killed = tmp_path / "killed"
    options = {"space": tmp_path / "space.toml", "out": killed} | QUICK | size
    # Two cores, or a chunk of a large machine would be all of it.
    limited = (
        "import os; cores = sorted(os.sched_getaffinity(0))[:2]; os.sched_setaffinity(0, cores); "
        "import runpy; runpy.run_module('jaxnet', run_name='__main__')"
    )
    arguments = [sys.executable, "-c", limited, "sweep"]
    arguments += [f"--{name}={value}" for name, value in options.items()]
    first = subprocess.Popen(arguments)
    deadline = time.monotonic() + 120
    while not list((killed / "members").glob("chunks/*.npz")) and time.monotonic() < deadline:
        time.sleep(0.005)
    first.send_signal(signal.SIGKILL)
    first.wait()
    chunks = len(list((killed / "members").glob("chunks/*.npz")))
    assert chunks and not (killed / "table.csv").exists()
    again = subprocess.run([*arguments, "--resume"], capture_output=True, text=True, check=True)
    assert "with those found there" in again.stdout and again.stderr == ""
    assert len(list((killed / "members").glob("chunks/*.npz"))) > chunks
    assert (killed / "table.csv").read_bytes() == (tmp_path / "out" / "table.csv").read_bytes()
