"""How the notes write names, and what to call one that was taken for another."""

import ast
import re

from jaxnet.crosscheck.equations.text import names

SYMBOLS = {
    "alpha": "α", "learning_rate": "α", "alpha0": "α₀", "l2": "λ", "l1": "λ", "lam": "λ",
    "beta": "β", "beta1": "β₁", "beta2": "β₂", "eps": "ε", "batch_size": "B", "batch": "B",
    "gamma": "γ",
}  # fmt: skip
"""How the notes write what the code calls otherwise."""


def symbol(name: str) -> str:
    """A name as the notes write it; a layer's number stays, but for keep_prob's."""
    return "keep_prob" if re.fullmatch(r"keep\d*", name) else SYMBOLS.get(name, name)


def pretty(node: ast.AST) -> str:
    """An expression as the notes write it: 1 − β₁, λ/m·W2."""
    text = re.sub(r"[A-Za-z_]\w*", lambda match: symbol(match[0]), ast.unparse(node))
    for code, sign in (("**", "^"), (" * ", "·"), (" / ", "/"), (" - ", "−"), ("1−", "1−")):
        text = text.replace(code, sign)
    return text


def parts(name: str) -> tuple[str, str, str]:
    """Letter, layer and suffix of a name: dW2 ↦ (dW, 2, ""), alpha_first ↦ (alpha, "", first)."""
    if name in SYMBOLS:
        return name, "", ""
    matched = re.fullmatch(r"(.*?)(\d*)(?:_(prev|first))?", name)
    assert matched
    return matched[1], matched[2], matched[3] or ""


def term_name(node: ast.AST) -> str:
    """A term of a sum: λW for what is made of a strength and a weight, else as it stands."""
    within = {parts(name)[0] for name in names(node)}
    strength = within & {"l2", "l1", "lam", "weight_decay"}
    weights = [one for one in ("W", "w", "b", "gamma", "beta") if one in within]
    if strength and weights:
        return f"{symbol(min(strength))}{symbol(weights[0])}"
    return pretty(node)


def renamed(old: str, new: str, within: str = "") -> tuple[str, float]:
    """What to call one name taken for another, and how far-fetched that is."""
    (base, layer, when), (new_base, new_layer, new_when) = parts(old), parts(new)
    if within.startswith("d") and base == "Z" and new_base == "A" and layer == new_layer:
        return "derivative at activation", 0.9
    if base in {"D", "mask"}:
        return "mask", 1.0
    if base == new_base and layer == new_layer:
        return ("stale learning rate" if base == "alpha" else "another step's array"), 1.1
    if base.startswith("alpha") and new_base.startswith("alpha"):
        return "compounding" if new_when == "prev" else "stale learning rate", 1.1
    if base == "t" or base == "epoch":
        return ("t" if base == "t" else "unit of t") + f": {new} in place of {old}", 1.2
    if base == new_base and when == new_when:
        return "other layer's array", 1.1
    return f"other array: {symbol(new)} in place of {symbol(old)}", 2.0


def scalar_renamed(old: str, new: str) -> tuple[str, float]:
    """The same for numbers: sizes give a factor, others are named."""
    sizes = ("m", "batch_size", "n", "n_in", "n_out")
    if old in sizes and new in sizes:
        first, second = sorted((old, new), key=sizes.index)
        return f"factor {symbol(first)}/{symbol(second)}", 1.1
    name, cost = renamed(old, new)
    return name.replace("other array", "other number"), cost
