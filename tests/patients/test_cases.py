"""Manifests, tables of covariates, and bringing both together with results."""

from pathlib import Path

import pytest

from lungscore.datasets.manifest import read_rows, write_rows
from lungscore.errors import InputError
from lungscore.patients.cases import Case, read_cases
from lungscore.patients.cohort import (
    Measured,
    gather,
    measured,
    read_measured,
    refuse_too_few,
)
from lungscore.patients.covariates import read_covariates
from lungscore.scan.names import case_name
from made_up_patients import write_generated
from tests.patients.made_up import made, manifest


def test_rows_of_one_case_are_one_case_in_csv_and_parquet(tmp_path):
    rows = [
        {"case": "a", "patient": "p", "label": "Mild", "path": "1"},
        {"case": "b", "label": "", "group": "test", "path": "2"},
        {"case": "a", "patient": "p", "label": "Mild", "path": "3"},
    ]
    path = manifest(tmp_path / "cases.csv", rows)
    cases = read_cases(path)
    assert cases == [
        Case("a", "p", "Mild", "train", "here"),
        Case("b", "b", None, "test", "here"),
    ]
    assert [case.case for case in read_cases(path, groups=("test",))] == ["b"]
    write_rows(read_rows(path), tmp_path / "cases.parquet")
    assert read_cases(tmp_path / "cases.parquet") == cases


def test_a_case_is_called_as_its_result_is(tmp_path):
    """Manifests name cases by their folders; a result's folder cannot hold a slash."""
    rows = [{"case": "NCP/1/1001", "patient": "1", "label": "NCP"}]
    (case,) = read_cases(manifest(tmp_path / "cases.csv", rows))
    assert case.case == case_name(Path("scan"), "NCP/1/1001") == "NCP_1_1001"
    assert case.patient == "1"


@pytest.mark.parametrize(
    ("rows", "groups", "mistake"),
    [
        ([{"case": "a", "label": "Mild"}, {"case": "a", "label": "Regular"}], (), "of the case a"),
        ([{"case": "a", "patient": "p"}, {"case": "a", "patient": "q"}], (), "rows of the case a"),
        ([{"case": "a/b"}, {"case": "a_b"}], (), "would both be a_b"),
        ([], (), "it contains no case"),
        ([{"case": "a"}], ("validation",), "no case of validation"),
    ],
)  # fmt: skip
def test_a_manifest_that_contradicts_itself_or_is_empty_is_rejected(
    tmp_path, rows, groups, mistake
):
    with pytest.raises(InputError, match=mistake) as rejected:
        read_cases(manifest(tmp_path / "cases.csv", rows), groups=groups)
    assert rejected.value.code == "manifest-invalid"


# Covariates


def table(tmp_path, text):
    path = tmp_path / "patients.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_covariates_are_read_and_empty_cells_are_none(tmp_path):
    text = "patient,label,Age,sex,crp\nP1,Mild,61,female,12.5\nP2,Severe,,M,1e2\n"
    assert read_covariates(table(tmp_path, text), ["age", "sex", "crp"]) == {
        "P1": {"age": 61, "sex": 0, "crp": 12.5},
        "P2": {"age": None, "sex": 1, "crp": 100},
    }


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        (b"patient,age\nJos\xe9,3\n", "not UTF-8 text"),
        ("case,age\nP1,3\n", "a CSV table whose first column is named patient"),
        ("patient,ages\nP1,3\n", "it has no column age. Expected: ages. Do you mean ages?"),
        ("patient,age\nP1,old\n", "line 2: age is 'old'"),
        ("patient,age\nP1,inf\n", "'inf'"),
        ("patient,age\nP1,1e999\n", "'1e999'"),
        ("patient,age\nP1,nan\n", "'nan'"),
        ("patient,age\nP1,3\nP1,3\n", "line 3: its patient occurred before"),
        ("patient,age\n,3\n", "line 2: the patient has no name"),
        ("patient,age\n", "it holds no patient"),
    ],
)
def test_a_wrong_table_of_covariates_is_rejected(tmp_path, text, mistake):
    with pytest.raises(InputError) as rejected:
        read_covariates(table(tmp_path, text), ["age"])
    assert rejected.value.code == "table-invalid"
    assert mistake in rejected.value.message


def test_no_table_is_rejected(tmp_path):
    with pytest.raises(InputError) as rejected:
        read_covariates(tmp_path / "none.csv", ["age"])
    assert rejected.value.code == "input-not-found"


# All together

CLASSES = {"Mild": 0, "Severe": 1}


def a_result(infection=10.0, **more):
    values = {"infection_percent": infection, "ct_ss": 5.0}
    return Measured(values | more.pop("values", {}), **({"slices": (infection,)} | more))


