"""What a contract is: a function's name and signature, and the checks that a candidate must pass.

A contract is made of parts. A part runs the candidate once or many times, looks at one thing and
returns a Diagnosis; the contract's own is the parts' together.
"""

import copy
import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import numpy as np

from jaxnet.crosscheck.agreement import diagnose
from jaxnet.crosscheck.comparison import as_array
from jaxnet.crosscheck.equations.locate import SHARE, residual
from jaxnet.crosscheck.findings import Diagnosis, Explanation

Candidate: TypeAlias = Callable[..., Any]
Part: TypeAlias = Callable[[Candidate], Diagnosis]

SHOWN = 2
"""Parts that fail and are told in full; of the others one line each."""


class Contract(NamedTuple):
    """One algorithm that a candidate can be held against.

    name: "mlp.backward", the reference function's path. signature: how the candidate is called.
    about: what its arguments and results are, in a line or two. check: candidate ↦ Diagnosis; it
    raises TypeError for a candidate that cannot be called that way.
    """

    name: str
    signature: str
    about: str
    check: Callable[[Candidate], Diagnosis]


def contract_of(name: str, like: Candidate | str, about: str, parts: Iterable[Part]) -> Contract:
    """A contract from its parts.

    like: the reference function, whose parameters the candidate must have, or "f(x, *, y=0)".
    """
    signature = _signature(like)
    parts = tuple(parts)
    titles = [_title(part) for part in parts]
    if len(set(titles)) < len(titles):
        raise ValueError(f"{name}: expected parts of different titles, got {titles}")
    shown = f"{name}{_shown(signature)}"

    def check(candidate: Any) -> Diagnosis:
        require_signature(candidate, signature, shown)
        return together({_title(part): _run(part, candidate) for part in parts})

    return Contract(name, shown, about, check)


def _signature(like: Candidate | str) -> inspect.Signature:
    if callable(like):
        return inspect.signature(like)
    scope: dict[str, Any] = {}
    exec(f"def f{like}: pass", scope)
    return inspect.signature(scope["f"])


def _shown(signature: inspect.Signature) -> str:
    """Without annotations: the names and defaults are what a candidate must match."""
    bare = [
        one.replace(annotation=inspect.Parameter.empty) for one in signature.parameters.values()
    ]
    return str(inspect.Signature(bare))


def require_signature(candidate: Any, expected: inspect.Signature, shown: str) -> None:
    """Raise TypeError unless the candidate takes what it will be called with, and no more.

    >>> require_signature(lambda x: x, _signature("(x, *, l2=0.0)"), "cost(x, *, l2=0.0)")
    Traceback (most recent call last):
    TypeError: candidate <lambda>(x): expected to be callable as cost(x, *, l2=0.0); it lacks l2
    """
    if not callable(candidate):
        raise TypeError(f"candidate: expected a function, got {candidate!r}")
    try:
        own = inspect.signature(candidate)
    except (TypeError, ValueError):
        return  # a builtin that does not say; calling it will show
    positional, keywords = _passed(expected)
    parameters = list(own.parameters.values())
    if any(one.kind is one.VAR_POSITIONAL for one in parameters):
        taken = positional
    else:
        taken = [
            one.name
            for one in parameters
            if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)
        ]
    anything = any(one.kind is one.VAR_KEYWORD for one in parameters)
    lacks = positional[len(taken) :] + [
        name for name in keywords if name not in own.parameters and not anything
    ]
    extra = [
        one.name
        for index, one in enumerate(parameters)
        if one.default is one.empty
        and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
        and (index >= len(positional) or one.kind is one.KEYWORD_ONLY)
        and one.name not in keywords
    ]
    if lacks or extra:
        said = [f"it lacks {', '.join(lacks)}"] if lacks else []
        said += [f"it also needs {', '.join(extra)}"] if extra else []
        name = getattr(candidate, "__name__", "candidate")
        raise TypeError(
            f"candidate {name}{_shown(own)}: expected to be callable as {shown}; "
            f"{' and '.join(said)}"
        )


def _passed(signature: inspect.Signature) -> tuple[list[str], list[str]]:
    """Names passed by position, and by keyword."""
    kinds = {name: one.kind for name, one in signature.parameters.items()}
    keywords = [name for name, kind in kinds.items() if kind is inspect.Parameter.KEYWORD_ONLY]
    return [name for name in kinds if name not in keywords], keywords


