"""Supervised learning on three real tasks, all by the same few functions.

Regression (diabetes: how far the disease goes in a year; linear output), a yes-or-no question
(breast cancer, standing in for the click on an advertisement) and image classification (the
digits). The first two are structured data, tables whose columns mean something; the third is
unstructured, pixels. Every seed cuts a fresh 70/30 split, normalizes with the training part,
trains one hidden layer and is held, on its test part, against the trivial guess from the
training part: the mean or the most frequent class. Answers figures 1 to 3 of the notes.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxnet import Dataset, Setup, evaluate, losses, make_train, mlp, optimizers, predict
from jaxnet.data import datasets, normalization, splits
from jaxnet.regularizers import l2
from scripts.harness import (
    INK,
    Claim,
    above,
    below,
    new_figure,
    run_alone,
    seed_keys,
    series,
    statistical,
)

TITLE = "Regression, a yes-or-no question and images by the same functions"
NOTES_SECTION = "Introduce"
NOTES_FIGURES = (1, 2, 3)

# One recipe for all three, so that nothing is tuned to a task.
HIDDEN_UNITS = 32
LEARNING_RATE = 0.01
L2 = 1.0
BATCH_SIZE = 64
SHOWN = 24


class Task(NamedTuple):
    """One row of the notes' table. classes: of the targets, 0 for a real number."""

    classes: int
    outputs: int
    loss: Callable[..., jax.Array]


TASKS = {
    "diabetes": Task(0, 1, losses.squared_error),
    "breast_cancer": Task(2, 1, losses.binary_cross_entropy),
    "digits": Task(10, 10, losses.softmax_cross_entropy),
}


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    keys = seed_keys(key, quick)
    epochs = 5 if quick else 20
    return {name: _run(name, keys, epochs) for name in TASKS}


def _run(name: str, keys: jax.Array, epochs: int) -> dict[str, Any]:
    """Test error and trivial error (seeds,), in the target's unit or as shares; some examples."""
    parts = datasets.load(name)
    whole = Dataset(*(jnp.asarray(np.concatenate(arrays)) for arrays in zip(*parts, strict=True)))
    one_seed = partial(_learn, TASKS[name], epochs)
    measured = jax.device_get(jax.jit(lambda keys, whole: _map(one_seed, keys, whole))(keys, whole))
    examples = {field: measured.pop(field)[0] for field in ("rows", "y", "prediction")}
    return measured | examples | {"x": np.asarray(whole.x)[examples["rows"]]}


def _map(one_seed: Callable[..., Any], keys: jax.Array, whole: Dataset) -> Any:
    # Mapped rather than vmapped: as fast here, and half as long to compile.
    return jax.lax.map(lambda key: one_seed(key, whole), keys)


def _learn(task: Task, epochs: int, key: jax.Array, whole: Dataset) -> dict[str, jax.Array]:
    """One seed: split, normalize, train, test."""
    split_key, train_key = jax.random.split(key)
    rows, test_rows = splits.split(split_key, len(whole.x), (0.7, 0.3))
    train, test = (Dataset(whole.x[part], whole.y[part]) for part in (rows, test_rows))
    inputs = normalization.fit(train.x)
    if task.classes:
        scale, shift = 1.0, 0.0
        frequent = jnp.bincount(train.y, length=task.classes).argmax()
        trivial = (test.y != frequent).mean()
        targets = train.y
    else:
        shift, scale = normalization.fit(train.y)
        trivial = jnp.sqrt(jnp.square(test.y - shift).mean())
        targets = (train.y - shift) / scale

    model = mlp((whole.x.shape[1], HIDDEN_UNITS, task.outputs))
    setup = Setup(model, optimizers.adam(LEARNING_RATE), task.loss, l2(L2, m=len(rows)))
    train_run = make_train(lambda _: setup, batch_size=BATCH_SIZE, epochs=epochs, drop_last=True)
    run = train_run(train_key, None, Dataset(normalization.apply(inputs, train.x), targets))

    x = normalization.apply(inputs, test.x)
    held = Dataset(x, test.y if task.classes else (test.y - shift) / scale)
    error = evaluate(model, run.params, run.state, held, loss=task.loss).error * scale
    prediction = predict(model, run.params, run.state, x, loss=task.loss) * scale + shift
    return {
        "error": error,
        "trivial": trivial,
        "rows": test_rows[:SHOWN],
        "y": test.y[:SHOWN],
        "prediction": prediction[:SHOWN],
    }


