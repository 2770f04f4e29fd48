"""Rows for what is random: each side draws its own numbers, and what they determine is compared.

Sizes, counts, pairings and factors do not depend on the draw. Where one side's draws can be given
to the other (a mask, tried points), they are.
"""

from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxnet import layers, models
from jaxnet.crosscheck import bounds, layout
from jaxnet.crosscheck.cases.case import Args, Case, Results, Transform, sizes
from jaxnet.crosscheck.cases.decisions import RANGES, map_errors
from jaxnet.data import minibatches, splits
from jaxnet.data.types import Dataset
from jaxnet.initializers import INITIALIZERS
from jaxnet.populations import samplers
from reference_numpy import initializers, minibatch, regularizers, search
from reference_numpy import splits as reference_splits


def _dropout_draw(rng: np.random.Generator) -> Args:
    shape = tuple(sizes(rng, 2))
    mask = rng.random(shape) < 0.6
    mask.flat[:2] = True, False
    return {
        "A": rng.normal(size=shape),
        "weights": rng.normal(size=shape),
        "mask": mask,
        "keep_prob": float(rng.uniform(0.3, 1)),
    }


def _dropout_jaxnet(args: Args, transform: Transform = jax.jit) -> Results:
    mask = layout.rows(args["mask"], bool)

    @transform
    def everything(a, weights):
        out, pull_back = jax.vjp(lambda a: layers.dropout(a, mask, args["keep_prob"]), a)
        return out, *pull_back(weights)

    out, da = everything(layout.rows(args["A"]), layout.rows(args["weights"]))
    return {"out": layout.columns(out), "dA": layout.columns(da)}


def _dropped(A: Any, args: Args) -> Any:
    return regularizers.apply_mask(A, args["mask"], args["keep_prob"])


DROPOUT = Case(
    name="regularizers/dropout",
    quantity="inverted dropout with a given mask, and the gradient of a weighted sum",
    draw=_dropout_draw,
    reference=lambda args: {
        "out": _dropped(args["A"], args),
        "dA": _dropped(args["weights"], args),
    },
    jaxnet=_dropout_jaxnet,
    # A division, or the rounded inverse and a product.
    errors=lambda args: {
        name: bounds.rounded(_dropped(args[given], args), 2)
        for name, given in (("out", "A"), ("dA", "weights"))
    },
    cost=lambda args: np.sum(args["weights"] * _dropped(args["A"], args)),
    wrt=("A",),
    analytic=True,
)

# Weights of a network by every scheme, divided by the standard normal numbers they were made of:
# the standard deviation in every entry, whichever the numbers. Zeros stay zeros.

SCALES = {"normal": 0.01}


def _initializers_draw(rng: np.random.Generator) -> Args:
    return {"sizes": sizes(rng, 4), "seed": int(rng.integers(1000))}


def _initializers_reference(args: Args) -> Results:
    rng = np.random.default_rng(args["seed"])
    normal = [rng.standard_normal((n, n_prev)) for n_prev, n in pairwise(args["sizes"])]
    results = {}
    for scheme in initializers.SCHEMES:
        params = initializers.initialize(np.random.default_rng(args["seed"]), args["sizes"], scheme)
        for layer, ((W, b), Z) in enumerate(zip(params, normal, strict=True), start=1):
            results |= {f"{scheme}_W{layer}": W / Z, f"{scheme}_b{layer}": b}
    return results


def _initializers_jaxnet(args: Args) -> Results:
    def start(scheme: str, scale: float) -> layout.Pairs:
        model = models.mlp(tuple(args["sizes"]), initializer=scheme, init_scale=scale)
        return layout.pairs(model.init(jax.random.key(args["seed"]))[0])

    normal = start("normal", 1.0)
    results = {}
    for scheme in INITIALIZERS:
        params = start(scheme, SCALES.get(scheme, 1.0))
        for layer, ((W, b), (Z, _)) in enumerate(zip(params, normal, strict=True), start=1):
            results |= {f"{scheme}_W{layer}": W / Z, f"{scheme}_b{layer}": b}
    return results


def _initializers_errors(args: Args) -> Results:
    # √(2/n) rounds twice and once more to the dtype; a product and the division that undoes it.
    return {
        name: 5 * np.abs(value) if "_W" in name else 0
        for name, value in _initializers_reference(args).items()
    }


