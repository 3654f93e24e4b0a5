"""What a search space may say, and how a trial's values follow from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainers.errors import MethodError
from trainers.method_api.registry import MethodSpace, method_names, parse_space, read_space, resolve
from trainers.tasks.schema import Range

SPACE = """
paper = "Somebody: Something"
venue = "Somewhere"
year = 2020
terms = ["first", "second"]
weighting = "difficulty"
primary = "margin"
contains_baseline = true
[published]
first = 2.0
second = 10.0
margin = 0.5
mode = "plain"
[sources]
first = "p. 1"
second = "p. 2"
margin = "p. 3"
mode = "p. 4"
[publication]
images_per_gpu = 2
classes = 19
map = [64, 128]
[of]
margin = "first"
mode = "difficulty"
[margin]
low = 0.1
high = 0.9
[second]
low = 1
high = 100
log = true
"""


def parsed(folder: Path, old: str = "", new: str = "") -> MethodSpace:
    assert old in SPACE
    file = folder / "some.toml"
    file.write_text(SPACE.replace(old, new, 1) if old else SPACE)
    return parse_space(file)


def test_a_space_keeps_its_own_dimensions_in_the_files_order(tmp_path: Path) -> None:
    space = parsed(tmp_path)
    assert list(space.own) == ["margin", "second"]
    assert space.name == "some"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[margin]", "[margim]", "margim: unknown key; did you mean 'margin'?"),
        ("venue =", "venu =", "venu: unknown key; did you mean 'venue'?"),
        ("venue =", "venu =", "venue: Field required"),
        ("classes = 19", "clases = 19", "publication.clases: unknown key; did you mean 'classes'"),
        ("low = 0.1\n", "lo = 0.1\n", "own.margin.lo: unknown key; did you mean 'low'"),
        ("year = 2020", 'year = "soon"', "got 'soon'"),
        ("first = 2.0", "first = inf", "published.first"),
        ("first = 2.0", "first = 0.0", "term 'first' needs a published weight > 0, got 0.0"),
        ("first = 2.0\n", "", "term 'first' needs a published weight > 0, got None"),
        ('first = "p. 1"\n', "", "published.first has no source"),
        ('first = "p. 1"', 'third = "p. 1"', "sources.third: nothing has that name"),
        ("margin = 0.5", "margin = 0.95", "margin = 0.95 must lie in [0.1, 0.9]"),
        ('margin = "first"', 'margin = "frist"', "margin = 'frist' is no term nor the weighting"),
        ('margin = "first"\n', "", "[of] must say what margin belongs to"),
        ('margin = "first"', 'first = "first"', "of.first: nothing has that name"),
        ('primary = "margin"', 'primary = "mode"', "primary 'mode' needs a range"),
        ('primary = "margin"', 'primary = "second"', "primary must be no weight"),
        ("mode =", "learning_rate =", "published.learning_rate: the name is reserved"),
        ('"first", "second"', '"first", "first"', "terms must differ"),
        ("[publication]\nimages_per_gpu = 2\nclasses = 19\nmap = [64, 128]", "", "[publication]"),
        ('mode = "plain"', "mode = true", "published.mode"),
        ("year = 2020", "year = ", "not valid TOML"),
    ],
)
def test_a_fault_is_said_with_its_place(old: str, new: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(MethodError) as error:
        parsed(tmp_path, old, new)
    assert said in str(error.value)
    assert "some.toml" in str(error.value)


def test_all_faults_are_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(MethodError) as error:
        parsed(tmp_path, 'venue = "Somewhere"\nyear = 2020', 'venu = "Somewhere"\nyear = "x"')
    assert all(word in str(error.value) for word in ("venu:", "venue:", "year:"))


def test_a_published_value_may_lie_outside_its_range_for_a_reason(tmp_path: Path) -> None:
    with pytest.raises(MethodError, match="or \\[beyond\\] say why"):
        parsed(tmp_path, "margin = 0.5", "margin = 5.0")
    text = SPACE.replace("margin = 0.5", "margin = 5.0") + '[beyond]\nmargin = "as published"\n'
    (tmp_path / "other.toml").write_text(text)
    assert parse_space(tmp_path / "other.toml").beyond == {"margin": "as published"}


@pytest.mark.parametrize("name", method_names())
def test_temperatures_range_over_a_factor_of_four_each_way(name: str) -> None:
    space = read_space(name)
    for key, range_ in space.own.items():
        if key.endswith("temperature"):
            published = float(space.published[key])
            assert range_ == Range(low=max(0.25, published / 4), high=4 * published, log=True)


@pytest.mark.parametrize("name", method_names())
def test_published_values_are_those_of_trial_0(name: str) -> None:
    assert resolve(name, {}) == read_space(name).published


def test_parameters_are_laid_over_and_the_multiplier_scales_weights_alone() -> None:
    values = resolve("kd", {"multiplier": 0.5, "temperature": 2.0, "learning_rate": 0.1})
    assert values == {"pixel_kl": 0.5, "temperature": 2.0}
    assert resolve("kd", {"multiplier": 0.5, "pixel_kl": 4.0})["pixel_kl"] == 2.0


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"temprature": 1.0}, "'temprature'; did you mean 'temperature'"),
        ({"threshold": "high"}, "threshold must be of the kind of 0.7, got 'high'"),
        ({"combination": 1.0}, "combination must be of the kind of 'xor', got 1.0"),
        ({"threshold": float("nan")}, "threshold must be a finite number, got nan"),
        ({"multiplier": True}, "multiplier must be a finite number, got True"),
        ({"multiplier": -1}, "multiplier must be at least 0, got -1"),
    ],
)
def test_a_parameter_of_wrong_name_or_kind_is_refused(
    params: dict[str, float | str], said: str
) -> None:
    with pytest.raises(MethodError) as error:
        resolve("rdd", params)
    assert said in str(error.value)


def test_an_unknown_method_has_no_space() -> None:
    with pytest.raises(MethodError, match="did you mean 'baseline'"):
        read_space("basline")
