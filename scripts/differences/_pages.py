"""The table of differences and the effects as a page of Markdown."""

from collections.abc import Iterator, Mapping
from typing import Any


def markdown(found: Mapping[str, Any]) -> str:
    """The page for the plain data that `scripts.differences` writes as JSON."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    versions = ", ".join(f"{name} {version or 'not installed'}"
                         for name, version in found["versions"].items())  # fmt: skip
    counts = ", ".join(f"{count} {status}" for status, count in found["summary"].items())
    yield from (
        "# How frameworks that look alike differ", "",
        f"<!-- {found['generated']} -->", "",
        f"{found['generated']}", "",
        f"{found['date']}: {versions}.", "",
        f"{len(found['rows'])} rows, executed: {counts}. Where a mapping is given it was "
        "measured that the two sides agree with it and differ without; where they cannot agree, "
        "that the difference is the one the two formulas give. The same as data, with every "
        "measured number: [differences.json](differences.json).", "",
    )  # fmt: skip
    yield from _effects(found)
    topic = ""
    for row in found["rows"]:
        if row["topic"] != topic:
            topic = row["topic"]
            yield from ("", f"## {topic[0].upper()}{topic[1:]}", "")
            yield from _head("row", "sides", "defaults", "mapping", "verdict", "measured")
        yield _cells(
            f"{row['number']}{row['part']}", _pairs(row["sides"]), _pairs(row["defaults"]),
            row["mapping"], _verdict(row), _measured(row),
        )  # fmt: skip


def _effects(found: Mapping[str, Any]) -> Iterator[str]:
    run = found["run"]
    yield from (
        "## Which of them matter", "",
        f"Two trainings that differ in one thing alone: {run['data']}, {run['network']}, batch "
        f"{run['batch']}, {run['epochs']} epochs, the same seeds on both sides. Left minus right, "
        "mean over the seeds and 95 % t-interval, in percentage points of accuracy. Fixed "
        f"beforehand: {run['criterion']}. With this many intervals about one in twenty excludes 0 "
        "by chance. A verdict is about this network, these data and this length of training, and "
        "about one split of the data. Accuracies near 10 % are runs that diverged.", "",
    )  # fmt: skip
    if not found["effects"]:
        yield "Not run."
        return
    yield from _head("row", "what", "left", "right", "setting", "left %", "right %", "effect", "")
    order = ("matters", "undecided", "does not matter at this size")
    for one in sorted(
        found["effects"],
        key=lambda one: (bool(one["row"]), order.index(one["verdict"]), -abs(one["mean_points"])),
    ):
        yield _cells(
            one["row"] or "–", one["what"], one["left"], one["right"], one["setting"],
            f"{one['left_accuracy']:.2f}", f"{one['right_accuracy']:.2f}",
            f"{one['mean_points']:+.2f} [{one['low_points']:+.2f}, {one['high_points']:+.2f}]",
            one["verdict"],
        )  # fmt: skip


def _head(*names: str) -> tuple[str, str]:
    return _cells(*names), "|" + "---|" * len(names)


def _cells(*values: str) -> str:
    return "| " + " | ".join(value.replace("|", "\\|") for value in values) + " |"


def _pairs(mapping: Mapping[str, str]) -> str:
    return "<br>".join(f"{who}: {what}" for who, what in mapping.items())


def _verdict(row: Mapping[str, Any]) -> str:
    parts = [row["verdict"]]
    if row["status"] != "confirmed":
        parts.append(f"**{row['status']}**" + (f": {row['detail']}" if row["detail"] else ""))
    elif row["note"]:
        parts.append(f"*{row['note']}*")
    return "<br>".join(parts)


def _measured(row: Mapping[str, Any]) -> str:
    words = {
        "agree": "agree to {measured} (bound {bound})", "differ": "apart by {measured}",
        "predicted": "apart by {measured}, predicted {expected}", "default": "{measured}",
    }  # fmt: skip
    return "<br>".join(
        f"{check['claim']}: "
        + words[check["kind"]].format(**{key: _number(check[key]) for key in check})
        for check in row["checks"]
    )


def _number(value: Any) -> str:
    if isinstance(value, float) and value != 0 and not 0.001 <= abs(value) < 1000:
        return f"{value:.1e}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
