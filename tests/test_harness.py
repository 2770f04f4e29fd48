"""The experiments' harness: judging, intervals, seeds, the palette, output directories."""

import itertools
import json
import math

import jax
import matplotlib
import numpy as np
import pytest
import scipy.stats
from matplotlib.figure import Figure

from scripts.harness import (
    COLOURS,
    LINESTYLES,
    MARKERS,
    TRUE,
    above,
    at_least,
    at_most,
    below,
    between,
    exact,
    look,
    new_figure,
    not_run,
    seed_keys,
    series,
    spread,
    statistical,
    timing,
)
from scripts.harness.claims import bootstrap_interval, judge, t_interval
from scripts.harness.output import MANIFEST, OutputError, claim_directory, write_bytes, write_json
from scripts.harness.records import claim_record, table, unexpected
from scripts.harness.running import Task, new_record, run_experiment
from scripts.harness.seeds import experiment_key

NEXT = math.nextafter(2.0, math.inf)
PREVIOUS = math.nextafter(2.0, -math.inf)


@pytest.mark.parametrize(
    ("criterion", "value", "holds"),
    [
        (at_least(2), 2.0, True),
        (at_least(2), PREVIOUS, False),
        (at_least(2), math.inf, True),
        (above(2), 2.0, False),
        (above(2), NEXT, True),
        (at_most(2), 2.0, True),
        (at_most(2), NEXT, False),
        (below(2), 2.0, False),
        (below(2), PREVIOUS, True),
        (below(0), 0.0, False),
        (below(0), -5e-324, True),
        (between(2, 3), 2.0, True),
        (between(2, 3), 3.0, True),
        (between(2, 3), PREVIOUS, False),
        (between(2, 3), math.inf, False),
        (between(2, 2), 2.0, True),
        (between(2, 2), NEXT, False),
    ],
)
def test_ends_of_a_criterion_are_open_or_closed_as_named(criterion, value, holds):
    assert exact("x", value, criterion).verdict == ("holds" if holds else "refuted")


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (2.0, 3.0, "holds"),
        (2.5, 2.5, "holds"),
        (PREVIOUS, 3.0, "inconclusive"),
        (2.0, math.nextafter(3.0, math.inf), "inconclusive"),
        (1.0, 4.0, "inconclusive"),
        (1.0, 2.0, "inconclusive"),
        (1.0, PREVIOUS, "refuted"),
        (3.5, 4.0, "refuted"),
        (math.nan, 3.0, "inconclusive"),
        (-math.inf, math.inf, "inconclusive"),
    ],
)
def test_interval_inside_outside_or_neither(low, high, verdict):
    assert judge(low, high, between(2, 3)) == verdict


@pytest.mark.parametrize("value", [True, np.bool_(True), np.array(True), jax.numpy.array(True)])
def test_true_is_a_criterion_of_bools(value):
    claim = exact("x", value, TRUE)
    assert claim.measured is True
    assert claim.verdict == "holds"
    assert exact("x", not value, TRUE).verdict == "refuted"


def test_bools_and_numbers_do_not_mix():
    with pytest.raises(TypeError, match="TRUE"):
        exact("x", 1.0, TRUE)
    with pytest.raises(TypeError, match="TRUE"):
        exact("x", True, at_least(0))
    with pytest.raises(TypeError, match="TRUE"):
        statistical("x", np.ones(20), TRUE)
    with pytest.raises(TypeError, match="one number"):
        exact("x", np.ones(2), at_least(0))
    with pytest.raises(TypeError, match="one number"):
        exact("x", "1.0", at_least(0))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("make", [above, at_least, below, at_most])
@pytest.mark.parametrize("bound", [math.nan, math.inf, -math.inf])
def test_bounds_are_finite(make, bound):
    with pytest.raises(ValueError, match="finite"):
        make(bound)


def test_between_is_ordered():
    with pytest.raises(ValueError, match="low ≤ high"):
        between(3, 2)


def test_criterion_text_is_the_criterion():
    assert at_least(0.1 + 0.2).text == "≥ 0.30000000000000004"
    assert below(1e-7).text == "< 1e-07"
    assert between(5, 5).text == "= 5"


def test_nan_measured_is_inconclusive_and_says_so():
    claim = exact("x", math.nan, at_least(0))
    assert claim.verdict == "inconclusive"
    assert not claim.as_expected
    assert "not a number" in claim.note


@pytest.mark.parametrize("expected", ["true", "", "not run", None])
def test_expected_is_a_judged_verdict(expected):
    with pytest.raises(ValueError, match="expected 'holds'"):
        exact("x", 1.0, at_least(0), expected=expected)
    with pytest.raises(ValueError, match="expected 'holds'"):
        statistical("x", np.ones(20), at_least(0), expected=expected)


