"""A result as FHIR: a Bundle of a DiagnosticReport and its Observations.

Only what FHIR R4, R4B and R5 have in common is used. docs/pacs.md explains it.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from uuid import UUID

from lungscore.labels import LOBE_NAMES, LOBE_ORDER, REGIONS
from lungscore.pacs import codes
from lungscore.pacs.codes import Code
from lungscore.pacs.structured_report import OF_LOBE, WHOLE, comments
from lungscore.result.numbers import (
    NUMBERS,
    Number,
    lobe_number,
    region_percent,
    region_score,
    value_at,
)
from lungscore.version import __version__

#: Name of the file beside a result.
FHIR = "fhir.json"

#: URIs of coding schemes; ours is a UUID of its own.
_SYSTEMS = {
    "SCT": "http://snomed.info/sct",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "UCUM": "http://unitsofmeasure.org",
    "LN": "http://loinc.org",
    codes.PRIVATE: "urn:oid:2.25.189034927283408471610529410653837241893",
}
_IMAGING = {
    "system": "http://terminology.hl7.org/CodeSystem/observation-category",
    "code": "imaging",
    "display": "Imaging",
}
#: LOINC's code of a report of imaging studies.
_REPORT = Code("18748-4", "LN", "Diagnostic imaging study")


def fhir_bytes(
    result: Mapping[str, Any], *, study_uid: str | None = None, etiology: str | None = None
) -> bytes:
    """The Bundle of ``result`` (the content of a result.json); equal results give equal bytes.

    study_uid: StudyInstanceUID, to which the report then refers. etiology: a key of
    codes.ETIOLOGIES, stated by the user. There is no patient in it: who stores the report knows.
    """
    text = json.dumps([__version__, result, study_uid, etiology], sort_keys=True)
    identity = hashlib.sha256(text.encode()).hexdigest()
    observations = list(_observations(result))
    report: dict[str, Any] = {
        "resourceType": "DiagnosticReport",
        "status": "preliminary",
        "category": [{"coding": [_coding(_REPORT)]}],
        "code": {"coding": [_coding(codes.REPORT_TITLE)], "text": "Lung opacity on chest CT"},
        "result": [{"reference": _urn(identity, key)} for key, _ in observations],
        "conclusion": "\n".join(comments(result, etiology)),
    }
    category = NUMBERS["category"].value(result)
    conclusions = [codes.CATEGORIES[category]] if category is not None else []
    if etiology is not None:
        conclusions.append(codes.ETIOLOGIES[etiology])
    if conclusions:
        report["conclusionCode"] = [{"coding": [_coding(code)]} for code in conclusions]
    if study_uid is not None:
        study = {"system": "urn:dicom:uid", "value": f"urn:oid:{study_uid}"}
        for _, observation in observations:
            observation["derivedFrom"] = [{"type": "ImagingStudy", "identifier": study}]
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [
            {"fullUrl": _urn(identity, key), "resource": resource}
            for key, resource in (("report", report), *observations)
        ],
    }
    return (json.dumps(bundle, indent=1, ensure_ascii=False) + "\n").encode()


def _observations(result: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Key and content of each Observation: both lungs, each lung, lobe and region."""
    numbers = [(NUMBERS[name], codes.number_code(name)) for name in WHOLE]
    volume = (NUMBERS["volume_ml"], codes.VOLUME)
    components = [*_components(result, [volume, *numbers]), *_classes(result)]
    yield from _observation("both lungs", "Both lungs", [codes.LUNG], components)
    opacity = codes.number_code("infection_percent")
    for side, code in (("right", codes.RIGHT), ("left", codes.LEFT)):
        of_side = [
            (NUMBERS[f"{side}_ml"], codes.VOLUME),
            (NUMBERS[f"{side}_percent"], opacity),
        ]
        text = f"{side.capitalize()} lung"
        site = [codes.LUNG, code]
        yield from _observation(text, text, site, _components(result, of_side))
    for lobe in LOBE_ORDER:
        of_lobe = [
            (lobe_number(lobe, "volume_ml"), codes.VOLUME),
            *((lobe_number(lobe, name), codes.number_code(name)) for name in OF_LOBE),
        ]
        site = [codes.LOBES[lobe]]
        text = LOBE_NAMES[lobe].capitalize()
        yield from _observation(lobe, text, site, _components(result, of_lobe))
    for region, _ in REGIONS:
        of_region = [
            (region_percent(region), opacity),
            (region_score(region), codes.number_code("ct_ss")),
        ]
        site = [codes.region_code(region)]
        yield from _observation(region, region, site, _components(result, of_region))


def _observation(
    key: str, text: str, site: Iterable[Code], components: Iterable[dict[str, Any]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    numbers = list(components)
    if not numbers:
        return
    yield (
        key,
        {
            "resourceType": "Observation",
            "status": "preliminary",
            "category": [{"coding": [_IMAGING]}],
            "code": {"coding": [_coding(codes.REPORT_TITLE)], "text": f"Lung opacity: {text}"},
            "bodySite": {"coding": [_coding(code) for code in site], "text": text},
            "component": numbers,
        },
    )


def _components(
    result: Mapping[str, Any], numbers: Iterable[tuple[Number, Code]]
) -> Iterator[dict[str, Any]]:
    """The numbers that are not null, each followed by its range, if it has one."""
    for number, code in numbers:
        value = number.value(result)
        if value is None:
            continue
        unit = codes.unit_code(number)
        yield {"code": {"coding": [_coding(code)]}, "valueQuantity": _quantity(value, unit)}
        span = value_at(result.get("ranges"), ".".join(number.range_keys))
        if span is not None:
            low, high = (_quantity(bound, unit) for bound in span)
            text = f"{code.meaning}: range under other reasonable thresholds and views"
            yield {
                "code": {"coding": [_coding(codes.ALTERNATIVES)], "text": text},
                "valueRange": {"low": low, "high": high},
            }


def _classes(result: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    category, mosmed = (NUMBERS[name].value(result) for name in ("category", "mosmed"))
    if category is not None:
        yield _class(codes.SEVERITY, codes.CATEGORIES[category])
    if mosmed is not None:
        yield _class(codes.number_code("mosmed"), codes.mosmed_code(mosmed))


def _class(name: Code, value: Code) -> dict[str, Any]:
    return {
        "code": {"coding": [_coding(name)]},
        "valueCodeableConcept": {"coding": [_coding(value)]},
    }


def _quantity(value: float, unit: Code) -> dict[str, Any]:
    return {
        "value": value,
        "unit": unit.meaning,
        "system": _SYSTEMS[unit.scheme],
        "code": unit.value,
    }


def _coding(code: Code) -> dict[str, str]:
    return {"system": _SYSTEMS[code.scheme], "code": code.value, "display": code.meaning}


def _urn(identity: str, key: str) -> str:
    digest = hashlib.sha256(f"{identity}/{key}".encode()).digest()[:16]
    return f"urn:uuid:{UUID(bytes=digest, version=5)}"
