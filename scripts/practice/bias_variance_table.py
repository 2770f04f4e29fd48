"""The notes' table of train and dev errors, and the verdict on each row.

(1, 11), (15, 16), (15, 30) and (0.5, 1) per cent with a base error of 0, and (15, 16) again with
one of 14. Then which thresholds give the notes' verdicts, the default ones being a choice; the
plane of all pairs of errors; and errors below the base error, which are refused. Everything is
asked of the library and of the reference. Answers the notes' text on bias and variance.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from jaxnet.diagnostics import bias_variance
from reference_numpy import diagnostics as reference
from scripts.harness import COLOURS, TRUE, Claim, exact, new_figure, run_alone

TITLE = "Train and dev error name the fault"
NOTES_SECTION = "Bias and Variance"
NOTES_FIGURES = ()

# (train error, dev error, base error) in per cent, and the verdict of the notes.
ROWS = {
    (1.0, 11.0, 0.0): "variance",
    (15.0, 16.0, 0.0): "bias",
    (15.0, 30.0, 0.0): "both",
    (0.5, 1.0, 0.0): "neither",
    (15.0, 16.0, 14.0): "neither",
}
NAMES = ("neither", "bias", "variance", "both")
REFUSED = len(NAMES)
THRESHOLDS = np.arange(0, 16.5, 0.5)
ERRORS = np.linspace(0, 36, 145)
BASES = (0.0, 14.0)
SHADES = ("#ffffff", "#f7dcc8", "#a9c4e8", "#b0749f", "#707070")  # of NAMES and of refused


def measure(key: jax.Array, quick: bool) -> dict[str, Any]:
    del quick
    rng = np.random.default_rng(int(jax.random.bits(key)))
    # Half the numbers are whole, so that gaps equal to a threshold occur as well.
    drawn = rng.uniform(0, 30, (2_000, 5))
    drawn[::2] = drawn[::2].round()
    return {
        "rows": [_verdict(bias_variance, row) for row in ROWS],
        "reference_rows": [_verdict(reference.bias_variance, row) for row in ROWS],
        "by_threshold": np.array([[_agrees(b, v) for b in THRESHOLDS] for v in THRESHOLDS]),
        "plane": np.array(
            [
                [[_number((train, dev, base)) for train in ERRORS] for dev in ERRORS]
                for base in BASES
            ]
        ),
        "drawn": [_verdict(bias_variance, row[:3], row[3:]) for row in drawn],
        "reference_drawn": [_verdict(reference.bias_variance, row[:3], row[3:]) for row in drawn],
        "below_base": (drawn[:, 0] < drawn[:, 2]) | (drawn[:, 1] < drawn[:, 2]),
    }


def _verdict(function: Callable[..., str], errors: Any, thresholds: Any = None) -> str:
    """What a function says of (train, dev, base), "refused" where it raises ValueError."""
    given = {}
    if thresholds is not None:
        given = {"bias_threshold": thresholds[0], "variance_threshold": thresholds[1]}
    try:
        return function(*errors, **given)
    except ValueError:
        return "refused"


def _agrees(bias_threshold: float, variance_threshold: float) -> bool:
    """Whether these thresholds give the notes' verdict on every row."""
    thresholds = (bias_threshold, variance_threshold)
    return all(_verdict(bias_variance, row, thresholds) == verdict for row, verdict in ROWS.items())


def _number(errors: tuple[float, float, float]) -> int:
    verdict = _verdict(bias_variance, errors)
    return NAMES.index(verdict) if verdict in NAMES else REFUSED


