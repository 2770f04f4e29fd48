"""The main job on planted experiments: what it runs, writes, reports, refuses and returns."""

import json
import operator
import os
from html.parser import HTMLParser

import pytest

from scripts import reproduce
from scripts.harness import claims
from scripts.harness.discovery import SECTIONS, discover, select
from scripts.harness.output import MANIFEST
from scripts.harness.pool import map_isolated
from scripts.harness.records import claim_record
from scripts.harness.report import machine, page, versions
from scripts.harness.running import new_record

GOOD = """
import os
import jax
from scripts.harness import *
TITLE = "Planted & <b>good</b>"
NOTES_SECTION = "A section"
NOTES_FIGURES = (4, 5)
def measure(key, quick):
    return {"x": float(jax.random.uniform(key)), "quick": quick, "process": os.getpid()}
def draw(measurements):
    figure, ax = new_figure()
    ax.plot([0, measurements["x"]])
    return figure
def claims(measurements):
    return [
        exact("x < 1 & x ≥ 0.", measurements["x"], between(0, 1)),
        exact("x is <i>over</i> 2.", measurements["x"], above(2), expected="refuted", note="No."),
        statistical("Mean.", [1.0, 2.0, 3.0] if measurements["quick"] else range(20), above(0)),
        exact("Infinite.", float("inf"), above(0)),
        timing("Process.", str(measurements["process"])),
        not_run("Torch.", "exact", "torch", above(0)),
    ]
"""
UNEXPECTED = GOOD.replace("above(2), expected", "above(-1), expected")
RAISING = GOOD.replace("figure, ax = new_figure()", "raise RuntimeError('no <pen>')")
DYING = GOOD.replace("def measure(key, quick):", "def measure(key, quick):\n    os._exit(3)")
TIMED = GOOD.replace("TITLE =", "TIMING = True\nTITLE =")


