"""The command `jaxnet`: exit statuses, messages, files; the matrix itself is a stand-in here."""

import builtins
import json
import types

import pytest

from jaxnet import cli
from jaxnet.cli import crosscheck
from jaxnet.crosscheck import contracts, matrix

GOOD = """
from reference_numpy import mlp
def backward(params, caches, Y, *, l2=0.0):
    return mlp.backward(params, caches, Y, l2=l2)
def times_m(params, caches, Y, *, l2=0.0):
    return [(Y.shape[1] * dW, db) for dW, db in mlp.backward(params, caches, Y, l2=l2)]
def short(params):
    return params
"""


NAN = float("nan")


def _row(left, error, bound, verdict, *, dtype="float64", note=""):
    return matrix.Row(
        "activations/softmax", "values", left, "reference", dtype, error, bound, bound, (), verdict,
        note,
    )  # fmt: skip


ROWS = (
    _row("jax", 1e-16, 1e-13, "agree"),
    _row("torch", 3e-9, 1e-13, "differs as documented", note="ε inside the root"),
    _row("keras", NAN, NAN, "not installed", note="jaxnet-suite[compare] installs it"),
)


@pytest.fixture
def stand_in(monkeypatch):
    """A stand-in for the matrix: its rows, and what it was asked for."""
    stands = types.SimpleNamespace(rows=ROWS, asked=None)

    def run(algorithms, backends, *, on_row):
        stands.asked = (algorithms, backends)
        if "nothing" in (algorithms or ()):
            raise ValueError("algorithms: expected some of activations, got 'nothing'")
        verdicts = [row.verdict for row in stands.rows]
        for row in stands.rows:
            on_row(row)
        summary = {
            "verdicts": {verdict: verdicts.count(verdict) for verdict in matrix.VERDICTS},
            "unexpected": sum(verdict in matrix.UNEXPECTED for verdict in verdicts),
            "seconds": 0.1,
            "without counterpart": {"torch": ["schedules/staircase"], "jax": []},
        }
        return matrix.Matrix(stands.rows, {"numpy": "2.4", "keras": None}, summary)

    monkeypatch.setattr(matrix, "run", run)
    return stands


def _run(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    said = capsys.readouterr()
    return stopped.value.code, said.out, said.err


def test_help_says_what_there_is(capsys):
    code, out, _ = _run(capsys, "--help")
    assert code == 0 and "crosscheck" in out and "proved" in out
    code, out, _ = _run(capsys, "crosscheck", "--help")
    assert code == 0
    options = ("--json", "--algorithms", "--backends", "--candidate", "--against", "--debug")
    assert all(name in out for name in options)


def test_no_command_and_unknown_options_are_mistakes(capsys):
    assert _run(capsys)[0] == 2
    assert _run(capsys, "crosscheck", "--nope")[0] == 2


# ------------------------------------------------------------------ a candidate


@pytest.fixture
def mine(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(GOOD, encoding="utf-8")
    return str(file)


def test_a_right_candidate_agrees(capsys, mine):
    code, out, _ = _run(
        capsys, "crosscheck", "--candidate", f"{mine}:backward", "--against", "mlp.backward"
    )
    assert code == 0 and "agrees" in out and "checked:" in out


def test_a_wrong_candidate_is_diagnosed(capsys, mine):
    code, out, _ = _run(
        capsys, "crosscheck", "--candidate", f"{mine}:times_m", "--against", "mlp.backward"
    )
    assert code == 1 and "DISAGREES" in out and "factor m" in out
    assert "\x1b" not in out  # plain where there is no terminal


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--candidate", "MINE:short", "--against", "mlp.backward"), "it lacks caches, Y, l2"),
        (("--candidate", "MINE:bakward", "--against", "mlp.backward"), "did you mean backward?"),
        (("--candidate", "nowhere.py:f", "--against", "mlp.backward"), "no such file"),
        (("--candidate", "MINE:backward"), "Add --against"),
        (("--against", "mlp.backward"), "Add --candidate"),
        (("--candidate", "MINE:backward", "--against", "mlp.bakward"), "nearest: mlp.backward"),
        (("--candidate", "MINE:backward", "--json", "x.json"), "--json is for the table"),
    ],
)
def test_mistakes_are_one_line_and_status_2(capsys, mine, arguments, said):
    arguments = tuple(argument.replace("MINE", mine) for argument in arguments)
    code, _, err = _run(capsys, "crosscheck", *arguments)
    assert code == 2 and said in err
    assert err.startswith("jaxnet: ") and err.count("\n") == 1


def test_debug_shows_where_a_mistake_arises():
    with pytest.raises(cli.Mistake, match="no such file"):
        cli.main(
            ["crosscheck", "--candidate", "nowhere.py:f", "--against", "mlp.backward", "--debug"]
        )


