"""Rows for what a search tries next, when training stops, and what the errors say."""

from typing import Any

import jax
import numpy as np

from jaxnet import diagnostics
from jaxnet.crosscheck import layout
from jaxnet.crosscheck.bounds import FUNCTION
from jaxnet.crosscheck.cases.case import Args, Case, Results, Transform
from jaxnet.populations import samplers, spaces
from jaxnet.training.early_stopping import early_stopping
from reference_numpy import diagnostics as reference_diagnostics
from reference_numpy import early_stopping as reference_stopping
from reference_numpy import search as reference

RANGES = {
    "uniform": (-2.0, 5.0),
    "log_uniform": (1e-4, 1.0),
    "one_minus_log_uniform": (0.5, 0.999),
    "integers": (1.0, 8.0),
}


def _draw_range(rng: np.random.Generator, kind: str) -> tuple[float, float]:
    """A part of the range of its kind, at least half of it."""
    low, high = RANGES[kind]
    if kind == "integers":
        return low + int(rng.integers(3)), high + int(rng.integers(5))
    return float(low * rng.uniform(0.9, 1)), float(high * rng.uniform(0.99, 1))


def map_errors(kind: str, low: float, high: float, values: np.ndarray, moved: Any) -> Any:
    """Errors of from_uniform, whose u is off by `moved` units.

    uniform: the ends are multiplied by u or 1−u and added: 4 units of the larger end, and u moves
        the value by the width.
    log scales: the logarithms of both ends round, in whatever base, by FUNCTION of their size; four
        more operations of that size interpolate. That error and the exponential's own are relative
        to v, or to 1−v, which is then subtracted from 1.
    integers: whole numbers, equal.
    """
    if kind == "integers":
        return 0
    if kind == "uniform":
        return 4 * max(abs(low), abs(high)) + moved * (high - low) + 0 * values
    minus = kind == "one_minus_log_uniform"
    start, end = (np.log(1 - low), np.log(1 - high)) if minus else (np.log(low), np.log(high))
    relative = (FUNCTION + 4) * (abs(start) + abs(end)) + moved * abs(end - start) + FUNCTION
    return relative * (1 - values) + values if minus else relative * values


def _map_row(kind: str) -> Case:
    def draw(rng: np.random.Generator) -> Args:
        low, high = _draw_range(rng, kind)
        return {"u": rng.uniform(size=30), "low": low, "high": high}

    def run_reference(args: Args) -> Results:
        return {"v": reference.from_uniform(args["u"], kind, args["low"], args["high"])}

    return Case(
        name=f"search/{kind}",
        quantity=f"{kind} hyperparameters from the same uniform numbers",
        draw=draw,
        reference=run_reference,
        jaxnet=lambda args, transform=jax.jit: {
            "v": np.asarray(
                transform(lambda u: spaces.from_uniform(u, kind, args["low"], args["high"]))(
                    layout.to_jax(args["u"])
                )
            )
        },
        errors=lambda args: {
            "v": map_errors(kind, args["low"], args["high"], run_reference(args)["v"], 0)
        },
    )


def _draw_space(rng: np.random.Generator) -> Args:
    space = {kind: _draw_range(rng, kind) for kind in RANGES}
    size = 6
    return {
        **{
            f"{kind}_{end}": value
            for kind, ends in space.items()
            for end, value in zip(("low", "high"), ends, strict=True)
        },
        "points_per_axis": 3,
        "shrink": float(rng.uniform(0.3, 0.8)),
        "u": rng.uniform(0.01, 0.99, (len(space), size)),
        "scores": rng.normal(size=size),
    }


def _space(args: Args) -> dict[str, tuple[str, float, float]]:
    return {kind: (kind, args[f"{kind}_low"], args[f"{kind}_high"]) for kind in RANGES}


def _grid_errors(args: Args) -> Results:
    values = reference.grid(_space(args), args["points_per_axis"])
    # u = k/(p−1) is rounded by two operations.
    return {name: map_errors(*d, values[name], 2) for name, d in _space(args).items()}


