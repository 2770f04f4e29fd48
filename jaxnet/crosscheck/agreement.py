"""Whether a candidate function agrees with a reference, and if not, why."""

import copy
import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxnet.crosscheck.comparison import Comparison, compare, named_arrays
from jaxnet.crosscheck.equations import Equations, locate
from jaxnet.crosscheck.equations.known import derivation
from jaxnet.crosscheck.equations.text import Values
from jaxnet.crosscheck.explain import explain
from jaxnet.crosscheck.explain.surroundings import short, surroundings
from jaxnet.crosscheck.findings import Diagnosis, Explanation
from jaxnet.crosscheck.rerun import rerun


def _snapshot(arguments: Any) -> list[tuple[str, bytes]]:
    return [
        (jax.tree_util.keystr(path), np.asarray(leaf).tobytes())
        for path, leaf in jax.tree_util.tree_leaves_with_path(arguments)
        if isinstance(leaf, np.ndarray)
    ]


def _called(function: Callable, arguments: tuple[Sequence[Any], Mapping[str, Any]]) -> Any:
    args, kwargs = arguments
    return function(*args, **kwargs)


def _kind(tree: Any) -> str:
    """The form of a result in words: tuple of 2: (list of 3: …, array (4, 3))."""
    if isinstance(tree, Mapping):
        return f"{type(tree).__name__} of {', '.join(map(repr, tree))}"
    if isinstance(tree, list | tuple):
        inner = ", ".join(_kind(one) for one in tree[:4])
        return f"{type(tree).__name__} of {len(tree)}: ({inner}{', …' if len(tree) > 4 else ''})"
    shape = getattr(tree, "shape", None)
    return f"array {tuple(shape)}" if shape is not None else type(tree).__name__


def _arrays(name: str, result: Any, view: Callable[[Any], Any]) -> dict[str, np.ndarray]:
    """A result as named arrays. Raises TypeError or ValueError in words a reader can act on."""
    try:
        shown = view(result)
    except Exception as error:
        raise TypeError(
            f"{name}: expected a result of the reference's form, got {_kind(result)} "
            f"({type(error).__name__}: {error})"
        ) from None
    arrays = named_arrays(shown, name)
    if not arrays:
        raise TypeError(f"{name}: expected arrays, got {_kind(result)}")
    return {short(place): array for place, array in arrays.items()}


def _mutated(before: list[tuple[str, bytes]], after: list[tuple[str, bytes]]) -> list[str]:
    return [place for (place, old), (_, new) in zip(before, after, strict=True) if old != new]


def diagnose(
    candidate: Any,
    reference: Any,
    args: Sequence[Any] = (),
    *,
    kwargs: Mapping[str, Any] | None = None,
    context: Mapping[str, Any] | None = None,
    bound: Any = None,
    terms: float | int | None = None,
    view: Callable[[Any], Any] | None = None,
    equations: Equations | None = None,
    inputs: Values | None = None,
) -> Diagnosis:
    """Run a candidate beside a reference on the same arguments and say whether and why they differ.

    args, kwargs: the arguments; each function gets copies of its own. context: numbers and arrays
    that might matter, see `explain`; the arguments are added to it. bound, terms: as for `compare`.
    view: result ↦ named arrays, so that a report calls them by the notes' names; the candidate's
    result must have the form that it takes. equations, inputs: how the reference computes the
    names that the view gives, see `crosscheck.equations`; every single change of them is tried.
    For the functions of `reference_numpy` view and equations are known (`equations.known`).

    Looked at, in this order: that the candidate returns, returns arrays of the right structure,
    shapes and finite values, does not change its arguments, and returns the same again when called
    again; then the numbers. What differs is explained from the numbers (`explain`), from the
    equations (`locate`), and by running the reference on changed arguments (`rerun`).
    Returns a Diagnosis. Raises what the reference raises: without it there is nothing to hold the
    candidate against; TypeError for a candidate that is not callable.

    >>> print(diagnose(lambda x: 2 * x, lambda x: x, (np.array([1.0, 3.0]),)).explanations[0].name)
    factor 2
    """
    for name, function in (("candidate", candidate), ("reference", reference)):
        if not callable(function):
            raise TypeError(f"{name}: expected a function, got {function!r}")
    arguments = (tuple(args), dict(kwargs or {}))
    own = derivation(reference, *copy.deepcopy(arguments))
    if own is not None and equations is None:
        equations, inputs = own.equations, own.inputs
        view = own.view if view is None else view
    view = (lambda result: result) if view is None else view
    right = _arrays("reference", _called(reference, copy.deepcopy(arguments)), view)
    given = copy.deepcopy(arguments)
    before = _snapshot(given)
    checks: list[str] = []
    try:
        result = _called(candidate, given)
        left = _arrays("candidate", result, view)
    except Exception as error:
        return _failed(error, checks)
    checks.append("it returns arrays in the reference's form")

    found: list[str] = []
    explanations: list[Explanation] = []
    changed = _mutated(before, _snapshot(given))
    checks.append("its arguments are as they were")
    if changed:
        places = ", ".join(short(place) for place in changed)
        found.append(f"the candidate changes its arguments in place: {places}")
        explanations.append(
            Explanation("aliasing", 1.0, 0.0, places, "arguments are written to; copy them first")
        )
    again = _arrays("candidate", _called(candidate, copy.deepcopy(arguments)), view)
    checks.append("a second call with the same arguments returns the same")
    moved = [name for name in left if name not in again or not _same(left[name], again[name])]
    if moved:
        found.append(f"a second call with the same arguments returns others: {', '.join(moved)}")
        explanations.append(
            Explanation(
                "not a function of its arguments", 1.0, 0.0, ", ".join(moved),
                "hidden randomness, or state kept from call to call",
            )
        )  # fmt: skip
    comparison = compare(left, right, bound=bound, terms=terms)
    checks.append(
        f"{len(right)} arrays within their bounds; an error of "
        f"{max((leaf.detects for leaf in comparison.leaves if not leaf.problem), default=0):.1g} "
        f"of the scale would have been seen in each"
    )
    if comparison.agrees:
        return Diagnosis(not found, tuple(found), tuple(explanations), tuple(checks))
    found.append(str(comparison))
    explanations += _reasons(
        left, right, comparison, reference, arguments, context, view, equations, inputs
    )
    return Diagnosis(False, tuple(found), tuple(explanations), tuple(checks))


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    return np.array_equal(one, other, equal_nan=one.dtype.kind in "fc")


