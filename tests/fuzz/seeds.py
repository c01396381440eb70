"""The corpus that mutation starts from, made by script: good inputs, and one a class of known CVEs.

image_seeds.py makes those of images, document_seeds.py those of all other readers.
"""

from collections.abc import Callable

from document_seeds import (
    card,
    experiment,
    graph,
    manifest_csv,
    manifest_parquet,
    patient_model,
    result,
    safetensors,
    table,
)
from image_seeds import (
    archive,
    compressed,
    dicom,
    metaimage,
    nifti,
    nrrd,
    picture,
    series,
)
from seed_files import Files

#: reader -> its seeds.
SEEDS: dict[str, Callable[[], list[Files]]] = {
    "dicom": dicom,
    "series": series,
    "compressed": compressed,
    "nifti": nifti,
    "nrrd": nrrd,
    "metaimage": metaimage,
    "picture": picture,
    "zip": archive,
    "manifest-csv": manifest_csv,
    "manifest-parquet": manifest_parquet,
    "result": result,
    "table": table,
    "experiment": experiment,
    "card": card,
    "graph": graph,
    "safetensors": safetensors,
    "patient-model": patient_model,
}
