"""Planted bugs are caught, by every check that should catch them; right code is not suspected."""

import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest

from scripts import mutation_score
from scripts.mutants import FRESH, LISTED, UNLISTED
from scripts.mutants.drive import Outcome, control, is_named, outcome, pairs
from scripts.mutants.planting import Edit, plant, planted_text

EVERY = LISTED + UNLISTED + FRESH


@pytest.fixture(scope="session")
def aside():
    """A process beside this one, in which annotations are not checked: here that triples the time.

    The many thousand changed equations that are tried for a mutant are calls of small functions.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        yield pool


@pytest.fixture(scope="session")
def outcome_of(tmp_path_factory, aside):
    """mutant ↦ its Outcome, worked out once in a session, whichever worker is the first to ask."""
    base = tmp_path_factory.getbasetemp()
    # Workers of pytest-xdist have directories of their own below the session's.
    shared = (base.parent if base.name.startswith("popen-") else base) / "mutants"
    shared.mkdir(exist_ok=True)

    def look(mutant):
        file = shared / f"{mutant.id}.json"
        if file.exists():
            found = json.loads(file.read_text())
            lists = {key: tuple(found[key]) for key in ("by", "explanations")}
            return Outcome(**{**found, **lists})
        found = aside.submit(outcome, mutant).result()
        partly = shared / f"{mutant.id}.{base.name}"
        partly.write_text(json.dumps(found.as_dict()))
        partly.rename(file)  # at once, so that no other worker reads half of it
        return found

    return look


@pytest.mark.parametrize("mutant", EVERY, ids=lambda one: one.id)
def test_every_planted_bug_is_caught_by_every_check_that_should(mutant, outcome_of):
    found = outcome_of(mutant)
    assert found.caught, f"{mutant.bug}: wanted {mutant.by}, caught by {found.by}"


@pytest.mark.parametrize(
    ("mutant", "check"), pairs(EVERY), ids=lambda one: getattr(one, "contract", one)
)
def test_the_right_code_is_accepted(mutant, check, aside):
    found = aside.submit(control, mutant, check).result()
    assert found.accepted, found.why


def test_nine_in_ten_of_the_listed_are_named(outcome_of):
    found = [outcome_of(mutant) for mutant in LISTED]
    unnamed = [f"{one.id} {one.bug}: {one.explanations[:3]}" for one in found if not one.named]
    assert len(unnamed) <= 0.1 * len(found), "\n".join(unnamed)


def test_every_row_of_the_list_is_planted():
    rows = {int(mutant.id.rstrip("abcdef")) for mutant in LISTED}
    assert rows == set(range(1, 54))
    assert len(UNLISTED) >= 30
    assert len({mutant.id for mutant in EVERY}) == len(EVERY)


def test_a_mutant_whose_original_was_rewritten_fails_loudly():
    gone = LISTED[0]._replace(edits=(Edit("text that is not there", ""),))
    with pytest.raises(ValueError, match="plant the mutant anew"):
        plant(gone)
    with pytest.raises(ValueError, match="expected a function 'h'"):
        planted_text("def f(x):\n    return x\n", (Edit("x", "y", "h"),))


def test_an_edit_stays_in_its_function_and_out_of_the_docstring():
    text = 'def f(x):\n    """x + 1"""\n    return x + 1\n\n\ndef g(x):\n    return x + 1\n'
    changed = planted_text(text, (Edit("x + 1", "x - 1", "f"),))
    assert changed == text.replace("return x + 1", "return x - 1", 1)


@pytest.mark.parametrize(
    ("short", "name", "expected"),
    [
        ("t", "t", True),
        ("t", "other array", False),
        ("factor m", "factor 1/m", False),
        ("factor m", "factor m/B", False),
        ("norm", "norm: per tensor in place of globally", True),
        ("ε placement", "ε placement", True),
        ("factor 1−β", "missing factor 1-β", True),
        ("missing term λW", "missing term", False),
    ],
)
def test_a_name_counts_only_as_whole_words_in_a_row(short, name, expected):
    assert is_named(short, name) == expected


def test_the_score_fails_for_a_bug_missed_too_few_names_or_right_code_refused():
    def of(name, caught=True, named=True):
        return Outcome(name, "a bug", caught, ("contract",), named, int(named), ("factor 2",))

    fine = mutation_score.score([of(str(i)) for i in range(9)] + [of("9", named=False)])
    accepted, refused = (mutation_score.Control("f", "contract", ok, "") for ok in (True, False))
    assert mutation_score.passed(fine, [accepted])
    assert not mutation_score.passed(fine, [accepted, refused])
    missed = mutation_score.score([of("1"), of("2", caught=False)])
    assert not mutation_score.passed(missed, [accepted])
    unnamed = mutation_score.score([of(str(i)) for i in range(8)] + [of("8", named=False)])
    assert not mutation_score.passed(unnamed, [accepted])


def test_the_report_is_written_and_an_accepted_mutant_is_an_error(monkeypatch, tmp_path, capsys):
    by_id = {mutant.id: mutant for mutant in LISTED}
    harmless = by_id["1b"]._replace(id="0", bug="none at all", edits=())
    monkeypatch.setattr(mutation_score, "LISTED", (by_id["1b"],))
    monkeypatch.setattr(mutation_score, "UNLISTED", ())
    monkeypatch.setattr(mutation_score, "FRESH", ())
    file = tmp_path / "new" / "score.json"
    assert mutation_score.main(["--json", str(file)]) == 0
    report = json.loads(file.read_text())
    assert (report["total"], report["caught"], report["named"]) == (1, 1, 1)
    assert set(report["mutants"][0]) >= {"id", "bug", "caught", "by", "named", "explanations"}
    assert report["controls"][0]["accepted"]
    monkeypatch.setattr(mutation_score, "LISTED", (harmless,))
    assert mutation_score.main([]) == 1
    assert "MISSED" in capsys.readouterr().out
