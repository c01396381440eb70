"""A cohort's results as a BIDS derivatives dataset."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from lungscore.cli.main import call
from lungscore.errors import UsageError
from lungscore.pacs.bids import participants, write_bids
from lungscore.report.outputs import write_outputs
from lungscore.result import Analysis

MakeAnalysis = Callable[..., Analysis]


@pytest.fixture
def results(tmp_path: Path, make_analysis: MakeAnalysis) -> Path:
    out = tmp_path / "results"
    for name in ("case 1", "case-1", "other"):
        write_outputs(make_analysis(name=name, infected=name != "other"), out)
    return out


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_labels_are_letters_and_digits_and_never_alike() -> None:
    names = participants(["case 1", "case-1", "Other", "患者"])
    assert names["Other"] == "sub-Other"
    assert len(set(names.values())) == 4
    assert all(name.removeprefix("sub-").isalnum() for name in names.values())
    assert all(name.isascii() for name in names.values())


def test_every_case_has_its_numbers_and_masks(results: Path) -> None:
    folder = write_bids(results)
    description = json.loads((folder / "dataset_description.json").read_text("utf-8"))
    assert description["DatasetType"] == "derivative"
    table = {row["case"]: row for row in rows(folder / "participants.tsv")}
    assert set(table) == {"case 1", "case-1", "other"}
    for case, row in table.items():
        content = json.loads((results / case / "result.json").read_text("utf-8"))
        assert float(row["infection_percent"]) == content["burden"]["infection_percent"]
        subject = row["participant_id"]
        for kind in ("lungs", "lobes", "lesions", "regions"):
            mask = folder / subject / "anat" / f"{subject}_space-orig_desc-{kind}_dseg.nii.gz"
            assert mask.read_bytes() == (results / case / f"{kind}.nii.gz").read_bytes()
            assert json.loads(mask.with_name(mask.name.replace("nii.gz", "json")).read_text())
    explained = json.loads((folder / "participants.json").read_text("utf-8"))
    assert set(explained) == set(rows(folder / "participants.tsv")[0]) - {"participant_id"}
    assert explained["infection_percent"]["Units"] == "percent"


def test_tables_of_labels_explain_every_value_in_the_masks(results: Path) -> None:
    folder = write_bids(results)
    for kind in ("lungs", "lobes", "lesions", "regions"):
        table = {int(row["index"]): row for row in rows(folder / f"desc-{kind}_dseg.tsv")}
        values = np.unique(np.asarray(nib.load(results / "case 1" / f"{kind}.nii.gz").dataobj))
        assert set(values.tolist()) - {0} <= set(table)
    lobes = {row["abbreviation"]: row for row in rows(folder / "desc-lobes_dseg.tsv")}
    assert lobes["RML"]["mapping"] == "SCT:72481006"


def test_only_a_dataset_of_ours_is_replaced(results: Path) -> None:
    folder = write_bids(results)
    with pytest.raises(UsageError, match="already exists"):
        write_bids(results)
    (folder / "stale").write_text("")
    write_bids(results, replace=True)
    assert not (folder / "stale").exists()
    (folder / "dataset_description.json").write_text('{"GeneratedBy": [{"Name": "other"}]}')
    with pytest.raises(UsageError, match="did not write it"):
        write_bids(results, replace=True)
    assert folder.is_dir()


@pytest.mark.slow
def test_analyze_writes_it_for_the_cases_at_hand(
    phantom_file: Path, tmp_path: Path, stand_in_model: Path
) -> None:
    out = tmp_path / "out"
    command = ["analyze", str(phantom_file), "-o", str(out), "--model", str(stand_in_model)]
    assert call([*command, "--bids", "--no-ranges"]) == 0
    assert (out / "bids" / "sub-chest" / "anat").is_dir()
    assert call([*command, "--bids", "--resume"]) == 0
