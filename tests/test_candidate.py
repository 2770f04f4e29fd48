"""A user's function from a file: what is taken, and what is said of what cannot be."""

import sys

import pytest

from jaxnet.crosscheck.candidate import CandidateError, load


def _file(tmp_path, text, name="mine.py"):
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return file


def test_a_function_is_loaded_from_its_file(tmp_path):
    file = _file(tmp_path, "import math\n\ndef double(x):\n    return 2 * x\n")
    assert load(f"{file}:double")(3) == 6
    # Nothing is left behind on the path of imports.
    assert str(tmp_path) not in sys.path


def test_a_file_may_import_its_neighbours_and_be_called_as_a_library(tmp_path):
    _file(tmp_path, "factor = 5\n", "beside_me.py")
    file = _file(tmp_path, "import beside_me\ndef f(x): return beside_me.factor * x\n", "numpy.py")
    assert load(f"{file}:f")(2) == 10
    import numpy

    assert numpy.pi > 3


def test_a_changed_file_is_read_anew(tmp_path):
    file = _file(tmp_path, "def f(): return 1\n")
    assert load(f"{file}:f")() == 1
    file.write_text("def f(): return 222\n", encoding="utf-8")
    assert load(f"{file}:f")() == 222


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("def adam(x): pass\n", "adma", r"has no adma; it has adam; did you mean adam\?"),
        ("from math import sin\nx = 1\n", "f", "it defines no function"),
        ("f = 3\n", "f", "expected a function, f in .* is of type int"),
        ("import nowhere_at_all\n", "f", r"ModuleNotFoundError: No module .* \(line 1\)"),
        ("x = 1\ny = x / 0\n", "f", r"ZeroDivisionError: .* \(line 2\)"),
        ("def f(:\n", "f", r"SyntaxError: .*line 1"),
        ("import sys\nsys.exit(3)\n", "f", r"SystemExit: 3 \(line 2\)"),
    ],
)
def test_what_cannot_be_loaded_is_told_in_one_line(tmp_path, text, name, said):
    file = _file(tmp_path, text)
    with pytest.raises(CandidateError, match=said) as caught:
        load(f"{file}:{name}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("spec", ["mine.py", "mine.py:", ":f", "mine.py:not a name", ""])
def test_a_spec_of_another_form_is_refused(spec):
    with pytest.raises(CandidateError, match=r"expected FILE\.py:FUNCTION"):
        load(spec)


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(CandidateError, match="no such file"):
        load(f"{tmp_path / 'nothing.py'}:f")
    with pytest.raises(CandidateError, match="is a directory"):
        load(f"{tmp_path}:f")
    with pytest.raises(CandidateError, match=r"ends in \.py"):
        load(f"{_file(tmp_path, 'def f(): pass', 'mine.txt')}:f")
