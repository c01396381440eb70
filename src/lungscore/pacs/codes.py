"""The coded concepts of what is written for other systems; docs/pacs.md lists them with sources.

A code from SNOMED CT, DICOM or UCUM where one is known for exactly this; else one of our own
scheme, which every object declares.
"""

from typing import NamedTuple

from lungscore.labels import REGIONS
from lungscore.result.numbers import NUMBERS, Number

#: The designator of our own scheme: private ones begin with 99 (DICOM PS3.3, 8.2).
PRIVATE = "99LUNGSCORE"


class Code(NamedTuple):
    """A coded concept: value, designator of its scheme, meaning."""

    value: str
    scheme: str
    meaning: str


# What is segmented, and where. Source: DICOM PS3.16, CID 7150, 7151, 6102, 6126 and 244.
ANATOMY = Code("91723000", "SCT", "Anatomical Structure")
ABNORMAL = Code("49755003", "SCT", "Morphologically Abnormal Structure")
LUNG = Code("39607008", "SCT", "Lung")
RIGHT, LEFT = Code("24028007", "SCT", "Right"), Code("7771000", "SCT", "Left")
BOTH = Code("51440002", "SCT", "Bilateral")
#: Of a lobe the code includes the side.
LOBES: dict[str, Code] = {
    "RUL": Code("42400003", "SCT", "Upper lobe of right lung"),
    "RML": Code("72481006", "SCT", "Middle lobe of right lung"),
    "RLL": Code("266005", "SCT", "Lower lobe of right lung"),
    "LUL": Code("44714003", "SCT", "Upper lobe of left lung"),
    "LLL": Code("41224006", "SCT", "Lower lobe of left lung"),
}
GROUND_GLASS = Code("112120", "DCM", "Ground glass opacity")
CONSOLIDATION = Code("95436008", "SCT", "Lung consolidation")

#: What the user may state as the cause; images alone never establish it.
ETIOLOGIES: dict[str, Code] = {"covid-19": Code("840539006", "SCT", "COVID-19")}
DUE_TO = Code("42752001", "SCT", "Due to")

#: Regions of CT-SS that have a code of their own in CID 6127; the others have private ones.
_SEGMENTS: dict[str, Code] = {
    "RUL anterior": Code("39743006", "SCT", "Anterior segment of right upper lobe"),
    "RUL posterior": Code("3236000", "SCT", "Posterior segment of right upper lobe"),
    "LUL anterior": Code("22270008", "SCT", "Anterior segment of left upper lobe"),
}

# Measurements. Source: CID 7469 and UCUM.
VOLUME = Code("118565006", "SCT", "Volume")
MILLILITRE = Code("mL", "UCUM", "milliliter")
PERCENT = Code("%", "UCUM", "percent")
SCORE_UNIT = Code("{score}", "UCUM", "score")
COUNT = Code("1", "UCUM", "no units")
#: What qualifies the ends of a range: which end (CID 7464), and what the range is over.
LOWEST, HIGHEST = Code("255605001", "SCT", "Minimum"), Code("56851009", "SCT", "Maximum")
ALTERNATIVES = Code("ALTERNATIVES", PRIVATE, "Other reasonable thresholds and views")

SEVERITY = Code("246112005", "SCT", "Severity")
#: The category of severity. Source: CID 3716 and SNOMED CT's severities.
CATEGORIES: dict[str, Code] = {
    "none": Code("260413007", "SCT", "None"),
    "mild": Code("255604002", "SCT", "Mild"),
    "moderate": Code("6736007", "SCT", "Moderate"),
    "severe": Code("24484000", "SCT", "Severe"),
}
COMMENT = Code("121106", "DCM", "Comment")
EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")
#: Source: CID 100.
PROCEDURE = Code("25045-6", "LN", "CT unspecified body region")
REPORT_TITLE = Code("126000", "DCM", "Imaging Measurement Report")

# Our own codes. A value never changes its meaning and is at most 16 letters long (VR SH).
GRADE = Code("RELIABILITY", PRIVATE, "Reliability grade")

#: Name of a number of a result -> value of its code; of a score it is the score's own name. The
#: meaning is the number's title.
_NUMBERS: dict[str, str] = {
    "infection_percent": "OPACITY",
    "ggo_percent": "GGO",
    "consolidation_percent": "CONSOLIDATION",
    "infection_ml": "OPACITY-VOLUME",
    "well_aerated_percent": "WELL-AERATED",
    "poorly_aerated_percent": "POORLY-AERATED",
    "not_aerated_percent": "NOT-AERATED",
    "lesions": "LESIONS",
    "largest_ml": "LARGEST-LESION",
}

#: Schemes as an object declares them: designator -> registry, UID or external ID, name,
#: organisation. Source: DICOM PS3.16, section 8.
SCHEMES: dict[str, dict[str, str]] = {
    "DCM": {
        "registry": "HL7",
        "uid": "1.2.840.10008.2.16.4",
        "name": "DICOM Controlled Terminology",
    },
    "SCT": {"registry": "HL7", "uid": "2.16.840.1.113883.6.96", "name": "SNOMED CT"},
    "UCUM": {
        "registry": "HL7",
        "uid": "2.16.840.1.113883.6.8",
        "name": "Unified Code for Units of Measure",
    },
    "LN": {"registry": "HL7", "uid": "2.16.840.1.113883.6.1", "name": "LOINC"},
    "UMLS": {"registry": "HL7", "uid": "2.16.840.1.113883.6.86", "name": "UMLS Metathesaurus"},
    PRIVATE: {
        "name": "lungscore: CT severity scores, their parts and percentages of opacity",
        "organisation": "The lungscore authors",
    },
}


def region_code(region: str) -> Code:
    """The code of one of the 20 regions (labels.REGIONS)."""
    private = Code(f"REGION-{_number_of(region):02d}", PRIVATE, f"Region of CT-SS: {region}")
    return _SEGMENTS.get(region, private)


def region_score_code(region: str) -> Code:
    """The name of a region's score."""
    return Code(f"CT-SS-{_number_of(region):02d}", PRIVATE, f"CT-SS of {region}")


def _number_of(region: str) -> int:
    return next(n for n, (name, _) in enumerate(REGIONS, start=1) if name == region)


def number_code(name: str) -> Code:
    """The code of what result.numbers calls ``name``, of the lungs or of every lobe."""
    value = _NUMBERS.get(name, name.upper().replace("_", "-"))
    return Code(value, PRIVATE, NUMBERS[name].heading)


def unit_code(number: Number) -> Code:
    """The unit of a number of a result."""
    return {"ml": MILLILITRE, "percent": PERCENT, "points": SCORE_UNIT}.get(number.unit, COUNT)


def points_code(points: int) -> Code:
    """The score of a region as a coded value."""
    return Code(f"SCORE-{points}", PRIVATE, f"Score {points}")


def mosmed_code(value: str) -> Code:
    """A class CT-0 … CT-4."""
    return Code(f"MOSMED-{value}", PRIVATE, f"MosMed {value}")


def grade_code(grade: str) -> Code:
    """A grade A … D of reliability."""
    return Code(f"GRADE-{grade}", PRIVATE, f"Grade {grade}")
