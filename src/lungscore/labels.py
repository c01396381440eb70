"""The label values of every mask, in one place. They never change between versions."""

#: lungs.nii.gz
RIGHT_LUNG, LEFT_LUNG = 1, 2

#: lesions.nii.gz (value 3 exists only in datasets and counts as background)
GGO, CONSOLIDATION, PLEURAL_EFFUSION = 1, 2, 3

#: lobes.nii.gz, numbered as lungmask does.
LOBES: dict[str, int] = {"LUL": 1, "LLL": 2, "RUL": 3, "RML": 4, "RLL": 5}

#: The order in which lobes are listed.
LOBE_ORDER = ("RUL", "RML", "RLL", "LUL", "LLL")

LOBE_NAMES: dict[str, str] = {
    "RUL": "right upper lobe",
    "RML": "right middle lobe",
    "RLL": "right lower lobe",
    "LUL": "left upper lobe",
    "LLL": "left lower lobe",
}

#: regions.nii.gz: 1–20 in this order (Yang et al. 2020), each with the lobe it lies in.
REGIONS: tuple[tuple[str, str], ...] = (
    ("RUL apical", "RUL"),
    ("RUL posterior", "RUL"),
    ("RUL anterior", "RUL"),
    ("RML lateral", "RML"),
    ("RML medial", "RML"),
    ("RLL superior", "RLL"),
    ("RLL medial basal", "RLL"),
    ("RLL anterior basal", "RLL"),
    ("RLL lateral basal", "RLL"),
    ("RLL posterior basal", "RLL"),
    ("LUL apical", "LUL"),
    ("LUL posterior", "LUL"),
    ("LUL anterior", "LUL"),
    ("LUL superior lingular", "LUL"),
    ("LUL inferior lingular", "LUL"),
    ("LLL superior", "LLL"),
    ("LLL anterior basal", "LLL"),
    ("LLL medial basal", "LLL"),
    ("LLL lateral basal", "LLL"),
    ("LLL posterior basal", "LLL"),
)