@pytest.mark.parametrize("expected", ["refuted", "inconclusive"])
def test_unusual_expectation_needs_a_reason(expected):
    with pytest.raises(ValueError, match="why it is"):
        exact("x", 1.0, at_least(0), expected=expected, note=" ")
    with pytest.raises(ValueError, match="why it is"):
        statistical("x", np.ones(20), at_least(0), expected=expected)
    claim = exact("x", 1.0, at_least(2), expected=expected, note="Because.")
    assert claim.as_expected == (expected == "refuted")


@pytest.mark.parametrize("n", [2, 3, 20, 57])
def test_t_interval_is_scipys(n):
    samples = np.random.default_rng(n).normal(3.0, 2.0, n)
    mean, interval = t_interval(samples)
    standard_error = scipy.stats.sem(samples)
    np.testing.assert_allclose(mean, samples.mean(), rtol=1e-14)
    np.testing.assert_allclose(
        interval, scipy.stats.t.interval(0.95, n - 1, mean, standard_error), rtol=1e-12
    )


def test_t_interval_covers_the_mean_95_times_in_100():
    draws = np.random.default_rng(0).normal(1.0, 3.0, (2_000, 20))
    intervals = [t_interval(draw)[1] for draw in draws]
    covered = sum(low <= 1.0 <= high for low, high in intervals)
    # 4 standard deviations of a binomial count around 1,900.
    assert abs(covered - 1_900) < 4 * math.sqrt(2_000 * 0.95 * 0.05)


def test_bootstrap_covers_the_median_about_as_often():
    def median(samples):
        return np.sort(samples)[9:11].mean()

    draws = np.random.default_rng(1).normal(1.0, 3.0, (200, 20))
    intervals = [bootstrap_interval(draw, median)[1] for draw in draws]
    assert 0.89 <= np.mean([low <= 1.0 <= high for low, high in intervals]) <= 0.99


def test_statistical_verdicts():
    samples = np.linspace(0.9, 1.1, 20)
    assert statistical("x", samples, above(0.9)).verdict == "holds"
    assert statistical("x", samples, above(1.1)).verdict == "refuted"
    claim = statistical("x", samples, above(1.0))
    assert claim.verdict == "inconclusive"
    assert claim.seeds == 20
    assert claim.measured == pytest.approx(1.0)


def test_wrong_expectation_is_noticed():
    samples = np.linspace(0.9, 1.1, 20)
    assert not statistical("x", samples, above(1.1)).as_expected
    assert not statistical("x", samples, above(1.0)).as_expected
    assert not statistical("x", samples, above(0), expected="refuted", note="No.").as_expected


@pytest.mark.parametrize("n", [1, 3, 19])
def test_few_seeds_are_not_judged(n):
    claim = statistical("x", np.arange(n), above(100), expected="refuted", note="Small.")
    assert claim.verdict == "not run"
    assert claim.as_expected
    assert (claim.interval is None) == (n == 1)


def test_zero_variance_has_zero_width():
    # The mean of twenty float64 0.1 is not 0.1: the interval must not inherit that rounding.
    claim = statistical("x", np.full(20, 0.1), between(0.1, 0.1))
    assert claim.interval == (0.1, 0.1)
    assert claim.verdict == "holds"
    bootstrapped = statistical("x", np.full(20, 3.0), between(3, 3), method="bootstrap")
    assert bootstrapped.interval == (3.0, 3.0)


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("method", ["t", "bootstrap"])
def test_broken_samples_are_counted_never_dropped(broken, method):
    samples = np.ones(20)
    samples[[3, 11]] = broken
    claim = statistical("x", samples, above(0), method=method)
    assert claim.verdict == "inconclusive"
    assert claim.interval is None
    assert "2 of 20 samples are not finite" in claim.note
    assert not claim.as_expected


def test_bootstrap_keeps_rows_together_and_names_itself():
    def ratio_of_means(rows):
        return rows[:, 0].mean() / rows[:, 1].mean()

    denominators = np.random.default_rng(2).uniform(1, 5, 30)
    rows = np.stack([2 * denominators, denominators], axis=1)
    claim = statistical("x", rows, between(1.9, 2.1), method="bootstrap", statistic=ratio_of_means)
    assert claim.interval == pytest.approx((2.0, 2.0), rel=1e-14)
    assert "bootstrap interval of the ratio of means" in claim.note
    again = statistical("x", rows, between(1.9, 2.1), method="bootstrap", statistic=ratio_of_means)
    assert again == claim


