"""Masks as DICOM Segmentation objects, one for each set of labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from lungscore import labels
from lungscore.pacs import codes
from lungscore.pacs.codes import Code
from lungscore.pacs.objects import (
    Stamp,
    algorithm_text,
    concept,
    finish,
    person_name,
    reviewer_of,
    series_of,
)
from lungscore.pacs.source import Source
from lungscore.version import RESEARCH_USE, __version__


@dataclass(frozen=True)
class Segment:
    """One segment: what it is, in words and codes.

    label: its value in the mask. region: where it lies. side: modifier of ``kind``. colour: sRGB.
    key: what identifies it within a result.
    """

    label: int
    key: str
    title: str
    category: Code
    kind: Code
    colour: str
    region: Code | None = None
    side: Code | None = None


def _segment(mask: str, value: int, category: Code, kind: Code, **more: Code) -> Segment:
    """The segment of one label, called and coloured as everywhere."""
    label = next(label for label in labels.MASK_LABELS[mask] if label.value == value)
    return Segment(value, label.name, label.title, category, kind, label.colour, **more)


#: By kind. Both lungs are one segment of an object of their own, since the numbers of both lungs
#: must refer to one segment, and segments that overlap are not shown by every viewer.
SEGMENTS: dict[str, tuple[Segment, ...]] = {
    "both-lungs": (
        Segment(
            1,
            "both lungs",
            "Both lungs",
            codes.ANATOMY,
            codes.LUNG,
            "#56b4e9",
            side=codes.BOTH,
        ),
    ),
    "lungs": (
        _segment("lungs", labels.RIGHT_LUNG, codes.ANATOMY, codes.LUNG, side=codes.RIGHT),
        _segment("lungs", labels.LEFT_LUNG, codes.ANATOMY, codes.LUNG, side=codes.LEFT),
    ),
    "lobes": tuple(
        _segment("lobes", labels.LOBES[lobe], codes.ANATOMY, codes.LOBES[lobe])
        for lobe in labels.LOBE_ORDER
    ),
    "lesions": (
        _segment("lesions", labels.GGO, codes.ABNORMAL, codes.GROUND_GLASS, region=codes.LUNG),
        _segment(
            "lesions", labels.CONSOLIDATION, codes.ABNORMAL, codes.CONSOLIDATION, region=codes.LUNG
        ),
    ),
    "regions": tuple(
        _segment(
            "regions", number, codes.ANATOMY, codes.region_code(name), region=codes.LOBES[lobe]
        )
        for number, (name, lobe) in enumerate(labels.REGIONS, start=1)
    ),
}
_DESCRIPTIONS = {
    "both-lungs": "Both lungs",
    "lungs": "Lungs",
    "lobes": "Lobes of the lungs",
    "lesions": "Lung opacity",
    "regions": "Regions of CT-SS",
}


def label_sets(
    masks: Mapping[str, np.ndarray], result: Mapping[str, Any], *, regions: bool
) -> dict[str, np.ndarray]:
    """The masks that become objects, by kind, of the ``masks`` of a case.

    Right and left lung only where the sides are known; the 20 regions only where asked for.
    """
    sets = {"both-lungs": (masks["lungs"] > 0).astype(np.uint8), **masks}
    if not result["input"]["sides_known"]:
        del sets["lungs"]
    if not regions:
        sets.pop("regions", None)
    return {kind: sets[kind] for kind in SEGMENTS if kind in sets}


def segments_in(kind: str, mask: np.ndarray) -> list[Segment]:
    """The segments of ``kind`` that occur in ``mask``, in the order in which they are numbered."""
    present = np.flatnonzero(np.bincount(mask.ravel(), minlength=2))
    return [segment for segment in SEGMENTS[kind] if segment.label in present]


def segmentation(
    kind: str,
    mask: np.ndarray,
    source: Source,
    result: Mapping[str, Any],
    stamp: Stamp,
    *,
    etiology: str | None = None,
) -> Dataset | None:
    """A Segmentation object of canonical (D, H, W) ``mask``; None where nothing is in it.

    kind: a key of SEGMENTS. etiology: a key of codes.ETIOLOGIES, stated of lesions. Frames lie as
    the images do, and each refers to its image.
    """
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.color import CIELabColor
    from highdicom.seg import Segmentation, SegmentDescription

    segments = segments_in(kind, mask)
    if not segments:
        return None
    algorithm = AlgorithmIdentificationSequence(
        name="lungscore",
        version=__version__,
        family=concept(_ARTIFICIAL_INTELLIGENCE),
        parameters={"models": algorithm_text(result)},
    )
    reviewer = reviewer_of(result)
    kind_of_algorithm = MANUAL if _is_given(kind, result) else AUTOMATIC
    if reviewer is not None and result["models"]:
        kind_of_algorithm = SEMIAUTOMATIC
    numbers = np.zeros(256, np.uint8)
    descriptions = []
    for number, segment in enumerate(segments, start=1):
        numbers[segment.label] = number
        description = SegmentDescription(
            segment_number=number,
            segment_label=segment.title,
            segmented_property_category=concept(segment.category),
            segmented_property_type=concept(segment.kind),
            algorithm_type=kind_of_algorithm,
            algorithm_identification=None if kind_of_algorithm == MANUAL else algorithm,
            tracking_uid=tracking_uid(stamp, kind, segment),
            tracking_id=tracking_id(segment),
            anatomic_regions=[concept(segment.region)] if segment.region else None,
            display_color=CIELabColor.from_rgb(*labels.rgb(segment.colour)),
        )
        modifier = segment.side
        if kind == "lesions" and etiology:
            modifier = codes.ETIOLOGIES[etiology]
        if modifier:
            (item,) = description.SegmentedPropertyTypeCodeSequence
            item.SegmentedPropertyTypeModifierCodeSequence = [concept(modifier)]
        descriptions.append(description)
    instance = Segmentation(
        source_images=source.images,
        pixel_array=numbers[source.planes(mask)],
        segmentation_type="BINARY",
        segment_descriptions=descriptions,
        content_label=kind.upper().replace("-", "_"),
        content_description=f"{_DESCRIPTIONS[kind]}. {RESEARCH_USE}",
        content_creator_name=person_name(reviewer or "lungscore"),
        **series_of(kind, stamp, f"lungscore {kind} (research use only)"),
    )
    _state_organisation(instance, stamp.uid(kind, "dimension organisation"))
    _forget_interpolated(instance, source)
    return finish(instance, stamp)


_ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")


#: How a segment came about (DICOM PS3.3, C.8.20.4): by lungscore, with a reader's help, or entered
#: by the user.
AUTOMATIC, SEMIAUTOMATIC, MANUAL = "AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"


def _is_given(kind: str, result: Mapping[str, Any]) -> bool:
    """Whether the user supplied the mask of ``kind``, by the notices and models of a result."""
    notices = {warning["code"] for warning in result["warnings"]}
    given = {
        "lungs": "user-lungs" in notices or not result["models"],
        "lobes": "user-lobes" in notices,
        "lesions": not result["models"],
    }
    return given.get(kind.removeprefix("both-"), False)


def tracking_id(segment: Segment) -> str:
    """What a segment is called in every object of a result; the case's name is not in it."""
    return f"lungscore {segment.key}"


