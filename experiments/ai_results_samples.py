"""A sample set of the objects that lungscore makes, of the built-in phantom.

    python experiments/ai_results_samples.py FOLDER [--model NAME|FOLDER]

writes FOLDER/ct (the phantom as a CT series), FOLDER/results (its result) and FOLDER/objects (all
DICOM objects, with the 20 regions), for those who want to try the capabilities of docs/pacs.md's
table of IHE AI Results. There is no patient in it.
"""

import argparse
import sys
from pathlib import Path

from lungscore.analysis import analyze
from lungscore.inference import load_segmenter
from lungscore.pacs.write import ObjectSettings, write_objects
from lungscore.report.outputs import write_outputs
from lungscore.report.settings import ReportSettings
from lungscore.scan.phantom import make_phantom
from lungscore.scan.write import write_dicom_series

#: Coarse enough to be made in a minute.
SHAPE, SPACING_MM = (40, 128, 128), (7.0, 2.8, 2.8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a new folder")
    parser.add_argument("--model", help="instead of the shipped one")
    arguments = parser.parse_args()
    phantom = make_phantom("moderate", shape=SHAPE, spacing_mm=SPACING_MM)
    series = arguments.folder / "ct"
    write_dicom_series(phantom.scan, series)
    analysis = analyze(series, segmenter=lambda: load_segmenter(arguments.model), name="sample")
    case = write_outputs(analysis, arguments.folder / "results", settings=ReportSettings("none"))
    settings = ObjectSettings(regions=True, fhir=True)
    written = write_objects(case, series, arguments.folder / "objects", settings=settings)
    sys.stdout.write("".join(f"{written.folder / name}\n" for name in written.files))


if __name__ == "__main__":
    main()