def draw(measurements: dict[str, Any]) -> Figure:
    figure, axes = new_figure(
        2,
        3,
        title="One recipe learns from tables and from pixels, far better than the trivial guess",
        height_ratios=(1, 1.25),
        height=6.4,
    )
    diabetes, cancer, digits = (measurements[name] for name in TASKS)
    _table(
        axes[0, 0],
        "Structured: how far?",
        ("body\nmass, σ", "blood\npr., σ", "true", "said"),
        [
            (_score(x[2]), _score(x[3]), f"{y:.0f}", f"{said:.0f}")
            for x, y, said in _examples(diabetes)[:5]
        ],
    )
    names = ("no", "yes")
    _table(
        axes[0, 1],
        "Structured: benign?",
        ("radius,\nσ", "texture,\nσ", "true", "said"),
        [
            (_score(x[0]), _score(x[1]), names[int(y)], names[int(said)])
            for label, count in ((0, 2), (1, 3))
            for x, y, said in [row for row in _examples(cancer) if row[1] == label][:count]
        ],
    )
    _pictures(axes[0, 2], digits)

    _errors(axes[1, 0], diabetes, 1.0, "test error (RMS, progression units)", "mean", None)
    axes[1, 0].set_ylim(bottom=0)
    for ax, name, guess, limit in (
        (axes[1, 1], "breast_cancer", "majority", 5.0),
        (axes[1, 2], "digits", "majority", 4.0),
    ):
        _errors(ax, measurements[name], 100.0, "test error (%)", guess, limit)
        ax.set_yscale("symlog", linthresh=1, linscale=0.35)
        ax.set_yticks([0, 1, 2, 5, 10, 20, 50, 100], labels=[0, 1, 2, 5, 10, 20, 50, 100])
        ax.set_ylim(0, 115)
    return figure


def _examples(task: dict[str, Any]) -> list[tuple[Any, Any, Any]]:
    """Inputs, target and prediction of some test examples of the first seed."""
    return list(zip(task["x"], task["y"], task["prediction"], strict=True))


def _score(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _table(ax: Axes, title: str, header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    ax.set_title(title)
    ax.axis("off")
    columns = np.linspace(0.1, 0.9, len(header))
    heights = np.linspace(0.66, 0.08, len(rows))
    for column, x in enumerate(columns):
        ax.text(x, 0.86, header[column], ha="center", va="center", weight="bold", fontsize=9.5)
        for row, y in zip(rows, heights, strict=True):
            ax.text(x, y, row[column], ha="center", va="center", fontsize=9.5)
    ax.plot([0, 1], [0.76, 0.76], color=INK, linewidth=1)
    ax.set(xlim=(0, 1), ylim=(0, 1))


def _pictures(ax: Axes, digits: dict[str, Any]) -> None:
    ax.set_title("Unstructured: which digit?")
    ax.axis("off")
    for index, (x, y, said) in enumerate(_examples(digits)[:6]):
        left, bottom = 1.4 * (index % 3), -1.7 * (index // 3)
        ax.imshow(x.reshape(8, 8), cmap="gray_r", extent=(left, left + 1, bottom, bottom + 1))
        ax.text(left + 0.5, bottom - 0.25, f"{y}, said {said:.0f}", ha="center", fontsize=9)
    ax.set(xlim=(-0.2, 4.0), ylim=(-2.1, 1.25), anchor="N")


def _errors(
    ax: Axes, task: dict[str, Any], unit: float, label: str, guess: str, limit: float | None
) -> None:
    """A line for each seed, from the error of the trivial guess to that of the network."""
    pairs = unit * np.stack([task["trivial"], task["error"]])
    faint, strong = series(2)
    ax.plot([0, 1], pairs, color=strong["color"], linewidth=0.8, alpha=0.5)
    medians = np.median(pairs, axis=1)
    ax.plot([0, 1], medians, "o-", color=faint["color"])
    for x, value, side in ((0, medians[0], "right"), (1, medians[1], "left")):
        ax.annotate(
            f"{value:.3g}", (x, value), xytext=(-7 if side == "right" else 7, 0),
            textcoords="offset points", ha=side, va="center",
        )  # fmt: skip
    if limit is not None:
        ax.axhline(limit, color="0.4", linewidth=1)
        ax.annotate(f"{limit:g} %", (-0.45, limit), xytext=(0, 3), textcoords="offset points")
    ax.set_xticks([0, 1], labels=[f"trivial guess\n({guess})", "network"])
    ax.set(xlim=(-0.5, 1.5), ylabel=label, title=f"{pairs.shape[1]} seeds and their median")
    ax.grid(axis="x", visible=False)


def claims(measurements: dict[str, Any]) -> list[Claim]:
    diabetes, cancer, digits = (measurements[name] for name in TASKS)
    return [
        statistical(
            "Regression beats the mean of the training targets (difference of test RMS errors, "
            "in units of the disease's progression).",
            diabetes["trivial"] - diabetes["error"],
            above(0),
        ),
        statistical(
            "The yes-or-no classifier beats the majority class (difference of test errors).",
            cancer["trivial"] - cancer["error"],
            above(0),
        ),
        statistical(
            "The image classifier beats the majority class (difference of test errors).",
            digits["trivial"] - digits["error"],
            above(0),
        ),
        statistical("The test error on breast cancer is below 5 %.", cancer["error"], below(0.05)),
        statistical("The test error on digits is below 4 %.", digits["error"], below(0.04)),
    ]


if __name__ == "__main__":
    run_alone(__file__)
