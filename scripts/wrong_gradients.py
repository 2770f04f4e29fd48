"""How many wrong gradients each gradient checker notices, and how many right ones it refuses.

    python -m scripts.wrong_gradients [--quick] [--json FILE]

Gradients that are zero, scaled, off by a tenth in one coordinate, or of the wrong sign in one
array, of four functions of 10 to 100,000 parameters, by jaxnet, JAX, chex and torch as they come.
"""

import argparse
import json
import sys
from pathlib import Path

from jaxnet.crosscheck import wrong_gradients as suite

QUICK = ({"sizes": (10, 1000), "seeds": (0,), "functions": ("mean square", "ReLU network")},)
FULL = (
    {"sizes": (10, 100, 1000), "seeds": (0, 1), "modes": ("reverse",)},
    {"sizes": (10, 1000), "seeds": (0,), "modes": ("forward", "second")},
    {"sizes": (10, 1000, 100_000), "seeds": (0,), "modes": ("reverse",), "bits": 32},
    {"sizes": (10_000, 100_000), "seeds": (0,), "modes": ("reverse",)},
)


def collect(quick: bool) -> list[suite.Trial]:
    """All trials of the quick or the full suite."""
    found = []
    for part in QUICK if quick else FULL:
        for trial in suite.trials(**part):
            found.append(trial)
            if sys.stderr.isatty():
                said = f"\r{len(found)} trials, n = {trial.n:,}"
                print(said, end="", file=sys.stderr, flush=True)
    return found


def cell(of: list[suite.Rate]) -> str:
    """noticed/run, with the number of times that the checker said it could not tell."""
    noticed, unsure, run = (
        sum(getattr(r, k) for r in of) for k in ("noticed", "inconclusive", "run")
    )
    return "-" if not run else f"{noticed}/{run}" + (f" ({unsure}?)" if unsure else "")


def table(title: str, heads: list[str], rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = [
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in [heads, *rows]
    ]
    return "\n".join([title, lines[0], "-" * len(lines[0]), *lines[1:]])


def kind(rate: suite.Rate) -> str:
    return f"{rate.mode}, float{rate.bits}"


def by_fault(found: list[suite.Trial]) -> str:
    """A row for each mode and checker, a column for each fault; "none" counts false alarms."""
    rates = suite.rates(found)
    rows = []
    for mode, checker in dict.fromkeys((kind(rate), rate.checker) for rate in rates):
        own = [r for r in rates if (kind(r), r.checker) == (mode, checker)]
        cells = [cell([r for r in own if r.fault == fault]) for fault in suite.FAULTS]
        rows.append([mode, checker, *cells])
    heads = ["mode", "checker", "none (false alarms)", *suite.FAULTS[1:]]
    return table("Noticed, of how many ('?' could not tell, '-' not run or absent)", heads, rows)


def by_size(found: list[suite.Trial]) -> str:
    """The reverse mode's rate over all faults, for each number of parameters."""
    rates = [r for r in suite.rates(found, by_size=True) if r.fault != "none"]
    rates = [r for r in rates if r.mode == "reverse"]
    sizes = sorted({rate.n for rate in rates if rate.n is not None})
    rows = []
    for mode, checker in dict.fromkeys((kind(rate), rate.checker) for rate in rates):
        own = [r for r in rates if (kind(r), r.checker) == (mode, checker)]
        rows.append([mode, checker, *(cell([r for r in own if r.n == n]) for n in sizes)])
    heads = ["mode", "checker", *(f"n = {n:,}" for n in sizes)]
    return table("All four faults, by number of parameters", heads, rows)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="two sizes, two functions, one seed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every trial there")
    options = parser.parse_args(arguments)
    found = collect(options.quick)
    print(by_fault(found), by_size(found), sep="\n\n")
    if options.json:
        rows = [trial._asdict() for trial in found]
        rates = [rate._asdict() for rate in suite.rates(found, by_size=True)]
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({"trials": rows, "rates": rates}, indent=1))


if __name__ == "__main__":
    main()
