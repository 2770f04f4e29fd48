"""translate_optimizer: another framework's optimizer as an optax chain, proved on the spot."""

from typing import Any, NamedTuple

import optax

from jaxnet.crosscheck.backends import frameworks
from jaxnet.crosscheck.translation import keras_rules, sklearn_rules, torch_rules
from jaxnet.crosscheck.translation.calls import Call, build, call, text
from jaxnet.crosscheck.translation.keras_schedules import schedule_call
from jaxnet.crosscheck.translation.parsing import parse
from jaxnet.crosscheck.translation.proof import Proof, prove
from jaxnet.crosscheck.translation.rules import Rule, chained
from jaxnet.crosscheck.translation.source import Schedule, Source, check_values, read


class Translation(NamedTuple):
    """An optimizer in optax, and how far it is the same.

    optimizer: the optax transformation, or None. verdict: "agrees", "agrees if …", "no equivalent",
    "does not agree" where the proof failed, or "not proved: …" where it could not be run. note:
    why, what to mind, and by how much the nearest that optax has of its own is off. code: the
    expression that builds it, in terms of optax and of the modules of
    jaxnet.crosscheck.translation. proof: the errors measured and their bounds, or None.
    """

    optimizer: optax.GradientTransformation | None
    verdict: str
    note: str
    code: str = ""
    proof: Proof | None = None

    def __str__(self) -> str:
        lines = [self.verdict, self.code, str(self.proof or ""), self.note]
        return "\n".join(line for line in lines if line)


def _rule(source: Source, arguments: dict[str, Any], examples: int | None) -> Rule:
    if source.framework == "torch":
        return torch_rules.RULES[source.name](arguments)
    if source.framework == "keras":
        return keras_rules.rule(source.name, arguments)
    return sklearn_rules.rule(source.name, arguments, examples)


def _joined(rules: list[Rule], counts: list[int], rival: bool) -> Call | None:
    """The chain of one group, or of several by label: the arrays are a list, in torch's order."""
    links = [(rule.rival or rule.links) if rival else rule.links for rule in rules]
    if rival and not any(rule.rival for rule in rules):
        return None
    if len(rules) == 1:
        return chained(links[0])
    parts = {f"group {i}": chained(part) for i, part in enumerate(links)}
    labels = [f"group {i}" for i, count in enumerate(counts) for _ in range(count)]
    return call(optax.multi_transform, parts, labels)


def _unique(*parts: tuple[str, ...]) -> list[str]:
    return list(dict.fromkeys(item for part in parts for item in part))


def _missing(source: Source) -> str:
    """Why the framework's own steps cannot be run, or ""."""
    if frameworks.installed(source.framework) is None:
        return f"{source.framework} is not installed"
    if source.framework == "keras":
        try:
            frameworks.keras()
        except ImportError as error:  # another backend was chosen
            return str(error)
    return ""


def translate_optimizer(source: Any, *, examples: int | None = None) -> Translation:
    """Translate an optimizer of torch, keras or scikit-learn into an optax chain, and prove it.

    source: an optimizer of torch.optim or keras.optimizers, scikit-learn's MLPClassifier or
    MLPRegressor (or the optimizer within), or its name with arguments as text, for which the
    framework need not be installed. The object is only read. Parameter groups of torch become
    optax.multi_transform over a list of arrays in torch's order. examples: how many examples
    scikit-learn trains on, where its rate or its last minibatch depends on it.

    Proof: the framework's own class, built anew with the same arguments, and the chain take the
    same 20 gradients in float64, entries from 1 to 1e-6; see `Proof`. Without the framework the
    verdict is "not proved: …" and the claim stands in the note.
    Returns a Translation. Raises TypeError for what is no such optimizer, ValueError for an
    argument that is unknown, missing, not a literal, or not finite, naming it.
    Source: the frameworks' sources, named at each rule.

    >>> translation = translate_optimizer("torch.optim.AdamW(lr=0.01)")
    >>> print(translation.code)
    optax.chain(optax.scale_by_adam(b1=0.9, b2=0.999, eps=1e-08),
        optax.add_decayed_weights(0.01), optax.scale_by_learning_rate(0.01))
    """
    if examples is not None and (isinstance(examples, bool) or examples < 1):
        raise ValueError(f"examples: expected a whole number ≥ 1, got {examples}")
    found = parse(source) if isinstance(source, str) else read(source)
    check_values(found)
    rules = [_rule(found, group.arguments, examples) for group in found.groups]
    remarks = _unique(found.remarks, *(rule.remarks for rule in rules))
    obstacle = next((o for o in [found.obstacle, *(r.obstacle for r in rules)] if o), "")
    if obstacle:
        return Translation(None, "no equivalent", ". ".join([obstacle, *remarks]))
    conditions = _unique(found.conditions, *(rule.conditions for rule in rules))
    if len(rules) > 1:
        conditions.append("the parameters are a list of arrays in the order of torch's groups")
    claim = "agrees" + (f" if {' and '.join(conditions)}" if conditions else "")
    counts = [group.count for group in found.groups]
    whole = _joined(rules, counts, rival=False)
    assert whole is not None
    optimizer, code = build(whole), text(whole)
    if why := _missing(found):
        note = ". ".join([f"by the documented rules it {claim}", *remarks])
        return Translation(optimizer, f"not proved: {why}", note, code)
    proof = _proof(found, rules, examples)
    if proof.rival_error is not None:
        names = _unique(*((rule.rival_name,) for rule in rules if rule.rival_name))
        remarks.insert(0, f"{' or '.join(names)} differs by {proof.rival_error:.1e} of the way")
    if not proof.agrees:
        note = ". ".join([f"the proof of this translation failed ({proof})", *remarks])
        return Translation(None, "does not agree", note, code, proof)
    return Translation(optimizer, claim, ". ".join([str(proof), *remarks]), code, proof)


def _proof(source: Source, rules: list[Rule], examples: int | None) -> Proof:
    """The translation proved on two arrays for each group."""
    twos = [2] * len(rules)
    rival = _joined(rules, twos, rival=True)
    schedule = source.groups[0].arguments.get("learning_rate")
    rate = None
    if isinstance(schedule, Schedule):
        rate = build(schedule_call(schedule))
    return prove(
        source,
        build(_joined(rules, twos, rival=False)),
        rival=None if rival is None else build(rival),
        rate=rate,
        magnifies=max(rule.magnifies for rule in rules),
        float32=max(rule.float32 for rule in rules),
        examples=examples,
    )
