"""The tutorials on a scan of a patient; `make docs` runs all of them on phantoms."""

from pathlib import Path

import pytest

from tests.docs.pages import DOCS


@pytest.mark.ci
def test_from_a_dicom_folder_to_numbers_of_a_patient(
    real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jupytext = pytest.importorskip("jupytext", reason="jupytext is not installed")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    monkeypatch.setenv("LUNGSCORE_SCAN", str(real_data / "covid-ct-md" / "P002"))
    notebook = jupytext.read(DOCS / "tutorials" / "dicom-to-numbers.md")
    nbclient.NotebookClient(
        notebook,
        timeout=900,
        startup_timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()
    printed = "".join(
        output.get("text", "")
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream"
    )
    assert "of 40" in printed
