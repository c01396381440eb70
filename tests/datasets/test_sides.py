"""No patient is on both sides of a split: in the manifest of any dataset, generated or real."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest

from lungscore.datasets.catalogue import NAMES, dataset
from lungscore.datasets.manifest import Row, read_rows
from lungscore.datasets.prepare import prepare
from lungscore.errors import InputError
from tests.datasets.made_dataset import made, make_tree

# Trees of the other tests, under the name of their dataset.
from tests.datasets.test_cc_ccii import root as cc_ccii  # noqa: F401
from tests.datasets.test_covid_19_ct_seg import root as covid_19_ct_seg  # noqa: F401
from tests.datasets.test_covid_chestxray import root as covid_chestxray  # noqa: F401
from tests.datasets.test_covid_ct import root as covid_ct  # noqa: F401
from tests.datasets.test_covid_ct_md import root as covid_ct_md  # noqa: F401
from tests.datasets.test_datasets import full_slices as medseg  # noqa: F401
from tests.datasets.test_datasets import semiseg as covid_semiseg  # noqa: F401
from tests.datasets.test_ictcf import root as ictcf  # noqa: F401
from tests.datasets.test_medseg_originals import volumes as medseg_volumes  # noqa: F401
from tests.datasets.test_mosmed import root as mosmed  # noqa: F401
from tests.datasets.test_stoic2021 import root as stoic2021  # noqa: F401


def rows_of(name: str, root: Path, folder: Path) -> list[Row]:
    """The rows of a manifest, of what there is where the dataset is not whole."""
    manifest = folder / "sides.parquet"
    prepare(dataset(name), root, manifest, partial=True)
    return list(read_rows(manifest))


def on_several_sides(rows: Iterable[Row]) -> dict[str, set[str]]:
    """Patients (cases where none is known) and cases that are on more than one side."""
    sides = defaultdict(set)
    for row in rows:
        sides[row.unit].add(row.group)
        sides[row.case].add(row.group)
    return {who: groups for who, groups in sides.items() if len(groups) > 1}


@pytest.mark.parametrize("name", NAMES)
def test_no_patient_is_on_both_sides(name, request, tmp_path):
    root = request.getfixturevalue(name.replace("-", "_"))
    rows = rows_of(name, root, tmp_path)
    assert rows
    assert on_several_sides(rows) == {}


def test_a_split_that_parts_a_patient_is_refused(tmp_path, monkeypatch):
    """Whatever gives the sides, they are compared before anything is written."""
    sides = iter(("train", "test") * 8)
    monkeypatch.setattr("lungscore.datasets.examine.group_of", lambda name, who: next(sides))
    with pytest.raises(InputError, match="patient-on-both-sides"):
        prepare(made(), make_tree(tmp_path / "made"), tmp_path / "m.csv")
    assert not (tmp_path / "m.csv").exists()


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "folder"),
    [
        # The test below goes over the same trees, and that of COVID-CT-MD has one over it, too.
        pytest.param("covid-semiseg", "covid-semiseg", marks=pytest.mark.slow),
        ("medseg", "medseg-slices"),
        pytest.param("covid-ct-md", "covid-ct-md", marks=pytest.mark.slow),
    ],
)
def test_no_patient_of_the_real_trees_is_on_both_sides(real_data, tmp_path, name, folder):
    rows = rows_of(name, real_data / folder, tmp_path)
    assert rows
    assert on_several_sides(rows) == {}


@pytest.mark.data
@pytest.mark.slow
def test_no_slice_that_covid_semiseg_tests_on_trains_by_medseg(real_data, tmp_path):
    sides = {}
    for name, folder in (("covid-semiseg", "covid-semiseg"), ("medseg", "medseg-slices")):
        (tmp_path / name).mkdir()
        rows = rows_of(name, real_data / folder, tmp_path / name)
        sides[name] = {Path(row.path).stem: row.group for row in rows}
    shown = sides["medseg"].keys() & sides["covid-semiseg"].keys()
    assert len(shown) == 74
    assert all(sides["medseg"][slice_] == sides["covid-semiseg"][slice_] for slice_ in shown)
    assert {sides["medseg"][slice_] for slice_ in sides["medseg"].keys() - shown} == {"test"}