@pytest.fixture
def plant(tmp_path, monkeypatch):
    """Write a package of experiments, given as {"section/name": source}; return its name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(sources):
        package = f"planted_{abs(hash(tmp_path))}"
        for name, source in {"__init__": "", **sources}.items():
            path = tmp_path / package / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
            if "/" in name:
                (path.parent / "__init__.py").touch()
        return package

    return write


def run(package, out, *arguments):
    """Exit code and report of the command; {} when it refused its arguments."""
    try:
        code = reproduce.main(["--out", str(out), *arguments], package=package)
    except SystemExit as stop:
        return stop.code, {}
    return code, json.loads((out / "report.json").read_text(), parse_constant=pytest.fail)


class Tags(HTMLParser):
    """Names of the tags met, and the sources of the images."""

    def __init__(self, text):
        super().__init__()
        self.names, self.images = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        if tag == "img":
            self.images.append(dict(attrs)["src"])


def test_good_experiments_exit_0_and_leave_a_whole_report(plant, tmp_path, capsys):
    package = plant({"intro/last": TIMED, "basics/one": GOOD, "basics/two": GOOD})
    out = tmp_path / "out"
    code, report = run(package, out, "--quick", "--jobs", "1")
    assert code == 0
    assert set(report) == {
        "versions", "machine", "quick", "seed", "seconds", "experiments",
    }  # fmt: skip
    assert report["quick"] is True
    ids = [record["id"] for record in report["experiments"]]
    assert ids == ["intro/last", "basics/one", "basics/two"]
    # The timed one is reported in its place but was run last.
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("[")]
    assert "intro/last" in lines[-1]
    for record in report["experiments"]:
        assert record["error"] is None
        assert record["figures"] == [f"{record['id']}.png"]
        assert (out / record["figures"][0]).read_bytes().startswith(b"\x89PNG")
        assert json.loads((out / f"{record['id']}.json").read_text()) == record
        verdicts = [claim["verdict"] for claim in record["claims"]]
        assert verdicts == ["holds", "refuted", "not run", "holds", "not run", "not run"]
        assert record["claims"][3]["measured"] == "inf"
        assert record["claims"][2]["interval"] is not None
    process = {record["id"]: record["claims"][4]["measured"] for record in report["experiments"]}
    assert process["basics/one"] == process["basics/two"] != str(os.getpid())
    assert process["intro/last"] != process["basics/one"]

    text = (out / "index.html").read_text()
    tags = Tags(text)
    assert sorted(tags.images) == sorted(f"{name}.png" for name in ids)
    assert not {"script", "link", "b", "i"} & set(tags.names)
    assert "Planted &amp; &lt;b&gt;good&lt;/b&gt;" in text
    written = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert written == {MANIFEST, *(out / MANIFEST).read_text().splitlines()}

    # Again, one alone, beside a stranger's file: the same numbers, and nothing else is touched.
    (out / "mine.txt").write_text("mine")
    before = (out / "basics" / "one.png").stat().st_mtime_ns
    code, again = run(package, out, "--quick", "--only", "basics/two")
    assert code == 0
    assert [record["id"] for record in again["experiments"]] == ["basics/two"]
    first = next(r for r in report["experiments"] if r["id"] == "basics/two")
    assert again["experiments"][0]["claims"][:4] == first["claims"][:4]
    assert (out / "mine.txt").read_text() == "mine"
    assert (out / "basics" / "one.png").stat().st_mtime_ns == before


def test_what_goes_wrong_is_reported_and_the_rest_goes_on(plant, tmp_path, capsys):
    package = plant(
        {
            "basics/dying": DYING,
            "basics/good": GOOD,
            "basics/raising": RAISING,
            "basics/unexpected": UNEXPECTED,
            "basics/unparsable": "def measure(:",
            "deep/good": GOOD,
        }
    )
    out = tmp_path / "out"
    code, report = run(package, out, "--jobs", "2")
    assert code == 1
    records = {record["id"]: record for record in report["experiments"]}
    errors = {name: record["error"] for name, record in records.items() if record["error"]}
    assert set(errors) == {"basics/dying", "basics/raising", "basics/unparsable"}
    assert "worker process died" in errors["basics/dying"]
    assert "RuntimeError: no <pen>" in errors["basics/raising"]
    assert "SyntaxError" in errors["basics/unparsable"]
    assert records["basics/dying"]["title"] == "Planted & <b>good</b>"
    assert records["basics/dying"]["notes_figures"] == [4, 5]
    for name in records:
        assert json.loads((out / f"{name}.json").read_text()) == records[name]
    assert records["basics/good"]["claims"][2]["verdict"] == "holds"
    assert len(records["basics/raising"]["claims"]) == 6

    text = (out / "index.html").read_text()
    assert "no &lt;pen&gt;" in text
    assert "pen" not in Tags(text).names
    assert text.count("expected: refuted") == 1
    progress = capsys.readouterr().err
    assert progress.count("ERROR") == 3
    assert progress.count("UNEXPECTED") == 1
    assert "failed: 3" in progress


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "basics/sigmiod"], "did you mean basics/sigmoid"),
        (["--only", "sigmoid"], "did you mean basics/sigmoid"),
        (["--only", "basics/sigmoid,dep"], "no experiment or section 'dep'; did you mean deep"),
        (["--only", ""], "no experiment or section ''"),
        (["--only", "zzz"], "--list shows all"),
        (["--jobs", "0"], "positive integer"),
        (["--seed", "-1"], "integer in"),
        (["--seed", "4294967296"], "integer in"),
        (["--seed", "x"], "integer in"),
    ],
)
def test_bad_arguments_exit_2_and_write_nothing(plant, tmp_path, capsys, arguments, message):
    package = plant({"basics/sigmoid": GOOD, "deep/depth": GOOD})
    assert run(package, tmp_path / "out", *arguments) == (2, {})
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_foreign_out_exits_2_and_is_left_alone(plant, tmp_path, capsys):
    package = plant({"basics/good": GOOD})
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.json").write_text("mine")
    assert run(package, out) == (2, {})
    assert "not empty" in capsys.readouterr().err
    assert [(path.name, path.read_text()) for path in out.iterdir()] == [("report.json", "mine")]
    assert run(package, out / "report.json" / "below") == (2, {})
    assert "cannot write" in capsys.readouterr().err


def test_a_package_without_experiments_exits_2(plant, tmp_path, capsys):
    assert run(plant({"basics/_helper": GOOD}), tmp_path / "out") == (2, {})
    assert "no experiments" in capsys.readouterr().err


def test_list_runs_nothing(plant, tmp_path, capsys):
    package = plant({"deep/depth": GOOD, "basics/one": DYING})
    code = reproduce.main(["--list", "--out", str(tmp_path / "out")], package=package)
    assert code == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names == ["basics/one", "deep/depth"]
    assert not (tmp_path / "out").exists()


def test_discovery_reads_the_source(plant):
    package = plant(
        {
            "deep/a": GOOD,
            "basics/z": TIMED,
            "basics/half": "def draw(measurements): ...",
            "basics/helper": "def curve(): ...",
            "basics/_private": GOOD,
            "elsewhere/a": GOOD,
        }
    )
    found = discover(package)
    assert [experiment.id for experiment in found] == ["basics/half", "basics/z", "deep/a"]
    assert [experiment.timing for experiment in found] == [False, True, False]
    assert found[2].title == "Planted & <b>good</b>"
    assert found[2].notes_figures == (4, 5)
    assert [e.id for e in select(found, "deep/a,basics")] == ["basics/half", "basics/z", "deep/a"]
    with pytest.raises(ValueError, match="importable package"):
        discover("no_such_package_anywhere")


def test_the_projects_experiments_are_found():
    found = discover()
    assert "basics/sigmoid" in [experiment.id for experiment in found]
    sections = [experiment.id.split("/")[0] for experiment in found]
    assert sections == sorted(sections, key=SECTIONS.index)
    for experiment in found:
        assert experiment.title != experiment.id, f"{experiment.id}: TITLE is not a literal"
        assert experiment.notes_section, f"{experiment.id}: NOTES_SECTION is not a literal"


def test_pool_gives_every_outcome_once():
    outcomes = list(map_isolated(operator.neg, [3, 1, None, 2], jobs=2))
    assert sorted(o.value for o in outcomes if o.error is None) == [-3, -2, -1]
    (failed,) = [o for o in outcomes if o.error]
    assert failed.item is None
    assert "TypeError" in (failed.error or "")


def report_of(*judged):
    record = new_record("basics/one") | {"claims": [claim_record(claim) for claim in judged]}
    return {
        "versions": versions(),
        "machine": machine(),
        "quick": False,
        "seed": 0,
        "seconds": 1.0,
        "experiments": [record],
    }


def test_page_shows_verdicts_in_words_and_counts_only_what_is_judged():
    text = page(
        report_of(
            claims.exact("a", 1.0, claims.above(0)),
            claims.exact("b", 1.0, claims.above(2)),
            claims.statistical("c", [-1.0, 1.0] * 10, claims.above(0)),
            claims.not_run("d", "exact", "torch", claims.above(0)),
            claims.timing("e", 3.0),
        )
    )
    assert "Claims judged: 3" in text
    assert "unexpected verdicts: 2" in text
    for word in ("holds", "refuted", "inconclusive", "not run", "timing"):
        assert f">{word}</span>" in text
    assert "expected: holds" in text


def test_failed_counts_errors_and_unexpected_verdicts_alone():
    good = claims.exact("a", 1.0, claims.above(0))
    missing = claims.not_run("d", "exact", "torch", claims.above(0))
    assert not reproduce.failed(report_of(good, missing, claims.timing("e", 3.0)))
    assert reproduce.failed(report_of(good, claims.exact("b", 1.0, claims.above(2))))
    broken = report_of(good)
    broken["experiments"][0]["error"] = "Traceback"
    assert reproduce.failed(broken)


def test_versions_and_machine_are_plain():
    assert versions()["jax"]
    assert machine()["cores"] >= 1
    json.dumps([versions(), machine()], allow_nan=False)