@pytest.mark.parametrize("shape", [(), (0,), (20, 2)])
def test_samples_are_one_number_per_seed(shape):
    with pytest.raises(ValueError, match=r"shape \(seeds,\)"):
        statistical("x", np.ones(shape), above(0))


def test_method_is_known_and_fits_the_statistic():
    with pytest.raises(ValueError, match="method"):
        statistical("x", np.ones(20), above(0), method="z")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="statistic"):
        statistical("x", np.ones(20), above(0), statistic=np.median)


def test_timings_and_missing_packages_are_never_judged():
    for claim in (timing("x", 51.0), timing("y", "fast"), not_run("z", "exact", "torch", above(0))):
        assert not claim.judged
        assert claim.as_expected
        assert not unexpected({"claims": [claim_record(claim)]})
    assert "torch" in not_run("z", "exact", "torch", above(0)).note
    with pytest.raises(ValueError, match="kind"):
        not_run("z", "proved", "torch", above(0))  # pyright: ignore[reportArgumentType]


def test_records_are_strict_json():
    claims = [
        exact("x", math.inf, at_least(0)),
        exact("y", np.float32(0.5), at_least(0)),
        exact("z", True, TRUE),
        statistical("n", [math.nan] * 20, above(0)),
        statistical("w", [-1e308, 1e308] * 10, above(0)),
        not_run("m", "statistical", "torch", above(0)),
    ]
    records = [claim_record(claim) for claim in claims]
    assert json.loads(json.dumps(records, allow_nan=False)) == records
    assert [record["measured"] for record in records[:4]] == ["inf", 0.5, True, "nan"]
    assert records[5]["measured"] is None


def test_table_shouts_what_is_unexpected():
    claims = [exact("fine", 1.0, above(0)), exact("wrong", 1.0, above(2))]
    record = new_record("a/b") | {"claims": [claim_record(claim) for claim in claims]}
    text = table(record)
    assert "REFUTED" in text
    assert "EXPECTED holds" in text
    assert "HOLDS" not in text


def test_seed_keys():
    key = jax.random.key(0)
    assert seed_keys(key, True).shape == (3,)
    assert seed_keys(key, False).shape == (20,)
    assert seed_keys(key, False, seeds=30).shape == (30,)
    with pytest.raises(ValueError, match="at least 20"):
        seed_keys(key, False, seeds=19)


def test_experiment_keys_depend_on_seed_and_id_alone():
    keys = [
        tuple(jax.random.key_data(experiment_key(seed, name)).tolist())
        for seed, name in itertools.product((0, 1, 2**32 - 1), ("a/b", "a/c"))
    ]
    assert len(set(keys)) == len(keys)
    # The hash must not change between processes or versions, as Python's own does.
    assert experiment_key(0, "a/b") == jax.random.fold_in(jax.random.key(0), 0x07F4401C)


def lab_of(colour, deficiency):
    """CIELAB (D65) of an sRGB colour as seen with a colour-vision deficiency."""
    srgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(deficiency @ linear, 0, 1)
    xyz = np.array(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ]
    )
    x, y, z = np.cbrt(xyz @ linear / np.array([0.95047, 1.0, 1.08883]))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


# Machado, Oliveira and Fernandes (2009), severity 1.
DEFICIENCIES = {
    "none": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_colours_stay_apart(deficiency):
    lab = [lab_of(colour, DEFICIENCIES[deficiency]) for colour in COLOURS]
    # A difference of 2 is just noticeable side by side; thin lines apart need far more.
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(lab, 2)) > 20


def test_colours_are_ordered_in_grey():
    lightness = [lab_of(colour, np.eye(3))[0] for colour in COLOURS]
    assert min(np.diff(lightness)) > 8
    assert len(COLOURS) == len(set(LINESTYLES)) == len(set(MARKERS))


def test_series_differ():
    for n in range(1, len(COLOURS) + 1):
        styles = series(n)
        assert len({style["color"] for style in styles}) == n
        assert len({style["linestyle"] for style in styles}) == n
    with pytest.raises(ValueError, match="told apart"):
        series(len(COLOURS) + 1)


def test_look_is_restored():
    before = dict(matplotlib.rcParams)
    with look():
        assert matplotlib.rcParams["image.cmap"] == "cividis"
    assert dict(matplotlib.rcParams) == before