@pytest.mark.parametrize("against", ["help", "no such algorithm"])
def test_the_algorithms_are_listed_with_their_signatures(capsys, against):
    code, out, _ = _run(capsys, "crosscheck", "--against", against)
    assert code == (0 if against == "help" else 2)
    assert all(one.signature in out for one in contracts.CONTRACTS.values())


@pytest.mark.parametrize("absent", ["tyro", "rich"])
def test_a_missing_extra_is_named(capsys, monkeypatch, absent):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name == absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    code, _, err = _run(capsys, "crosscheck")
    assert code == 2 and absent in err and "jaxnet-suite[compare]" in err


# ------------------------------------------------------------------ the matrix


def test_the_matrix_is_printed_with_errors_bounds_and_verdicts(capsys, stand_in):
    code, out, _ = _run(
        capsys, "crosscheck", "--algorithms", "activations, losses", "--backends", "jax"
    )
    assert code == 0
    assert stand_in.asked == (("activations", "losses"), ("jax",))
    for row in ROWS:
        line = next(line for line in out.splitlines() if f" {row.left} " in line)
        assert row.verdict in line and row.note in line
    assert "3e-09" in out and "nan" not in out
    assert "1 algorithms, 3 cells: 1 agree, 1 differs as documented, 1 not installed" in out
    assert "torch 1" in out and "keras not installed" in out


def test_everything_is_run_by_default(capsys, stand_in):
    _run(capsys, "crosscheck")
    assert stand_in.asked == (None, None)


@pytest.mark.parametrize("verdict", matrix.UNEXPECTED)
def test_what_should_not_be_is_status_1(capsys, stand_in, verdict):
    stand_in.rows = (*ROWS, _row("flax", 0.1, 1e-13, verdict))
    code, out, _ = _run(capsys, "crosscheck")
    assert code == 1 and f"1 {verdict}" in out


def test_every_verdict_has_a_style():
    assert set(crosscheck.VERDICT_STYLES) == set(matrix.VERDICTS)


def test_the_report_is_written_with_versions_rows_and_summary(capsys, stand_in, tmp_path):
    file = tmp_path / "new" / "deep" / "out.json"
    assert _run(capsys, "crosscheck", "--json", str(file))[0] == 0
    text = file.read_text(encoding="utf-8")
    report = json.loads(text)
    assert "NaN" not in text
    assert [row["left"] for row in report["rows"]] == ["jax", "torch", "keras"]
    assert report["rows"][0]["max_relative_error"] == 1e-16
    assert report["rows"][2]["max_relative_error"] is None
    assert report["summary"]["verdicts"]["agree"] == 1
    assert report["versions"] == {"numpy": "2.4", "keras": None}
    assert _run(capsys, "crosscheck", "--json", str(file))[0] == 0  # its own may be replaced


@pytest.mark.parametrize("existing", [True, False])
def test_in_a_directory_the_file_is_crosscheck_json(capsys, stand_in, tmp_path, existing):
    directory = tmp_path / "results"
    if existing:
        directory.mkdir()
    assert _run(capsys, "crosscheck", "--json", str(directory))[0] == 0
    assert (directory / "crosscheck.json").is_file()


@pytest.mark.parametrize("text", ["{}", "not json", '{"rows": []}', "[1]", ""])
def test_another_file_is_never_overwritten_and_nothing_runs(capsys, stand_in, tmp_path, text):
    file = tmp_path / "precious.json"
    file.write_text(text, encoding="utf-8")
    code, _, err = _run(capsys, "crosscheck", "--json", str(file))
    assert code == 2 and "not a cross-check's JSON" in err
    assert file.read_text(encoding="utf-8") == text and stand_in.asked is None


def test_a_path_through_a_file_is_refused(capsys, stand_in, tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    code, _, err = _run(capsys, "crosscheck", "--json", str(tmp_path / "file" / "out.json"))
    assert code == 2 and "is a file, not a directory" in err


def test_unknown_algorithms_are_a_mistake(capsys, stand_in):
    code, _, err = _run(capsys, "crosscheck", "--algorithms", "nothing")
    assert code == 2 and "expected some of activations" in err


def test_the_real_matrix_is_called_as_it_wants_to_be(capsys):
    code, out, _ = _run(
        capsys, "crosscheck", "--algorithms", "activations/relu", "--backends", "jax.jit"
    )
    assert code == 0 and "2 agree" in out


def test_colour_on_a_terminal_unless_no_color(monkeypatch, stand_in, capsys):
    monkeypatch.setattr("rich.console.Console.is_terminal", property(lambda self: True))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[32m" in _run(capsys, "crosscheck")[1]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[32m" not in _run(capsys, "crosscheck")[1]
