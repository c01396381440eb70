"""``lungscore node`` with a stub in place of the analysis, to measure the node and not the network.

    python experiments/node_stub.py --config node.yaml

All else is the node's own: processes that stay, folders, state, sending. The stub reads the study's
images, and writes small objects of the same study; a study of fewer images than there must be is
refused as the analysis refuses one with a gap.
"""

import argparse
import faulthandler
import signal
import sys
import threading
import time
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from lungscore.batch import AnalyzeSettings, Case, Outcome, processes, standing
from lungscore.errors import InputError
from lungscore.interruption import EXIT_INTERRUPTED, end_when_told
from lungscore.pacs.uids import uid_of
from lungscore.report.case_folder import appearing

IMAGES, OBJECTS = 16, 6
#: Seconds that each object takes to write: an analysis must last for a kill to hit it.
PAUSE_S = 0.05


def stub(case: Case, options: AnalyzeSettings) -> Outcome:
    """What stands in for the analysis of a case."""
    paths = sorted(case.path.glob("*.dcm"))
    if len(paths) < IMAGES:
        error = InputError("slice-gap", f"{IMAGES - len(paths)} slices are missing")
        return Outcome(case.path, error=error, case=case.name)
    first = pydicom.dcmread(paths[0], stop_before_pixels=True)
    folder = options.out / case.name
    if not folder.exists():  # else it was written just before the node was killed
        with appearing(folder) as staging:
            write(staging / "dicom", first)
    return Outcome(case.path, folder, case=case.name)


def write(folder: Path, first: Dataset) -> None:
    """Write the objects."""
    folder.mkdir()
    (folder.parent / "result.json").write_text("{}")
    for number in range(OBJECTS):
        time.sleep(PAUSE_S)
        dataset = Dataset()
        dataset.SOPClassUID = SecondaryCaptureImageStorage
        dataset.SOPInstanceUID = uid_of(first.StudyInstanceUID, "object", number)
        dataset.StudyInstanceUID = first.StudyInstanceUID
        dataset.SeriesInstanceUID = uid_of(first.StudyInstanceUID, "series")
        dataset.PatientName, dataset.PatientID = first.PatientName, first.PatientID
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.save_as(folder / f"picture-{number + 1:02d}.dcm", enforce_file_format=True)


def main() -> None:
    from lungscore.node.config import read_config
    from lungscore.node.node import run_node

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, required=True)
    arguments = parser.parse_args()
    end_when_told()
    faulthandler.register(signal.SIGUSR1)
    standing.work = processes.work = stub

    def tell(line: str) -> None:
        sys.stderr.write(f"{line}\n")

    try:
        run_node(read_config(arguments.config), threading.Event(), tell=tell)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    # What the workers load must have a name that they can load it by.
    from node_stub import main as of_module

    of_module()
