"""STOIC2021, the challenge's public training set: chest CT of 2000 patients, PCR and outcome.

Revel et al., Radiology 2021 (doi:10.1148/radiol.2021210384), CC BY-NC 4.0. Layout: the challenge's
baseline (luukboulogne/stoic2021-baseline-finalphase): data/mha/ID.mha and metadata/reference.csv,
whose first three columns are PatientID, probCOVID and probSevere.
"""

from collections.abc import Iterator

from lungscore.datasets.dataset import Dataset
from lungscore.datasets.records import Entry, Patient
from lungscore.datasets.tables import read_table
from lungscore.datasets.visit import Visit, stem
from lungscore.errors import InputError
from lungscore.scan.metaimage import read_metaimage_header

PATIENTS = 2000

#: The table, and where it lies in copies without the folders of the bucket.
REFERENCE, BARE = "metadata/reference.csv", "reference.csv"
_COLUMNS = ("PatientID", "probCOVID", "probSevere")
_SCANS = "data/mha"

#: (probCOVID, probSevere) -> class. Severe: dead or intubated within a month of the scan.
LABELS = {("0", "0"): "negative", ("1", "0"): "non-severe", ("1", "1"): "severe"}


def _patients(visit: Visit) -> Iterator[Patient]:
    """PCR and outcome of the table, age (middle of a ten-year class) and sex of the scan."""
    seen: set[str] = set()
    place = _reference(visit)
    for line, row in read_table(visit, place, _COLUMNS):
        if tuple(row)[: len(_COLUMNS)] != _COLUMNS:
            # Copies carry a second block of the same names for a drawing of 400 patients.
            visit.problem("table-columns", place, f"it does not begin with {_COLUMNS}")
            return
        who, covid, severe = (row[name] for name in _COLUMNS)
        label = LABELS.get((covid, severe))
        if not who.isdecimal():
            visit.problem("table-values", place, f"line {line}: PatientID is {who!r}")
        elif who in seen:
            visit.problem("duplicate-patient", place, f"{who} stands twice (line {line})")
        elif label is None:
            found = f"line {line}: probCOVID {covid!r} with probSevere {severe!r}"
            visit.problem("class-unknown", place, found)
        else:
            seen.add(who)
            yield {
                "patient": who,
                "label": label,
                "covid": float(covid),
                "severe": float(severe),
                **_stated(visit, who),
            }


def _reference(visit: Visit) -> str:
    """Where the table lies."""
    there = (visit.root / REFERENCE).is_file() or not (visit.root / BARE).is_file()
    return REFERENCE if there else BARE


def _stated(visit: Visit, who: str) -> dict[str, str | float | None]:
    """What the header of a scan says of its patient; a scan that says nothing is told later."""
    try:
        header = read_metaimage_header(visit.root / _SCANS / f"{who}.mha")
    except (InputError, OSError):
        header = {}
    years = header.get("PatientAge", "").removesuffix("Y")
    return {
        "age": float(years) if years.isdecimal() else None,
        "sex": header.get("PatientSex") or None,
    }


def _walk(visit: Visit) -> Iterator[Entry]:
    labels = {str(row["patient"]): str(row["label"]) for row in visit.patients or ()}
    scans = visit.files(_SCANS, (".mha",))
    visit.count("patients in the table", len(labels), PATIENTS)
    visit.count("scans", len(scans), PATIENTS)
    told = bool(labels)
    for path in scans:
        who = stem(path)
        label = labels.pop(who, None)
        if told and label is None:
            visit.problem("table-values", _reference(visit), f"it says nothing usable of {who}")
            visit.use(path)
            continue
        yield Entry(visit.relative(path), who, "volume", patient=who, label=label)
    for who in labels:
        visit.problem("file-missing", f"{_SCANS}/{who}.mha", "the table names its patient")


DATASET = Dataset(
    name="stoic2021",
    title="STOIC2021 public training set",
    what="one chest CT a patient with RT-PCR result and outcome after a month",
    size="2000 volumes (MetaImage) of 2000 patients: 795 negative, 904 non-severe, 301 severe",
    licence="CC BY-NC 4.0",
    citation="Revel MP, Boussouar S, de Margerie-Mellon C, et al. Study of thoracic CT in "
    "COVID-19: the STOIC project. Radiology 2021;301(1):E361-E370. "
    "doi:10.1148/radiol.2021210384",
    where="https://registry.opendata.aws/stoic2021-training",
    seen="the challenge's baseline and its page on the data; reference.csv",
    unverified="the scans; total size; checksums, of which none are published",
    walk=_walk,
    labels=tuple(LABELS.values()),
    patients=_patients,
)
