"""The CTs of the COVID-19 image data collection; its X-rays are named and left out.

Cohen et al., arXiv 2006.11988. ``metadata.csv`` has one row an image, in ``images`` (single slices,
PNG or JPEG) or ``volumes`` (NIfTI, which the repository only links to). The severity scores in
``annotations`` rate X-rays alone.
"""

from collections import Counter
from collections.abc import Iterator

from lungscore.datasets.dataset import Dataset
from lungscore.datasets.records import Entry, Kind
from lungscore.datasets.tables import read_table
from lungscore.datasets.visit import Visit

NAME = "covid-chestxray"
TABLE = "metadata.csv"
FOLDERS = ("images", "volumes")
XRAY_VIEWS = ("PA", "AP", "AP Supine", "AP Erect", "L")
CT_VIEWS = ("Axial", "Coronal")

_COLUMNS = ("patientid", "sex", "finding", "view", "modality", "folder", "filename")
_KEPT = ("annotations", "analysis", "benchmark", "docs", "scripts", "tests")
_PAGES = ("SCHEMA.md", "CONTRIBUTING.md", "volumes/DOWNLOAD.md")


def _walk(visit: Visit) -> Iterator[Entry]:
    for place in _KEPT:
        visit.use_folder(place)
    visit.use(*_PAGES)
    images = {place: _names(visit, place) for place in FOLDERS}
    sexes: dict[str, str] = {}
    found: Counter[str] = Counter()
    for line, row in _rows(visit):
        place = f"{row['folder']}/{row['filename']}"
        there = row["filename"] in images[row["folder"]]
        kind: Kind = "volume" if row["folder"] == "volumes" else "slice"
        if row["modality"] == "X-ray" or row["view"] not in CT_VIEWS:
            found["X-ray"] += 1
            if there:
                visit.problem("x-ray", place, _called(row))
                visit.use(place)
            continue
        found[kind] += 1
        if not there:
            link = "; volumes/DOWNLOAD.md says where it is" if kind == "volume" else ""
            visit.problem("file-missing", place, f"{TABLE} names it{link}")
            continue
        patient, sex = row["patientid"], row["sex"]
        if sex and sexes.setdefault(patient, sex) != sex:
            told = f"line {line}: patient {patient} is {sexes[patient]} and {sex}"
            visit.problem("duplicate-patient", TABLE, told)
            visit.in_conflict.add(patient)
        view = None if kind == "volume" else row["view"]
        case, label = row["filename"], row["finding"]
        yield Entry(place, case, kind, patient=patient, label=label, slice_label=view)
    for name in ("X-ray", "slice", "volume"):
        visit.count(f"{'CT ' * (name != 'X-ray')}{name}s in the table", found[name], None)


def _rows(visit: Visit) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, cells) of the table's rows that say what can be; each file once."""
    seen: set[str] = set()
    for line, row in read_table(visit, TABLE, _COLUMNS):
        place = f"{row['folder']}/{row['filename']}"
        wrong = _wrong(row)
        if wrong is None and place in seen:
            wrong = "table-values", f"{place} stood there before"
        if wrong is None:
            seen.add(place)
            yield line, row
        else:
            visit.problem(wrong[0], TABLE, f"line {line}: {wrong[1]}")


def _names(visit: Visit, place: str) -> set[str]:
    folder = visit.folder(place)
    return set() if folder is None else {path.name for path in folder.iterdir() if path.is_file()}


def _wrong(row: dict[str, str]) -> tuple[str, str] | None:
    """(code, what) is wrong with a row, or None."""
    empty = next((name for name in ("patientid", "finding", "filename") if not row[name]), None)
    if empty is not None:
        return "table-values", f"no {empty}"
    if row["modality"] not in ("CT", "X-ray"):
        return "class-unknown", f"the modality {row['modality']!r}; known are CT and X-ray"
    if row["folder"] not in FOLDERS:
        return "class-unknown", f"the folder {row['folder']!r}; known are {', '.join(FOLDERS)}"
    if row["modality"] == "X-ray" and row["view"] in CT_VIEWS:
        return "table-values", f"an X-ray of the view {row['view']!r}"
    if row["modality"] == "CT" and row["view"] not in CT_VIEWS + XRAY_VIEWS:
        return "class-unknown", f"a CT of the view {row['view']!r}; known are {', '.join(CT_VIEWS)}"
    return None


def _called(row: dict[str, str]) -> str:
    if row["modality"] == "CT":
        return f"the table calls it CT, but its view is {row['view']}"
    return f"view {row['view'] or 'unknown'}"


DATASET = Dataset(
    name=NAME,
    title="COVID-19 image data collection (covid-chestxray-dataset)",
    what="images out of papers and web pages: mostly X-rays, which are left out; single CT slices "
    "(axial or coronal, PNG and JPEG, no HU) and CT volumes (NIfTI) with findings",
    size="some 950 images in the table, of which CT: fewer than 100 slices and 21 volumes",
    licence="each image's own (Apache 2.0, CC BY-NC-SA 4.0, CC BY 4.0 or unknown: column "
    "license of metadata.csv); the table CC BY-NC-SA 4.0",
    citation="Cohen JP, Morrison P, Dao L, Roth K, Duong TQ, Ghassemi M. COVID-19 image data "
    "collection: prospective predictions are the future. arXiv:2006.11988, 2020",
    where="https://github.com/ieee8023/covid-chestxray-dataset; volumes: "
    "https://academictorrents.com/details/136ffddd0959108becb2b3a86630bec049fcb0ff",
    seen="the repository itself: README, SCHEMA.md, metadata.csv, annotations; readers of others",
    unverified="whether the linked volumes are all 21 that the table names; whether their files "
    "are named as in the table",
    walk=_walk,
    slice_labels=CT_VIEWS,
    overlaps=("covid-19-ct-seg", "covid-ct"),
)
