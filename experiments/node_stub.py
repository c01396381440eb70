"""``lungscore node`` with a stub in place of the analysis, to measure the node and not the network.

    python experiments/node_stub.py --config node.yaml

All else is the node's own: processes that stay, folders, state, sending. The stub reads the study's
first image, and writes three small objects of the same study.
"""

import argparse
import shutil
import sys
import threading
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from lungscore.batch import AnalyzeSettings, Case, Outcome, standing
from lungscore.interruption import end_when_told
from lungscore.pacs.uids import uid_of

OBJECTS = 3


def stub(case: Case, options: AnalyzeSettings) -> Outcome:
    """What stands in for the analysis of a case."""
    first = pydicom.dcmread(min(case.path.iterdir()), stop_before_pixels=True)
    folder = options.out / case.name
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "dicom").mkdir(parents=True)
    for number in range(OBJECTS):
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
        path = folder / "dicom" / f"picture-{number + 1:02d}.dcm"
        dataset.save_as(path, enforce_file_format=True)
    return Outcome(case.path, folder, case=case.name)


def main() -> None:
    from lungscore.node.config import read_config
    from lungscore.node.node import run_node

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, required=True)
    arguments = parser.parse_args()
    end_when_told()
    standing.work = stub

    def tell(line: str) -> None:
        sys.stderr.write(f"{line}\n")

    run_node(read_config(arguments.config), threading.Event(), tell=tell)


if __name__ == "__main__":
    # What the workers load must have a name that they can load it by.
    from node_stub import main as of_module

    of_module()