GRID = Case(
    name="search/grid",
    quantity="all combinations of a grid over the four kinds",
    draw=_draw_space,
    reference=lambda args: reference.grid(_space(args), args["points_per_axis"]),
    jaxnet=lambda args: {
        name: np.asarray(values)
        for name, values in samplers.grid(_space(args), args["points_per_axis"]).items()
    },
    errors=_grid_errors,
    traced=False,
)


def _points(args: Args) -> dict[str, np.ndarray]:
    """Tried points, in float64 on both sides: what is refined is plain numbers."""
    return {
        name: reference.from_uniform(u, *dimension)
        for u, (name, dimension) in zip(args["u"], _space(args).items(), strict=True)
    }


def _refine(module: Any, args: Args) -> Results:
    box = module.refine(_space(args), _points(args), args["scores"], shrink=args["shrink"])
    return {name: np.array(ends) for name, (_, *ends) in box.items()}


def _refine_errors(args: Args) -> Results:
    # As the maps from u: the middle and half the width in place of an interpolation.
    ends = _refine(reference, args)
    return {name: map_errors(*d, ends[name], 0) for name, d in _space(args).items()}


REFINE = Case(
    name="search/refine",
    quantity="the smaller box around the best point, over the four kinds",
    draw=_draw_space,
    reference=lambda args: _refine(reference, args),
    jaxnet=lambda args: _refine(samplers, args),
    errors=_refine_errors,
    traced=False,
)


def _stopping_draw(rng: np.random.Generator) -> Args:
    curves, epochs = 20, int(rng.integers(15, 40))
    falling = 1 / np.sqrt(1 + np.arange(epochs))
    return {
        "dev_costs": falling + 0.2 * rng.random((curves, epochs)),
        "patience": int(rng.integers(2, 6)),
        "min_delta": float(rng.choice([0.0, 0.03])),
    }


def _stopping_reference(args: Args) -> Results:
    epochs = [
        reference_stopping.rule(curve, args["patience"], args["min_delta"])
        for curve in args["dev_costs"]
    ]
    return dict(zip(("best_epoch", "stop_epoch"), np.array(epochs).T, strict=True))


def _stopping_jaxnet(args: Args, transform: Transform = jax.jit) -> Results:
    def one(curve):
        return early_stopping(curve, patience=args["patience"], min_delta=args["min_delta"])

    return transform(jax.vmap(one))(layout.to_jax(args["dev_costs"]))._asdict()


STOPPING = Case(
    name="decisions/early_stopping",
    quantity="the epoch where training stops on 20 curves, and the one whose parameters are kept",
    draw=_stopping_draw,
    reference=_stopping_reference,
    jaxnet=_stopping_jaxnet,
    errors=lambda args: {"best_epoch": 0, "stop_epoch": 0},
)

VERDICTS = ("bias", "variance", "both", "neither")


def _diagnosis_draw(rng: np.random.Generator) -> Args:
    base = rng.uniform(0, 10, 40)
    train = base + rng.uniform(0, 12, 40)
    return {"base": base, "train": train, "dev": train + rng.uniform(-1, 12, 40).clip(base - train)}


def _diagnosis(module: Any, args: Args) -> Results:
    errors = zip(args["train"], args["dev"], args["base"], strict=True)
    verdicts = [module.bias_variance(float(t), float(d), float(b)) for t, d, b in errors]
    return {"verdict": np.array([VERDICTS.index(verdict) for verdict in verdicts])}


DIAGNOSIS = Case(
    name="decisions/bias_variance",
    quantity="the verdict on 40 triples of errors, by its place in VERDICTS",
    draw=_diagnosis_draw,
    reference=lambda args: _diagnosis(reference_diagnostics, args),
    jaxnet=lambda args: _diagnosis(diagnostics, args),
    errors=lambda args: {"verdict": 0},
    traced=False,
)

CASES = (*map(_map_row, RANGES), GRID, REFINE, STOPPING, DIAGNOSIS)