def _run(part: Part, candidate: Candidate) -> Diagnosis:
    """A part's Diagnosis; what the candidate raises in it is a finding."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return part(candidate)
        except Refused as refused:
            return Diagnosis(False, (f"{_title(part)}: {refused}",))
        except Exception as error:
            said = f"the candidate raised {type(error).__name__}: {error}"
            return Diagnosis(False, (f"{_title(part)}: {said}",))


def _title(part: Part) -> str:
    return getattr(part, "title", "a check")


class Refused(Exception):
    """A candidate's result that cannot be looked at: of another form than the reference's."""


def together(diagnoses: Mapping[str, Diagnosis]) -> Diagnosis:
    """One Diagnosis of all, by their titles: what explains the most of those that failed is first.

    Every failing part votes for its explanations, the first of them with 1, the second with ½ and
    so on, as far as they explain it whole: one cause has to show in every part that it spoils.
    """
    votes: dict[str, float] = {}
    kept: dict[str, Explanation] = {}
    for diagnosis in diagnoses.values():
        for place, one in enumerate(diagnosis.explanations):
            whole = one.residual_after <= SHARE * one.residual_before
            votes[one.name] = votes.get(one.name, 0.0) + (1.0 if whole else 0.05) / (1 + place)
            kept.setdefault(one.name, one)
    failed = [diagnosis for diagnosis in diagnoses.values() if not diagnosis.agrees]
    found: list[str] = []
    for number, diagnosis in enumerate(failed):
        found += [one if number < SHOWN else one.splitlines()[0] for one in diagnosis.found]
    titles: dict[str, list[str]] = {}
    for title, diagnosis in diagnoses.items():
        for check in diagnosis.checks:
            titles.setdefault(check, []).append(title)
    return Diagnosis(
        not failed,
        tuple(found),
        tuple(sorted(kept.values(), key=lambda one: -votes[one.name])),
        tuple(f"{check} ({_listed(parts)})" for check, parts in titles.items()),
    )


def _listed(titles: Sequence[str]) -> str:
    """The first of many, and how many there are: a check is said once, not once for each draw."""
    shown = "; ".join(titles[:SHOWN])
    more = len(titles) - SHOWN
    return f"{shown}; and {more} more" if more > 0 else shown


def titled(title: str, part: Part) -> Part:
    """The same part; its findings begin with the title."""

    def run(candidate: Candidate) -> Diagnosis:
        diagnosis = part(candidate)
        return diagnosis._replace(found=tuple(f"{title}: {one}" for one in diagnosis.found))

    run.title = title  # type: ignore[attr-defined]
    return run


def draw(
    title: str,
    reference: Candidate,
    args: Sequence[Any] = (),
    *,
    kwargs: Mapping[str, Any] | None = None,
    **options: Any,
) -> Part:
    """A part: the candidate beside the reference on one set of arguments; options of `diagnose`."""
    return titled(
        title,
        lambda candidate: diagnose(candidate, reference, args, kwargs=kwargs, **options),
    )


def against(part: Part, args: Sequence[Any], right: Any, forms: Iterable[tuple[str, Any]]) -> Part:
    """The same part; a candidate that fails it is held against other whole forms of the algorithm.

    right: the right result. forms: pairs of a name and the result of that form, an array. A
    candidate returns one array.
    """

    def run(candidate: Candidate) -> Diagnosis:
        diagnosis = part(candidate)
        if diagnosis.agrees:
            return diagnosis
        left = as_array("result", candidate(*copy.deepcopy(tuple(args))))
        before = residual(left, right)
        causes = []
        for name, predicted in forms:
            if np.size(predicted) == left.size:
                after = residual(left, np.reshape(predicted, left.shape))
                detail = "its numbers, NaN and infinities are those of this form"
                causes += explained(name, before, after, detail)
        return diagnosis._replace(explanations=(*causes, *diagnosis.explanations))

    run.title = _title(part)  # type: ignore[attr-defined]
    return run


def refused(
    title: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any] | None = None,
    *,
    name: str,
    wrong: int | None = None,
) -> Part:
    """A part: arguments that a right function refuses, with an error of any usual type.

    name: what it is called when they are accepted; with `wrong` only if a result has an axis or a
    number of entries that the arguments can only have given it by being stretched: that many.
    """

    def run(candidate: Candidate) -> Diagnosis:
        try:
            result = candidate(*copy.deepcopy(tuple(args)), **copy.deepcopy(dict(kwargs or {})))
        except (ValueError, TypeError, LookupError, AssertionError):
            return Diagnosis(True, (), (), ("refused with an error",))
        shapes = [np.shape(leaf) for leaf in jax.tree.leaves(result)]
        found = f"expected an error, got a result of shapes {shapes}"
        sizes = [int(np.prod(shape)) for shape in shapes]
        fits = wrong is None or wrong in sizes
        detail = "such arguments are accepted" + (f", and give {wrong} entries" if wrong else "")
        cause = (Explanation(name, 1.0, 0.0, "", detail),) if fits else ()
        return Diagnosis(False, (found,), cause, ("refused with an error",))

    return titled(title, run)


def verdict(
    holds: Any, check: str, found: str, explanations: Iterable[Explanation] = ()
) -> Diagnosis:
    """The Diagnosis of one property: whether it holds (a bool, NumPy's too), what was checked, what
    was found instead."""
    if holds:
        return Diagnosis(True, (), (), (check,))
    return Diagnosis(False, (found,), tuple(explanations), (check,))


def explained(name: str, before: Any, after: Any, detail: str, leaf: str = "") -> list[Explanation]:
    """The explanation, if the hypothesis leaves a hundredth of the difference or less."""
    if not (before > 0 and after <= SHARE * before and np.isfinite(after)):
        return []
    return [Explanation(name, float(before), float(after), leaf, detail)]
