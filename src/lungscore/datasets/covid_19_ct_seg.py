"""COVID-19-CT-Seg: 20 chest CTs with masks of both lungs and of the infection.

Ma et al., Zenodo 3757476. Each archive is unpacked into a folder of its own name. The volumes of
Coronacases are in HU; those of Radiopaedia hold the window -1250…250 HU as 0…255.
"""

from collections.abc import Iterator
from pathlib import Path

from lungscore.datasets.dataset import Dataset
from lungscore.datasets.records import Companion, Entry
from lungscore.datasets.visit import Visit

NAME = "covid-19-ct-seg"
IMAGES, INFECTION = "COVID-19-CT-Seg_20cases", "Infection_Mask"

#: Folder of further masks -> the values they may hold.
LUNGS = {"Lung_Mask": (0, 1, 2), "Lung_and_Infection_Mask": (0, 1, 2, 3)}

VOLUMES = (
    *(f"coronacases_{number:03}" for number in range(1, 11)),
    "radiopaedia_4_85506_1",
    "radiopaedia_7_85703_0",
    "radiopaedia_10_85902_1",
    "radiopaedia_10_85902_3",
    "radiopaedia_14_85914_0",
    "radiopaedia_27_86410_0",
    "radiopaedia_29_86490_1",
    "radiopaedia_29_86491_1",
    "radiopaedia_36_86526_0",
    "radiopaedia_40_86625_0",
)


def patient_of(volume: str) -> str:
    """Who is shown: Radiopaedia's case number (radiopaedia_10), or the volume itself.

    The authors count 19 patients: of 10_85902 there are two series. The two studies of case 29 are
    kept together too, which parts no patient whatever they are.
    """
    return "_".join(volume.split("_")[:2])


def _walk(visit: Visit) -> Iterator[Entry]:
    folders = [place for place in (IMAGES, INFECTION, *LUNGS) if visit.folder(place)]
    found = 0
    for volume in VOLUMES:
        files = {place: _file(visit, place, volume) for place in folders}
        image = files.get(IMAGES)
        found += image is not None
        if image is None:
            visit.use(*files.values())
            continue
        beside = [(place, files.get(place), values) for place, values in LUNGS.items()]
        yield Entry(
            image,
            volume,
            "volume",
            patient=patient_of(volume),
            label="COVID-19",
            mask=files.get(INFECTION),
            mask_values=(0, 1),
            companions=tuple(Companion(path, values) for _, path, values in beside if path),
        )
    visit.count("volumes", found, len(VOLUMES))


def _file(visit: Visit, place: str, volume: str) -> str | None:
    """The file of ``volume`` in a folder, packed or not; a missing one is a problem."""
    for suffix in (".nii.gz", ".nii"):
        if (visit.root / place / f"{volume}{suffix}").is_file():
            return f"{place}/{volume}{suffix}"
    visit.problem("file-missing", Path(place, f"{volume}.nii.gz").as_posix(), "it is not there")
    return None


DATASET = Dataset(
    name=NAME,
    title="COVID-19-CT-Seg (Zenodo 3757476)",
    what="chest CTs of COVID-19 patients as NIfTI, with masks of left lung, right lung and "
    "infection",
    size="20 volumes of 19 patients, about 1.1 GB",
    licence="CC BY 4.0 on Zenodo's page, CC BY-NC-SA 4.0 in the authors' benchmark: keep to the "
    "stricter",
    citation="Ma J, Ge C, Wang Y, et al. COVID-19 CT lung and infection segmentation dataset "
    "(version 1.0). Zenodo 2020. doi:10.5281/zenodo.3757476; Ma J, Wang Y, An X, et al. Toward "
    "data-efficient learning: a benchmark for COVID-19 CT lung and infection segmentation. Med "
    "Phys 2021. doi:10.1002/mp.14676",
    where="https://zenodo.org/records/3757476",
    seen="readers of others (torch-em, COVIDNet-CT, covid_triage), the authors' benchmark page and "
    "its issues",
    unverified="which of the values 1 and 2 is the left lung; whether the two studies of "
    "Radiopaedia's case 29 are of one patient (they are kept together)",
    walk=_walk,
    labels=("COVID-19",),
    overlaps=("covid-semiseg", "covid-chestxray", "medseg-volumes"),
)