def draw(measurements: dict[str, Any]) -> Figure:
    figure, axes = new_figure(
        1,
        3,
        title="Train error above base error is bias, dev error above train error is variance",
        height=4.4,
    )
    for ax, base, plane in zip(axes, BASES, measurements["plane"], strict=False):
        _plane(ax, base, plane)
        for (train, dev, row_base), _ in ROWS.items():
            if row_base == base:
                ax.plot(train, dev, "o", color="black", markeredgecolor="white", markersize=8)
                ax.annotate(
                    f"{train:g}, {dev:g}", (train, dev), xytext=(7, -3),
                    textcoords="offset points", fontsize=9.5,
                )  # fmt: skip
    axes[0].set_ylabel("dev error (%)")
    patches = [Patch(facecolor=colour, edgecolor="0.4") for colour in SHADES]
    figure.legend(patches, [*NAMES, "refused"], loc="outside lower left", ncols=5)

    ax, agrees = axes[2], measurements["by_threshold"]
    step = THRESHOLDS[1] / 2
    extent = (-step, THRESHOLDS[-1] + step, -step, THRESHOLDS[-1] + step)
    colours = ListedColormap(["#eeeeee", COLOURS[4]])
    ax.imshow(agrees, origin="lower", extent=extent, cmap=colours, aspect="auto")
    ax.plot(5, 5, "o", color="black", markeredgecolor="white", markersize=8)
    ax.annotate("default", (5, 5), xytext=(7, -3), textcoords="offset points", fontsize=9.5)
    ax.text(8, 12.5, "another verdict\non some row", ha="center", fontsize=9.5)
    ax.text(8, 7.7, "the notes' verdicts", ha="center", fontsize=9.5)
    ax.set(
        xlabel="bias threshold (points)",
        ylabel="variance threshold (points)",
        title="Thresholds that give the table",
    )
    ax.grid(visible=False)
    return figure


def _plane(ax: Axes, base: float, plane: np.ndarray) -> None:
    colours = ListedColormap(SHADES)
    ax.pcolormesh(ERRORS, ERRORS, plane, cmap=colours, vmin=0, vmax=REFUSED, shading="nearest")
    ax.plot(ERRORS, ERRORS, color="0.4", linewidth=1)
    ax.annotate("dev = train", (22, 22), xytext=(4, -12), textcoords="offset points", fontsize=9)
    ax.set(xlabel="train error (%)", xlim=(0, 36), ylim=(0, 36), title=f"Base error {base:g} %")
    ax.grid(visible=False)


def claims(measurements: dict[str, Any]) -> list[Claim]:
    agrees = measurements["by_threshold"]
    inside = (THRESHOLDS >= 1) & (THRESHOLDS < 10)
    wide = (THRESHOLDS >= 1) & (THRESHOLDS < 15)
    refused = np.array([verdict == "refused" for verdict in measurements["drawn"]])
    return [
        *(
            exact(
                f"A train error of {train:g} % and a dev error of {dev:g} % with a base error of "
                f"{base:g} % mean {_in_words(verdict)}.",
                found == verdict,
                TRUE,
            )
            for ((train, dev, base), verdict), found in zip(
                ROWS.items(), measurements["rows"], strict=True
            )
        ),
        exact(
            "The thresholds are arguments, and the verdicts on the five rows do not hang on them: "
            "a bias threshold from 1 to below 15 points and a variance threshold from 1 to below "
            "10 all give the notes' (0.5 apart), and no others do.",
            bool(np.array_equal(agrees, np.outer(inside, wide))),
            TRUE,
        ),
        exact(
            "Errors below the base error are refused, and only they (2,000 random rows).",
            bool(np.array_equal(refused, measurements["below_base"])),
            TRUE,
        ),
        exact(
            "The reference gives the same verdicts and refusals, on the table and on 2,000 random "
            "rows and thresholds, ties among them.",
            (measurements["rows"], measurements["drawn"])
            == (measurements["reference_rows"], measurements["reference_drawn"]),
            TRUE,
        ),
    ]


def _in_words(verdict: str) -> str:
    return {
        "variance": "high variance",
        "bias": "high bias",
        "both": "high bias and high variance, both",
        "neither": "neither",
    }[verdict]


if __name__ == "__main__":
    run_alone(__file__)
