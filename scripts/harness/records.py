"""What is kept of an experiment: a plain dict for the JSON files, and a table for the terminal."""

import math
import textwrap
from typing import Any

from scripts.harness.claims import Claim


def claim_record(claim: Claim) -> dict[str, Any]:
    """The claim as JSON values. Numbers that JSON cannot hold become "nan", "inf", "-inf"."""
    interval = None if claim.interval is None else [plain(end) for end in claim.interval]
    return {
        "text": claim.text,
        "kind": claim.kind,
        "measured": plain(claim.measured),
        "interval": interval,
        "criterion": claim.criterion.text,
        "seeds": claim.seeds,
        "verdict": claim.verdict,
        "expected": claim.expected,
        "note": claim.note,
    }


def plain(value: float | bool | str | None) -> float | bool | str | None:
    """A value as strict JSON has it.

    >>> plain(0.5), plain(float("inf"))
    (0.5, 'inf')
    """
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def judged(claim: dict[str, Any]) -> bool:
    """Whether the verdict of a claim's record counts, as Claim.judged."""
    return claim["kind"] != "timing" and claim["verdict"] != "not run"


def unexpected(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The claims of an experiment's record whose verdict counts and is not the expected one."""
    return [
        claim
        for claim in record["claims"]
        if judged(claim) and claim["verdict"] != claim["expected"]
    ]


def number(value: float | bool | str | None) -> str:
    """A measured value for people: four significant digits.

    >>> number(0.000123456), number(True), number(None)
    ('0.0001235', 'true', '–')
    """
    if value is None:
        return "–"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.4g}"


def measured(claim: dict[str, Any]) -> str:
    """Measured value of a claim's record with its interval and seeds, for people."""
    text = number(claim["measured"])
    if claim["interval"] is not None:
        low, high = (number(end) for end in claim["interval"])
        text += f" [{low}, {high}]"
    if claim["seeds"]:
        text += f", {claim['seeds']} seeds"
    return text


def verdict(claim: dict[str, Any]) -> str:
    """The verdict of a claim's record in words; a timing is "timing"."""
    return "timing" if claim["kind"] == "timing" else claim["verdict"]


def table(record: dict[str, Any], width: int = 96) -> str:
    """An experiment's claims for the terminal, a verdict and a sentence for each."""
    lines = [f"{record['id']}: {record['title']}"]
    for claim in record["claims"]:
        label = verdict(claim)
        if claim in unexpected(record):
            label = label.upper()
        lines += textwrap.wrap(
            claim["text"], width, initial_indent=f"  {label:<13} ", subsequent_indent=" " * 16
        )
        details = f"{measured(claim)}; true if {claim['criterion']}"
        if claim["kind"] == "timing":
            details = measured(claim)
        if claim in unexpected(record):
            details += f"; EXPECTED {claim['expected']}"
        for text in (details, claim["note"]):
            lines += textwrap.wrap(text, width, initial_indent=" " * 16, subsequent_indent=" " * 16)
    if record["error"]:
        lines.append(textwrap.indent(record["error"], "  "))
    return "\n".join(lines)