INITIAL = Case(
    name="initializers/networks",
    quantity="standard deviation of every initial weight by every scheme, and the biases",
    draw=_initializers_draw,
    reference=_initializers_reference,
    jaxnet=_initializers_jaxnet,
    errors=_initializers_errors,
    traced=False,
)


def _sorted_columns(columns: np.ndarray) -> np.ndarray:
    return columns[:, np.lexsort(columns)]


def _partition_draw(rng: np.random.Generator) -> Args:
    n, targets = sizes(rng, 2)
    m = int(rng.integers(20, 40))
    return {
        "X": rng.normal(size=(n, m)),
        "Y": rng.normal(size=(targets, m)),
        "batch_size": int(rng.integers(2, 15)),
    }


def _partition_results(args: Args, batches: list[tuple[np.ndarray, np.ndarray]]) -> Results:
    """examples: x above its y, sorted; a pair that came apart is another column."""
    shuffled = np.hstack([np.vstack(batch) for batch in batches])
    in_order = np.array_equal(shuffled, np.vstack([args["X"], args["Y"]]))
    return {
        "sizes": np.array([X.shape[1] for X, _ in batches]),
        "examples": _sorted_columns(shuffled),
        "in_order": np.array(int(in_order)),
    }


def _partition_reference(args: Args) -> Results:
    rng = np.random.default_rng(0)
    return _partition_results(
        args, minibatch.partition(rng, args["X"], args["Y"], args["batch_size"])
    )


def _partition_jaxnet(args: Args) -> Results:
    data = Dataset(layout.rows(args["X"]), layout.rows(args["Y"]))
    batches = minibatches.partition(jax.random.key(0), data, args["batch_size"])
    return _partition_results(
        args, [(layout.columns(batch.x), layout.columns(batch.y)) for batch in batches]
    )


PARTITION = Case(
    name="data/partition",
    quantity="sizes of mini-batches, that they are all examples with their targets, and shuffled",
    draw=_partition_draw,
    reference=_partition_reference,
    jaxnet=_partition_jaxnet,
    errors=lambda args: {"sizes": 0, "examples": 0, "in_order": 0},
    traced=False,
)


def _split_draw(rng: np.random.Generator) -> Args:
    """Tenths, whole numbers, which no dtype rounds; every class is in every part."""
    classes = rng.integers(3)
    per_class = rng.integers(10, 25, size=3 + classes)
    shares = [(6, 2, 2), (7, 3), (5, 3, 1, 1)][int(rng.integers(3))]
    return {
        "labels": rng.permutation(np.repeat(np.arange(len(per_class)), per_class)),
        "tenths": shares,
    }


def _fractions(args: Args) -> tuple[float, ...]:
    return tuple(share / 10 for share in args["tenths"])


def _split_results(args: Args, parts: Any) -> Results:
    order = np.concatenate([np.asarray(part) for part in parts])
    return {
        "sizes": np.array([len(part) for part in parts]),
        "indices": np.sort(order),
        "in_order": np.array(int(np.all(np.diff(order) > 0))),
    }


def _stratified_results(args: Args, parts: Any) -> Results:
    """counts: (parts, classes). Each part by itself is shuffled."""
    classes = args["labels"].max() + 1
    parts = [np.asarray(part) for part in parts]
    labels = [args["labels"][part] for part in parts]
    return {
        "counts": np.stack([np.bincount(part, minlength=classes) for part in labels]),
        "indices": np.sort(np.concatenate(parts)),
        "in_order": np.array(int(np.all(np.diff(parts[0]) > 0))),
        "by_class": np.array(int(np.all(np.diff(labels[0]) >= 0))),
    }


SPLIT = Case(
    name="data/split",
    quantity="sizes of the parts of a random split, that they are all indices, and shuffled",
    draw=_split_draw,
    reference=lambda args: _split_results(
        args,
        reference_splits.split(np.random.default_rng(0), len(args["labels"]), _fractions(args)),
    ),
    jaxnet=lambda args: _split_results(
        args, splits.split(jax.random.key(0), len(args["labels"]), _fractions(args))
    ),
    errors=lambda args: {"sizes": 0, "indices": 0, "in_order": 0},
    traced=False,
)

