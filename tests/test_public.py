"""The public face of the package: names, examples, and what its objects offer."""

import doctest
import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

import lungscore
from lungscore import Analysis, Scan
from lungscore.analysis import analyze, assess
from lungscore.anatomy import Lungs
from lungscore.errors import InputError, UsageError
from lungscore.inference import Lesions
from lungscore.scan.phantom import Phantom, make_phantom


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom("several-patches", shape=(28, 96, 96))


@pytest.fixture(scope="module")
def analysis(phantom: Phantom) -> Analysis:
    return assess(phantom.scan, Lungs(phantom.lungs, True), Lesions(phantom.lesions, (), None))


@pytest.mark.parametrize(
    "name", ["analyze", "predict_slices", "read_scan", "score", "Scan", "Segmenter"]
)
def test_the_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    examples = [
        test
        for test in doctest.DocTestFinder().find(
            getattr(lungscore, name), name, globs={"lungscore": lungscore}
        )
        if test.examples
    ]
    assert examples
    for test in examples:
        assert doctest.DocTestRunner().run(test).failed == 0, test.name


@pytest.mark.parametrize("name", [n for n in lungscore.__all__ if not n.startswith("_")])
def test_every_public_name_is_listed_and_explained(name: str) -> None:
    assert name in dir(lungscore)
    explanation = getattr(lungscore, name).__doc__
    assert explanation
    assert "Parameters\n" in explanation


def test_type_checkers_know_that_the_package_is_typed() -> None:
    assert files("lungscore").joinpath("py.typed").is_file()


def test_each_object_shows_itself_on_one_line(analysis: Analysis) -> None:
    assert repr(analysis.scan) == (
        "Scan('phantom-several-patches-0', phantom, 28 × 96 × 96, 10 × 3.733 × 3.733 mm, hu)"
    )
    assert repr(analysis.lungs) == "Lungs(28 × 96 × 96, right and left)"
    assert repr(analysis.lesions) == "Lesions(28 × 96 × 96, supplied masks)"
    text = repr(analysis)
    assert text.startswith("Analysis('phantom-several-patches-0', ")
    assert "\n" not in text


def test_an_analysis_is_saved_and_gives_what_is_saved(analysis: Analysis, tmp_path: Path) -> None:
    folder = analysis.save(tmp_path)
    assert folder == tmp_path / analysis.scan.name
    assert analysis.to_dict() == json.loads((folder / "result.json").read_text("utf-8"))
    with pytest.raises(UsageError, match="exists"):
        analysis.save(tmp_path)
    assert analysis.save(str(tmp_path), overwrite=True) == folder


def test_masks_lie_as_the_source_lies(analysis: Analysis, phantom: Phantom) -> None:
    masks = analysis.masks()
    assert set(masks) == {"lungs", "lobes", "regions", "lesions"}
    geometry = phantom.scan.geometry
    for name, array in masks.items():
        assert (array.shape, array.dtype) == (geometry.shape, np.uint8), name
    np.testing.assert_array_equal(geometry.to_canonical(masks["lungs"]), phantom.lungs)


def test_a_notebook_shows_the_headline_and_escapes_names(analysis: Analysis) -> None:
    named = replace(analysis, scan=replace(analysis.scan, name="<b>x</b>"))
    html = named._repr_html_()
    assert "&lt;b&gt;x&lt;/b&gt;" in html
    assert "<b>" not in html
    assert "Research use only" in html
    assert "CT-SS" in html


def test_an_array_becomes_the_scan_it_was(phantom: Phantom) -> None:
    scan = phantom.scan
    made = Scan.from_array(scan.values.astype(float), scan.spacing_mm)
    np.testing.assert_array_equal(made.values, scan.values)
    assert made.spacing_mm == pytest.approx(scan.spacing_mm)
    assert (made.kind, made.units, made.sides_known) == ("array", "hu", True)


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
@pytest.mark.parametrize("flipped", [(), (0,), (1, 2)])
def test_an_affine_brings_any_order_of_axes_into_the_convention(
    phantom: Phantom, axes: tuple[int, ...], flipped: tuple[int, ...]
) -> None:
    scan = phantom.scan
    values = np.flip(scan.values.transpose(axes), flipped)
    affine = scan.geometry.canonical_affine[:, [*axes, 3]].copy()
    for axis in flipped:
        affine[:3, 3] += affine[:3, axis] * (values.shape[axis] - 1)
        affine[:3, axis] *= -1
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    made = Scan.from_array(values, tuple(spacing), affine)
    np.testing.assert_array_equal(made.values, scan.values)
    assert made.spacing_mm == pytest.approx(scan.spacing_mm)
    np.testing.assert_allclose(made.geometry.canonical_affine, scan.geometry.canonical_affine)


def test_an_array_without_spacing_has_none(phantom: Phantom) -> None:
    made = Scan.from_array(phantom.scan.values)
    assert made.spacing_mm is None
    assert "no-spacing" in {notice.code for notice in made.notices}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"values_hu": np.zeros((4, 4))}, "usage"),
        ({"values_hu": np.full((4, 4, 4), "a")}, "usage"),
        ({"affine": np.eye(3)}, "usage"),
        ({"spacing_mm": (1.0, 2.0)}, "usage"),
        ({"affine": np.diag((5.0, 5.0, 0.0, 1.0))}, "geometry-invalid"),
        (
            {"affine": np.diag((5.0, 3.0, 3.0, 1.0)), "spacing_mm": (1.0, 1.0, 1.0)},
            "geometry-invalid",
        ),
        ({"spacing_mm": (2.0, 80.0, 80.0)}, "spacing-out-of-range"),
        ({"values_hu": np.zeros((4, 40, 40))}, "constant-image"),
        ({"values_hu": np.arange(6400).reshape(4, 40, 40) % 256}, "not-hounsfield"),
        ({"values_hu": np.linspace(0, 1, 6400).reshape(4, 40, 40)}, "not-hounsfield"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_array_that_is_no_ct_is_rejected(phantom: Phantom, change: dict, code: str) -> None:
    with pytest.raises((InputError, UsageError)) as error:
        Scan.from_array(**({"values_hu": phantom.scan.values} | change))
    assert error.value.code == code


def test_a_spacing_may_be_an_array(phantom: Phantom) -> None:
    spacing = phantom.scan.spacing_mm
    scan = Scan.from_array(phantom.scan.values, np.array(spacing))
    assert scan.spacing_mm == pytest.approx(spacing)


def test_options_of_files_do_not_fit_a_scan(phantom: Phantom) -> None:
    for options in ({"series": "1.2"}, {"allow_gaps": True}):
        with pytest.raises(UsageError):
            analyze(phantom.scan, **options)