def test_whatever_is_left_out_is_named_with_its_reason():
    cases = [
        Case("used", "p1", "Mild", "train", "s"),
        Case("milder", "p1", "Mild", "train", "s"),
        Case("nameless", "p2", None, "train", "s"),
        Case("suspect", "p3", "Suspected", "train", "s"),
        Case("both-1", "p4", "Mild", "train", "s"),
        Case("both-2", "p4", "Severe", "train", "s"),
        Case("lost", "p5", "Mild", "train", "s"),
        Case("cut", "p6", "Mild", "train", "s"),
        Case("sideless", "p7", "Mild", "train", "s"),
        Case("lungless", "p8", "Mild", "train", "s"),
        Case("ageless", "p9", "Severe", "train", "s"),
        Case("unlisted", "p10", "Severe", "train", "s"),
        Case("also", "p11", "Severe", "train", "s"),
    ]
    results = {case.case: a_result() for case in cases if case.case != "lost"}
    results |= {
        "milder": a_result(9),
        "cut": a_result(unsuitable=True),
        "sideless": a_result(values={"ct_ss": None}),
        "lungless": a_result(slices=()),
        "stranger": a_result(),
    }
    ages = {f"p{n}": {"age": 40.0 + n} for n in range(1, 12) if n != 10} | {"p9": {"age": None}}
    cohort = gather(
        cases,
        results,
        classes=CLASSES,
        needed=("infection_percent", "ct_ss", "age"),
        covariates=ages,
        one_a_patient=True,
    )
    assert (cohort.cases, cohort.patients) == (("used", "also"), ("p1", "p11"))
    assert cohort.classes.tolist() == [0, 1]
    assert cohort.values.tolist() == [[10, 5, 41], [10, 5, 51]]
    assert cohort.column("age").tolist() == [41, 51]
    assert cohort.left_out == {
        "no-label": ("nameless",),
        "label-not-used": ("suspect",),
        "two-labels": ("both-1", "both-2"),
        "no-result": ("lost",),
        "unsuitable-scan": ("cut",),
        "not-computed": ("sideless", "lungless"),
        "no-covariate": ("ageless", "unlisted"),
        "milder-scan": ("milder",),
        "not-in-table": ("stranger",),
    }
    assert cohort.labels_not_used == {"Suspected": 1}
    assert len(cohort.cases) + sum(map(len, cohort.left_out.values())) == len(cases) + 1


def test_two_labels_of_one_class_are_no_contradiction():
    cases = [Case("a", "p", "CP", "train", "s"), Case("b", "p", "NCP", "train", "s")]
    results = {"a": a_result(), "b": a_result()}
    cohort = gather(cases, results, classes={"CP": 1, "NCP": 1}, needed=("ct_ss",))
    assert cohort.cases == ("a", "b")
    assert cohort.patients_of_class == {1: 1}


def test_a_patient_with_one_usable_label_and_another_label_that_is_not_used_stays():
    cases = [Case("a", "p", "Suspected", "train", "s"), Case("b", "p", "Mild", "train", "s")]
    cohort = gather(cases, {"a": a_result(), "b": a_result()}, classes=CLASSES, needed=("ct_ss",))
    assert cohort.cases == ("b",)


def test_of_equal_scans_of_a_patient_the_first_is_used():
    cases = [Case(name, "p", "Mild", "train", "s") for name in "ab"]
    cohort = gather(
        cases,
        {"a": a_result(), "b": a_result()},
        classes=CLASSES,
        needed=("infection_percent",),
        one_a_patient=True,
    )
    assert (cohort.cases, cohort.left_out) == (("a",), {"milder-scan": ("b",)})


def test_too_few_patients_are_refused_with_what_was_left_out():
    cases = [
        Case(f"c{n}", f"p{n // 2}", "Mild" if n < 30 else "Severe", "t", "s") for n in range(48)
    ]
    cases += [Case(f"s{n}", f"s{n}", "Suspected", "t", "s") for n in range(60)]
    cohort = gather(
        cases, {f"c{n}": a_result() for n in range(48)}, classes=CLASSES, needed=("ct_ss",)
    )
    refuse_too_few(cohort, ["mild", "severe"], patients=24, of_class=9)
    for patients, of_class in ((25, 9), (24, 10)):
        with pytest.raises(InputError) as refused:
            refuse_too_few(cohort, ["mild", "severe"], patients=patients, of_class=of_class)
        assert refused.value.code == "too-few-patients"
        assert refused.value.found.endswith("mild 15, severe 9")
        assert "60 cases were left out" in refused.value.hint
        assert "(Suspected)" in refused.value.hint


def test_a_class_that_is_missing_is_refused():
    cases = [Case(f"c{n}", f"p{n}", "Mild", "t", "s") for n in range(30)]
    cohort = gather(
        cases, {case.case: a_result() for case in cases}, classes=CLASSES, needed=("ct_ss",)
    )
    with pytest.raises(InputError, match="mild 30, severe 0"):
        refuse_too_few(cohort, ["mild", "severe"], patients=20, of_class=5)


def test_results_are_read_from_their_folders(tmp_path):
    given = made("detection", 3)
    write_generated(given, tmp_path)
    results = read_measured(tmp_path / "results")
    assert results == {case: measured(content, case) for case, content in given.results.items()}
    assert [case.case for case in read_cases(tmp_path / "cases.csv")] == list(results)
    assert read_covariates(tmp_path / "patients.csv", ["age"])["P00000"]["age"] > 17


@pytest.mark.parametrize("missing", ["burden", "distribution", "slices", "severity", "scores"])
def test_a_result_that_lacks_a_part_is_damaged(missing):
    content = dict(next(iter(made("detection", 3).results.values())))
    for damaged in ({k: v for k, v in content.items() if k != missing}, content | {missing: None}):
        with pytest.raises(InputError, match="the result is damaged") as rejected:
            measured(damaged, "the result")
        assert rejected.value.code == "case-damaged"


@pytest.mark.parametrize("value", ["twelve", [1], {}])
def test_a_result_with_text_for_a_number_is_damaged(value):
    content = dict(next(iter(made("detection", 3).results.values())))
    content |= {"burden": content["burden"] | {"infection_percent": value}}
    with pytest.raises(InputError, match="the result is damaged"):
        measured(content, "the result")
