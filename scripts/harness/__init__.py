"""What every experiment shares: claims and their judging, seeds, the look of the figures, running.

An experiment is one module, scripts/<section>/<name>.py, whose id is "<section>/<name>":

    '''One paragraph: what is run, on what data, which figures of the notes it answers.'''
    TITLE = "..."                              # short
    NOTES_SECTION = "Logistic regression"
    NOTES_FIGURES = (4,)                       # () when it answers a sentence of the text
    TIMING = True                              # only if all it does is time: run alone, last

    def measure(key, quick) -> dict[str, Any]  # the computation; all randomness from key
    def draw(measurements) -> Figure           # from the measurements alone
    def claims(measurements) -> list[Claim]    # from the measurements alone

    if __name__ == "__main__":
        run_alone(__file__)

TITLE, NOTES_SECTION, NOTES_FIGURES and TIMING are literals (the main job reads them without
importing the module). A module whose name starts with an underscore is no experiment.

measure returns a plain dict of arrays and numbers. A full run uses at least 20 seeds for every
statistical claim (`seed_keys(key, quick)`, vmapped in one program); a quick one uses 3.

draw is called inside `look()`, which sets fonts and line widths; make the figure with
`new_figure`, colour n lines with `series(n)`, show seeds with `spread`. Never use pyplot.

claims builds each claim with `exact`, `statistical`, `timing` or `not_run`. The criterion is
the set of values in which the sentence is true, `at_least(x)`, `at_most(x)`, `above(x)`,
`below(x)`, `between(low, high)` or `TRUE`, written before looking and with room for another
root seed. A verdict other than "holds" that is expected needs a note that says why.

`python -m scripts.<section>.<name> [--quick] [--seed S] [--out DIR]` runs one alone;
`python -m scripts.reproduce` runs them all. `scripts/basics/sigmoid.py` is the model to follow.
"""

from scripts.harness.claims import (
    TRUE,
    Claim,
    Criterion,
    above,
    at_least,
    at_most,
    below,
    between,
    exact,
    not_run,
    statistical,
    timing,
)
from scripts.harness.running import run_alone
from scripts.harness.seeds import seed_keys
from scripts.harness.style import (
    COLOURS,
    INK,
    LINESTYLES,
    MARKERS,
    look,
    new_figure,
    series,
    spread,
)

__all__ = [
    "COLOURS",
    "INK",
    "LINESTYLES",
    "MARKERS",
    "TRUE",
    "Claim",
    "Criterion",
    "above",
    "at_least",
    "at_most",
    "below",
    "between",
    "exact",
    "look",
    "new_figure",
    "not_run",
    "run_alone",
    "seed_keys",
    "series",
    "spread",
    "statistical",
    "timing",
]
