"""Names and colours of label values: in the header of a mask, in colour tables, in the code."""

import json
import re
from xml.etree import ElementTree

import nibabel as nib
import numpy as np

from lungscore import labels
from lungscore.cli.main import call
from lungscore.report.outputs import write_outputs
from lungscore.report.settings import ReportSettings
from lungscore.scan.masks import read_labels
from tests.small_case import analysis_of_boxes


def test_every_value_of_a_mask_has_a_name_and_a_colour_of_its_own():
    assert set(labels.MASK_LABELS) == {"lungs", "lobes", "regions", "lesions"}
    for values in labels.MASK_LABELS.values():
        assert [label.value for label in values] == [*range(1, len(values) + 1)]
        assert len({label.name for label in values}) == len(values)
        assert all(re.fullmatch("#[0-9a-f]{6}", label.colour) for label in values)
    lobes = {label.name: label.value for label in labels.MASK_LABELS["lobes"]}
    assert lobes == labels.LOBES


def names_in(path):
    (extension,) = nib.load(path).header.extensions
    root = ElementTree.fromstring(extension.get_content())  # noqa: S314
    return {int(entry.get("Key")): entry.text for entry in root.iter("Label")}


def test_a_mask_carries_the_names_of_its_labels(tmp_path):
    small = ReportSettings("none")
    analysis = analysis_of_boxes()
    folder = write_outputs(analysis, tmp_path, settings=small)
    for mask, values in labels.MASK_LABELS.items():
        path = folder / f"{mask}.nii.gz"
        assert names_in(path) == {label.value: label.name for label in values}
        stored = np.asarray(nib.load(path).dataobj)
        np.testing.assert_array_equal(stored, analysis.masks()[mask])
    assert read_labels(folder / "lobes.nii.gz", analysis.scan, "lobes") is not None
    folder = write_outputs(analysis_of_boxes(name="flat", sides=False), tmp_path, settings=small)
    assert names_in(folder / "lungs.nii.gz") == {1: "lung"}


def test_colour_tables_are_written_for_every_mask(tmp_path):
    assert call(["-q", "labels", "-o", str(tmp_path / "colours")]) == 0
    for mask, values in labels.MASK_LABELS.items():
        lines = (tmp_path / "colours" / f"{mask}.ctbl").read_text().splitlines()
        rows = [line.split(" ") for line in lines if not line.startswith("#")]
        assert [row[0] for row in rows] == ["0", *(str(label.value) for label in values)]
        assert all(len(row) == 6 for row in rows)
        assert all(0 <= int(field) <= 255 for row in rows for field in row[2:])


def test_labels_are_printed(capsys):
    assert call(["labels"]) == 0
    assert "lobes.nii.gz\n   1  #cc79a7  Left upper lobe\n" in capsys.readouterr().out
    assert call(["labels", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["lesions"][0]["name"] == "GGO"