STRATIFIED = Case(
    name="data/stratified_split",
    quantity="how many of each class are in each part of a stratified split, all of them, shuffled",
    draw=_split_draw,
    reference=lambda args: _stratified_results(
        args,
        reference_splits.stratified(np.random.default_rng(0), args["labels"], _fractions(args)),
    ),
    jaxnet=lambda args: _stratified_results(
        args,
        splits.stratified(
            jax.random.key(0), layout.to_jax(args["labels"], np.int32), _fractions(args)
        ),
    ),
    errors=lambda args: {"counts": 0, "indices": 0, "in_order": 0, "by_class": 0},
    traced=False,
)

# Each side searches with draws of its own; the other is given the points and scores and must come
# to the same boxes.

ROUNDS, SIZE = 4, 6
SPACE = {kind: (kind, *ends) for kind, ends in RANGES.items()}


def _search_draw(rng: np.random.Generator) -> Args:
    return {
        "best": {
            name: float(search.from_uniform(rng.uniform(0.3, 0.7), *dimension))
            for name, dimension in SPACE.items()
        },
        "shrink": float(rng.uniform(0.3, 0.8)),
        "seed": int(rng.integers(1000)),
    }


def _scores(args: Args, points: Any) -> np.ndarray:
    """Squared distance from `best`, in numbers that both dtypes hold: no tie by rounding."""
    apart = sum(
        ((np.asarray(points[name], float) - args["best"][name]) / (high - low)) ** 2
        for name, (_, low, high) in SPACE.items()
    )
    return np.asarray(apart, np.float32)


def _named(side: str, spaces: list[Any]) -> Results:
    return {
        f"{side}_{name}": np.array([space[name][1:] for space in spaces], float) for name in SPACE
    }


def _found(args: Args) -> tuple[Any, Any]:
    """What the reference's search tried, and jaxnet's: points, scores and boxes."""
    numbers = {"rounds": ROUNDS, "size": SIZE, "shrink": args["shrink"]}

    def evaluate(points: Any) -> np.ndarray:
        return _scores(args, points)

    theirs = search.coarse_to_fine(np.random.default_rng(args["seed"]), SPACE, evaluate, **numbers)
    ours = samplers.coarse_to_fine(
        jax.random.key(args["seed"]), SPACE, lambda p: jnp.asarray(evaluate(p)), **numbers
    )
    return theirs, ours


def _replayed(module: Any, args: Args, found: Any) -> list[Any]:
    """The boxes by this module's `refine`, each from all points so far."""
    points, scores, _ = found
    spaces: list[Any] = [SPACE]
    for end in range(SIZE, ROUNDS * SIZE, SIZE):
        so_far = {name: np.asarray(values)[:end] for name, values in points.items()}
        spaces.append(
            module.refine(spaces[-1], so_far, np.asarray(scores)[:end], shrink=args["shrink"])
        )
    return spaces


def _search_reference(args: Args) -> Results:
    theirs, ours = _found(args)
    return {**_named("reference", theirs[2]), **_named("jaxnet", _replayed(search, args, ours))}


def _search_jaxnet(args: Args) -> Results:
    theirs, ours = _found(args)
    return {**_named("reference", _replayed(samplers, args, theirs)), **_named("jaxnet", ours[2])}


def _search_errors(args: Args) -> Results:
    # Each box is made as one of `search/refine`, and takes on the error of the one before it: its
    # end where it is cut there, half of the width's otherwise.
    rounds = np.arange(ROUNDS)[:, None]
    return {
        name: rounds * map_errors(*SPACE[name.split("_", 1)[1]], ends, 0) + 0 * ends
        for name, ends in _search_reference(args).items()
    }


COARSE_TO_FINE = Case(
    name="search/coarse_to_fine",
    quantity="the boxes of four rounds, of the reference's search and of jaxnet's",
    draw=_search_draw,
    reference=_search_reference,
    jaxnet=_search_jaxnet,
    errors=_search_errors,
    traced=False,
)

CASES = (DROPOUT, INITIAL, PARTITION, SPLIT, STRATIFIED, COARSE_TO_FINE)
