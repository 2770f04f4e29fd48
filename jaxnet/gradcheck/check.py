"""Checking a gradient against numerical differences, knowing what the check can see."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.tree_util import tree_leaves_with_path
from jaxtyping import Array

from jaxnet.gradcheck.differences import check_cost, default_eps
from jaxnet.gradcheck.examine import Examination, examine
from jaxnet.gradcheck.outcome import (
    CORRECT,
    Arrays,
    GradientCheck,
    LeafCheck,
    distance_of,
    in_words,
    summarise,
    verdict_on,
)
from jaxnet.gradcheck.power import CONFIDENCE, smallest_seen
from jaxnet.gradcheck.programs import (
    check_deterministic,
    coarsest,
    coordinate_values,
    direction_values,
)
from jaxnet.gradcheck.slopes import ratio
from jaxnet.types import Params, PRNGKey
from jaxnet.validation import check_choice, check_count, check_positive

MODES = ("reverse", "forward", "second")

EVERY_COORDINATE_UP_TO = 100_000
DIRECTIONS = 20
"""Random directions by default: an error 0.8 times what one direction notices is then found."""

LEAF_DIRECTIONS = 8
"""Directions within each parameter array, once the whole disagrees, to say which is at fault."""


def gradient_check(
    cost: Callable[[Params], Array],
    params: Params,
    *,
    grads: Params | None = None,
    eps: float | None = None,
    chunk: int = 64,
    mode: str = "reverse",
    directions: int | None = None,
    key: PRNGKey | None = None,
) -> GradientCheck:
    """Check a gradient against two-sided differences, and say how small an error was looked for.

    |dθᵢ − (J(θ + ε eᵢ) − J(θ − ε eᵢ)) / 2ε|  within the rounding and truncation measured

    cost: params ↦ scalar, the whole of it: with the penalty, and with dropout off or its key fixed.
    grads: the gradient to check, a pytree like params; by default jax.grad of cost.
    eps: the step; by default u^(1/3) of the coarsest dtype, times |θᵢ| where that is above 1, and
    fitted to each parameter array where a few differences show that it does not suit.
    chunk: coordinates at a time; memory is chunk forward passes. 1 for a cost vmap cannot take.
    mode: "reverse", the gradient by jax.grad, or `grads`; "forward", the derivatives by jax.jvp;
    "second", the product H w of the Hessian with a random vector w, by jax.jvp of jax.grad,
    against differences of w·∇J.
    directions: None for every coordinate up to 100,000 parameters and 20 random directions beyond;
    a number for that many directions. key: of the random vectors, by default jax.random.key(0).

    Verdict. "correct": no coordinate is further off than rounding and truncation explain, at most
    a tenth was left out and an error of a tenth would have been found. Some coordinate is: "wrong"
    from the notes' distance ‖dθ_approx − dθ‖ / (‖dθ_approx‖ + ‖dθ‖) of 1e-3 on, below that
    "suspicious", however small the distance (a wrong coordinate among n is 1/√n of it).
    "inconclusive": nothing disagrees, but too little was seen. `detects` says how much was:
    differences of float32 see little, run under `jax.enable_x64(True)` to see further.
    A step across a kink (ReLU at 0) makes differences wrong, not the gradient: such a coordinate is
    tried with smaller steps, and if the kink lies at θ itself it is left out and counted, and the
    gradient must lie between the two one-sided slopes.
    Returns a GradientCheck. Raises ValueError for gradients of another structure or shape, a cost
    that is not scalar or not deterministic, or values that are not finite.
    Source: notes §5, gradient checking; the power of directions: `power.smallest_seen`.

    >>> check = gradient_check(lambda t: jnp.sum(t**2), jnp.array([1.0, -2.0]))
    >>> check.verdict, check.coordinates
    ('correct', 2)
    """
    check_cost(cost, params)
    check_choice("mode", mode, MODES)
    check_count("chunk", chunk)
    if directions is not None:
        check_count("directions", directions)
    if grads is not None:
        if mode != "reverse":
            raise ValueError(f"grads: expected None in mode {mode!r}, which checks JAX's own")
        _check_like(grads, params)
    check_deterministic(cost, params)
    key = jax.random.key(0) if key is None else key
    share = 1 - CONFIDENCE
    hidden = 1.0
    if mode == "second":
        # An error E of the Hessian shows as E w, of which a row hides as an error along one
        # direction does. Both draws, w and the directions, may miss: half the risk for each.
        share /= 2
        hidden = smallest_seen(1, confidence=1 - share)
        cost, grads = _second(cost, params, jax.random.fold_in(key, 1))
    elif mode == "reverse" and grads is None:
        grads = jax.grad(cost)(params)

    size = sum(jnp.size(leaf) for leaf in jax.tree.leaves(params))
    if directions is None and size > EVERY_COORDINATE_UP_TO:
        directions = DIRECTIONS
    if directions is None:
        return _along_coordinates(cost, params, grads, eps, chunk, mode, hidden)
    return _along_directions(cost, params, grads, eps, chunk, mode, hidden, share, directions, key)


def _check_like(grads: Params, params: Params) -> None:
    theirs, ours = jax.tree.structure(grads), jax.tree.structure(params)
    if theirs != ours:
        raise ValueError(f"grads: expected the structure of params, {ours}, got {theirs}")
    for (path, grad), param in zip(
        tree_leaves_with_path(grads), jax.tree.leaves(params), strict=True
    ):
        if jnp.shape(grad) != jnp.shape(param):
            raise ValueError(
                f"grads{jax.tree_util.keystr(path)}: expected shape {jnp.shape(param)}, got "
                f"{jnp.shape(grad)}"
            )


def _arrays(params: Params) -> Arrays:
    paths = tree_leaves_with_path(params)
    names = [jax.tree_util.keystr(path) or "params" for path, _ in paths]
    return Arrays(names, [jnp.shape(leaf) for _, leaf in paths])


def _flat(grads: Params) -> np.ndarray:
    """All gradients end to end in float64. Raises ValueError if any is not finite."""
    flat = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(grads)]).astype(float)
    bad = int(np.sum(~np.isfinite(flat)))
    if bad:
        raise ValueError(f"grads: expected finite values, got {bad} NaN or infinite gradients")
    return flat


def _second(cost, params: Params, key: PRNGKey):
    """The scalar w·∇J as a function of the parameters, and its gradient H w."""
    theta, unravel = ravel_pytree(params)
    flat = jax.random.normal(key, theta.shape, theta.dtype)
    w = unravel(flat)

    def along(p):
        return ravel_pytree(jax.grad(cost)(p))[0] @ flat

    return along, jax.jit(lambda p: jax.jvp(jax.grad(cost), (p,), (w,))[1])(params)


def _along_coordinates(cost, params, grads, eps, chunk, mode, hidden) -> GradientCheck:
    arrays, dtype = _arrays(params), coarsest(params, cost)
    unit = float(jnp.finfo(dtype).eps)
    values, derivatives = coordinate_values(cost, params, chunk, dtype)
    size = sum(arrays.sizes)
    given = _flat(derivatives(np.arange(size)) if mode == "forward" else grads)
    reach = np.abs(np.asarray(ravel_pytree(params)[0], float))
    if eps is None:
        steps = default_eps(dtype) * np.maximum(1, reach)
    else:
        check_positive("eps", eps)
        steps = np.full(size, float(eps))
    groups = np.repeat(np.arange(len(arrays.names)), arrays.sizes)
    found = examine(values, given, steps, 8 * unit * reach, groups, unit, adapt=eps is None)
    base = default_eps(dtype) if eps is None else float(eps)
    found = found._replace(caught=hidden * found.caught)
    return summarise(found, given, arrays, eps=base, unit=unit, mode=mode)


def _along_directions(
    cost, params, grads, eps, chunk, mode, hidden, share, count: int, key: PRNGKey
) -> GradientCheck:
    arrays, dtype = _arrays(params), coarsest(params, cost)
    unit = float(jnp.finfo(dtype).eps)
    reach = np.abs(np.asarray(ravel_pytree(params)[0], float))
    size = reach.size
    # Every parameter moves by about the step, so the step suits their typical size.
    typical = float(np.sqrt(np.mean(reach**2)))
    base = default_eps(dtype) if eps is None else float(eps)
    step = base * max(1.0, typical) if eps is None else base
    check_positive("eps", step)

    flat = None if grads is None else _flat(grads)
    values, derivatives, vectors = direction_values(cost, params, key, chunk)

    def run(seeds: int, start: int, stop: int) -> tuple[np.ndarray, Examination]:
        spans = np.array([(seed, start, stop) for seed in range(seeds)])
        given = derivatives(spans) if flat is None else [flat @ v for v in vectors(spans)]
        given = np.array(given)
        least = np.full(seeds, 8 * unit * typical)
        steps, groups = np.full(seeds, step), np.zeros(seeds, int)
        found = examine(
            lambda lines, t: values(spans[lines], t),
            given,
            steps,
            least,
            groups,
            unit,
            adapt=eps is None,
        )
        return given, found

    given, found = run(count, 0, size)
    kept = ~found.excluded
    distance = distance_of(given[kept], found.slope[kept])
    detects = float("inf")
    if kept.any():
        # ‖g‖ by g·v ~ N(0, ‖g‖²): the larger of the given and the measured, as either may be 0.
        length = max(float(np.sqrt(np.mean(s[kept] ** 2))) for s in (given, found.slope))
        hidden *= smallest_seen(int(kept.sum()), confidence=1 - share)
        detects = ratio(hidden * float(np.max(found.caught[kept])), length)
    disagreeing, excluded = int(found.disagrees.sum()), int(found.excluded.sum())
    leaves, start = [], 0
    for name, width in zip(arrays.names, arrays.sizes, strict=True):
        if disagreeing and width:  # which array is at fault: directions within each by itself
            of_leaf, at_leaf = run(LEAF_DIRECTIONS, start, start + width)
            use = ~at_leaf.excluded
            apart = distance_of(of_leaf[use], at_leaf.slope[use])
            leaves.append(LeafCheck(name, apart, float("nan")))
        start += width
    apart = np.where(found.disagrees if disagreeing else kept, np.abs(given - found.slope), -1)
    at = int(np.argmax(apart))
    check = GradientCheck(
        relative_distance=distance,
        verdict=verdict_on(distance, disagreeing, excluded / count, detects),
        worst=f"direction {at}",
        given=float(given[at]),
        differences=float(found.slope[at]),
        leaves=tuple(leaves),
        coordinates=0,
        eps=base,
        correct_below=max(CORRECT, 10 * unit ** (2 / 3)),
        detects=detects,
        disagreeing=disagreeing,
        excluded=excluded,
        retried=int(found.retried.sum()),
        directions=count,
        noise=found.noise,
        mode=mode,
        note="",
    )
    return check._replace(note=in_words(check, count))
