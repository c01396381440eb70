"""Codes: each is what the standard's own tables say, documented, and the same in every version."""

import re
from pathlib import Path

import pytest
from pydicom.sr._concepts_dict import concepts

from lungscore.labels import REGIONS
from lungscore.pacs import codes, structured_report
from lungscore.pacs.codes import Code
from lungscore.pacs.segmentation import SEGMENTS

PAGE = (Path(__file__).parents[2] / "docs" / "pacs.md").read_text("utf-8")
ROWS = re.findall(r"^\| ([^|]+) \| `([^`]+)` \| (\w+) \| [^|]+ \| ([^|]+) \|$", PAGE, re.M)
#: (scheme, code) -> context groups in which DICOM lists it.
LISTED = {
    (scheme, code): groups
    for scheme, keywords in concepts.items()
    for entries in keywords.values()
    for code, (_, groups) in entries.items()
    if groups
}


def used() -> set[Code]:
    """Every code of the module, of regions, segments and numbers."""
    listed = {value for value in vars(codes).values() if isinstance(value, Code)}
    listed |= {*codes.LOBES.values(), *codes.CATEGORIES.values(), *codes.ETIOLOGIES.values()}
    listed |= {codes.region_code(region) for region, _ in REGIONS}
    listed |= {segment.kind for segments in SEGMENTS.values() for segment in segments}
    return listed | {codes.number_code(name) for name in (*structured_report.WHOLE, "mosmed")}


@pytest.mark.parametrize(("meaning", "code", "scheme", "source"), ROWS)
def test_a_context_group_named_as_source_lists_the_code(
    meaning: str, code: str, scheme: str, source: str
) -> None:
    groups = [int(number) for number in re.findall(r"(?:CID |, )(\d+)", source)]
    if groups:
        assert set(groups) <= set(LISTED[scheme, code])


def test_every_code_is_documented() -> None:
    documented = {(code, scheme, meaning) for meaning, code, scheme, _ in ROWS}
    assert {(c.value, c.scheme, c.meaning) for c in used()} <= documented


def test_codes_fit_into_their_element_and_are_unique() -> None:
    private = [code for code in used() if code.scheme == codes.PRIVATE]
    private += [codes.region_score_code(region) for region, _ in REGIONS]
    assert len({code.value for code in private}) == len(private)
    for code in used() | set(private):
        assert len(code.value) <= 16
        assert len(code.meaning) <= 64


def test_private_codes_never_change() -> None:
    numbers = {name: codes.number_code(name).value for name in structured_report.WHOLE}
    assert numbers == {
        "infection_percent": "OPACITY",
        "ggo_percent": "GGO",
        "consolidation_percent": "CONSOLIDATION",
        "infection_ml": "OPACITY-VOLUME",
        "po": "PO",
        "pho": "PHO",
        "ct_ss": "CT-SS",
        "ctsi": "CTSI",
        "tss": "TSS",
        "lss": "LSS",
        "lhos": "LHOS",
        "zones": "ZONES",
        "well_aerated_percent": "WELL-AERATED",
        "poorly_aerated_percent": "POORLY-AERATED",
        "not_aerated_percent": "NOT-AERATED",
        "lesions": "LESIONS",
        "largest_ml": "LARGEST-LESION",
    }
    assert codes.region_code("RUL apical").value == "REGION-01"
    assert codes.region_score_code("LLL posterior basal").value == "CT-SS-20"


def test_every_scheme_is_one_that_objects_declare() -> None:
    assert {code.scheme for code in used()} <= set(codes.SCHEMES)