def _failed(error: Exception, checks: list[str]) -> Diagnosis:
    said = f"{type(error).__name__}: {error}"
    ours = isinstance(error, TypeError) and str(error).startswith("candidate")
    return Diagnosis(False, (said if ours else f"the candidate raised {said}",), (), tuple(checks))


def _reasons(left, right, comparison: Comparison, reference, arguments, context, view, equations,
             inputs) -> list[Explanation]:  # fmt: skip
    named, call = _by_name(reference, arguments)
    everything = {**_computable(named), **(context or {})}
    if inputs is not None:
        everything = {**everything, **{k: v for k, v in inputs.items() if not callable(v)}}
    from_numbers = explain(left, right, context=everything)
    from_equations = [] if equations is None else locate(left, equations, dict(inputs or {}))
    shapes_fit = not any(leaf.problem.startswith(("shape", "only")) for leaf in comparison.leaves)

    def again(changed):
        return _arrays("reference", call(copy.deepcopy(changed)), view)

    from_arguments = (
        rerun(left, right, again, named, surroundings(context).numbers) if shapes_fit else []
    )
    differing = sum(leaf.ratio > 1 for leaf in comparison.leaves)
    return _ranked(differing, from_equations, from_numbers, from_arguments)


def _by_name(
    reference: Callable[..., Any], arguments: tuple[tuple[Any, ...], dict[str, Any]]
) -> tuple[dict[str, Any], Callable[[dict[str, Any]], Any]]:
    """The arguments by the reference's parameter names, and how to call it with such a dict."""
    args, kwargs = arguments
    try:
        bound = inspect.signature(reference).bind(*args, **kwargs)
    except (TypeError, ValueError):  # a builtin without a signature, or *args of its own
        places = {f"argument {place}": one for place, one in enumerate(args)}

        def by_place(named):
            given = dict(named)
            return reference(*(given.pop(place) for place in places), **given)

        return {**places, **kwargs}, by_place

    def by_name(named):
        again = inspect.BoundArguments(bound.signature, OrderedDict(named))
        return reference(*again.args, **again.kwargs)

    return dict(bound.arguments), by_name


def _computable(named: Mapping[str, Any]) -> dict[str, Any]:
    """Those arguments that hold numbers; a generator or a function is nothing to compute with."""
    kept = {}
    for name, one in named.items():
        try:
            surroundings({name: one})
        except TypeError:
            continue
        kept[name] = one
    return kept


def _ranked(differing: int, *sources: list[Explanation]) -> list[Explanation]:
    """What the equations or the numbers say of everything that differs comes first, then the rest.

    A name is kept once. What leaves more than a hundredth of the difference comes last.
    """

    def rank(item: tuple[int, int, Explanation]) -> tuple:
        source, place, one = item
        whole = one.residual_after <= 0.01 * one.residual_before
        of_all = one.leaf.count(",") + 1 == differing
        return not whole, not (of_all or source == 0), place, source

    everything = [
        (source, place, one)
        for source, ones in enumerate(sources)
        for place, one in enumerate(ones)
    ]
    kept: dict[str, Explanation] = {}
    for _, _, one in sorted(everything, key=rank):
        kept.setdefault(one.name, one)
    return list(kept.values())


def assert_agree(
    candidate: Any,
    reference: Any,
    args: Sequence[Any] = (),
    *,
    kwargs: Mapping[str, Any] | None = None,
    context: Mapping[str, Any] | None = None,
    bound: Any = None,
    terms: float | int | None = None,
) -> None:
    """Raise AssertionError with the diagnosis unless the candidate agrees with the reference.

    Arguments as for `diagnose`.

    >>> assert_agree(np.sin, np.sin, (np.array([1.0]),))
    """
    diagnosis = diagnose(
        candidate, reference, args, kwargs=kwargs, context=context, bound=bound, terms=terms
    )
    if not diagnosis.agrees:
        raise AssertionError(str(diagnosis))