def test_spread_draws_the_median_and_the_band():
    figure, ax = new_figure()
    assert isinstance(figure, Figure)
    samples = np.random.default_rng(0).normal(size=(21, 4))
    samples[5, 2] = math.nan
    spread(ax, np.arange(4), samples, band="range", label="x", **series(1)[0])
    (line,) = ax.lines
    expected = np.median(samples, axis=0)
    np.testing.assert_array_equal(line.get_ydata(), expected)
    assert np.isnan(expected[2])
    heights = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert heights.min() == np.nanmin(samples[:, :2])
    assert heights.max() == np.nanmax(samples[:, :2])
    with pytest.raises(ValueError, match="samples"):
        spread(ax, np.arange(4), samples.T)


def test_new_directory_is_claimed(tmp_path):
    out = tmp_path / "new" / "results"
    claim_directory(out, ["a/b.png"])
    assert (out / MANIFEST).read_text() == "a/b.png\n"
    (out / "a").mkdir()
    (out / "a" / "b.png").write_text("old")
    claim_directory(out, ["a/b.png", "a/c.png"])
    assert (out / MANIFEST).read_text() == "a/b.png\na/c.png\n"


def test_foreign_directory_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        claim_directory(tmp_path, ["a/b.png"])
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_foreign_file_among_results_is_left_alone(tmp_path):
    claim_directory(tmp_path, ["a/b.png"])
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "c.png").write_text("mine")
    with pytest.raises(OutputError, match=r"c\.png was not written"):
        claim_directory(tmp_path, ["a/b.png", "a/c.png"])
    assert (tmp_path / MANIFEST).read_text() == "a/b.png\n"


def test_file_in_the_place_of_a_folder_is_left_alone(tmp_path):
    claim_directory(tmp_path, ["a/b.png"])
    (tmp_path / "a").write_text("mine")
    with pytest.raises(OutputError, match="is a file where a folder is needed"):
        claim_directory(tmp_path, ["a/b.png"])
    assert (tmp_path / "a").read_text() == "mine"


def test_out_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OutputError, match="cannot write"):
            claim_directory(out, ["a/b.png"])
    assert (tmp_path / "file").read_text() == "mine"


def test_writing_is_whole_or_not_at_all(tmp_path, monkeypatch):
    target = tmp_path / "report.json"
    write_json(target, {"x": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(target, {"x": math.nan})

    def refuse(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        write_bytes(target, b"half")
    assert json.loads(target.read_text()) == {"x": 1}
    assert list(tmp_path.iterdir()) == [target]


EXPERIMENT = """
from scripts.harness import *
TITLE = "Planted"
NOTES_SECTION = "None"
NOTES_FIGURES = (4,)
def measure(key, quick):
    return {{"x": 1.0}}
def draw(measurements):
    figure, ax = new_figure()
    return figure
def claims(measurements):
    return {claims}
"""


@pytest.fixture
def run_planted(tmp_path, monkeypatch):
    """Run the experiment whose source is given, in this process, and return its record."""
    monkeypatch.syspath_prepend(tmp_path)
    names = (f"planted_{tmp_path.name}_{i}" for i in itertools.count())

    def run(source, quick=False):
        name = next(names)
        (tmp_path / f"{name}.py").write_text(source)
        return run_experiment(Task("a/b", name, 0, quick, tmp_path / "out"))

    return run


def test_experiment_is_run_and_written(run_planted, tmp_path):
    record = run_planted(EXPERIMENT.format(claims="[exact('one', 1.0, above(0))]"))
    assert record["error"] is None
    assert record["title"] == "Planted"
    assert record["notes_figures"] == [4]
    assert record["figures"] == ["a/b.png"]
    assert (tmp_path / "out" / "a" / "b.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "out" / "a" / "b.json").read_text()) == record


@pytest.mark.parametrize(
    ("claims", "error"),
    [
        ("[]", "at least one claim"),
        ("None", "list of Claim"),
        ("[exact('one', 1.0, above(0))] * 2", "distinct"),
        ("[statistical('one', [1.0] * 3, above(0))]", "at least 20 seeds"),
        ("1 / 0", "ZeroDivisionError"),
        ("exit()", "SystemExit"),
    ],
)
def test_broken_claims_are_errors(run_planted, claims, error):
    record = run_planted(EXPERIMENT.format(claims=claims))
    assert error in record["error"]
    assert record["figures"] == []


def test_few_seeds_are_fine_in_a_quick_run(run_planted):
    source = EXPERIMENT.format(claims="[statistical('one', [1.0] * 3, above(0))]")
    assert run_planted(source, quick=True)["error"] is None


def test_claims_survive_a_failed_drawing(run_planted):
    source = EXPERIMENT.format(claims="[exact('one', 1.0, above(0))]")
    record = run_planted(source.replace("return figure", "return None"))
    assert "expected a matplotlib Figure" in record["error"]
    assert [claim["text"] for claim in record["claims"]] == ["one"]