def tracking_uid(stamp: Stamp, kind: str, segment: Segment) -> str:
    """The UID by which every object of a result knows a segment."""
    return stamp.uid(kind, "segment", segment.key)


def _state_organisation(instance: Dataset, uid: str) -> None:
    """Highdicom draws this UID at random."""
    for sequence in (instance.DimensionOrganizationSequence, instance.DimensionIndexSequence):
        for item in sequence:
            item.DimensionOrganizationUID = uid


def _forget_interpolated(instance: Dataset, source: Source) -> None:
    """Frames of slices that no image fills refer to none."""
    made_up = {source.images[number].SOPInstanceUID for number in source.interpolated}
    if not made_up:
        return
    for series in instance.ReferencedSeriesSequence:
        series.ReferencedInstanceSequence = [
            item
            for item in series.ReferencedInstanceSequence
            if item.ReferencedSOPInstanceUID not in made_up
        ]
    for keyword in ("SourceImageSequence",):
        if keyword in instance:
            kept = [i for i in instance[keyword].value if i.ReferencedSOPInstanceUID not in made_up]
            setattr(instance, keyword, kept)
    for frame in instance.PerFrameFunctionalGroupsSequence:
        images = [
            image
            for derivation in frame.get("DerivationImageSequence", ())
            for image in derivation.SourceImageSequence
        ]
        if any(image.ReferencedSOPInstanceUID in made_up for image in images):
            frame.DerivationImageSequence = []
