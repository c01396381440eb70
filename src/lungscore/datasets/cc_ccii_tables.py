"""The two tables of CC-CCII: its scans and how many slices each has, and the slices with a lesion.

``unzip_filenames.csv`` has one row a scan, ``lesions_slices.csv`` one a slice.
"""

from lungscore.datasets.tables import read_table
from lungscore.datasets.visit import Visit

CLASSES = ("Normal", "CP", "NCP")
SCANS, LESIONS = "unzip_filenames.csv", "lesions_slices.csv"

#: Class, patient and scan.
Key = tuple[str, str, str]

#: How many slices a scan has, and the archive that they were in.
Scans = dict[Key, tuple[int, str]]


def read_scans(visit: Visit) -> Scans:
    """What the first table lists; a published row that stands twice counts once."""
    scans: Scans = {}
    owners: dict[str, tuple[str, str]] = {}
    columns = ("zip_file", "label", "patient_id", "scan_id", "n_slice")
    for line, cells in read_table(visit, SCANS, columns):
        archive, label, patient, scan, count = (cells[column] for column in columns)
        if label not in CLASSES:
            found = f"line {line}: the class {label!r}; known are {', '.join(CLASSES)}"
            visit.problem("class-unknown", SCANS, found)
        elif not (patient and scan and count.isdecimal()):
            found = f"line {line}: patient {patient!r}, scan {scan!r}, {count!r} slices"
            visit.problem("table-values", SCANS, found)
        elif owners.setdefault(scan, (label, patient)) != (label, patient):
            first = " ".join(owners[scan])
            found = f"line {line}: scan {scan} is of {first} and of {label} {patient}"
            visit.problem("duplicate-patient", SCANS, found)
            visit.in_conflict |= {patient, owners[scan][1]}
        elif scans.setdefault((label, patient, scan), (int(count), archive))[0] != int(count):
            found = f"line {line}: scan {scan} occurred before with another number of slices"
            visit.problem("table-values", SCANS, found)
    return scans


def read_lesions(visit: Visit) -> dict[str, set[str]]:
    """Folder of a scan -> the names of its slices that show a lesion."""
    found: dict[str, set[str]] = {}
    for line, cells in read_table(visit, LESIONS, ("imgpath",)):
        place, _, name = cells["imgpath"].rpartition("/")
        if place.count("/") == 2 and name:
            found.setdefault(place, set()).add(name)
        else:
            told = f"line {line}: {cells['imgpath'][:60]!r} is not class/patient/scan/slice"
            visit.problem("table-values", LESIONS, told)
    return found
