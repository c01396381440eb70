"""The numbers of a result as a DICOM structured report: TID 1500, Comprehensive 3D SR."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydicom.dataset import Dataset

from lungscore.errors import UsageError
from lungscore.labels import LOBE_ORDER, REGIONS
from lungscore.pacs import codes
from lungscore.pacs.codes import Code
from lungscore.pacs.objects import (
    MANUFACTURER,
    Stamp,
    algorithm_text,
    concept,
    finish,
    person_name,
    reviewer_of,
    series_of,
)
from lungscore.pacs.segmentation import SEGMENTS, Segment, tracking_id, tracking_uid
from lungscore.pacs.source import Source
from lungscore.result.numbers import (
    NUMBERS,
    Number,
    lobe_number,
    region_percent,
    region_score,
    value_at,
)
from lungscore.version import RESEARCH_USE, __version__

#: What is said of both lungs, beside their volume.
WHOLE = (
    *("infection_percent", "ggo_percent", "consolidation_percent", "infection_ml", "po", "pho"),
    *("ct_ss", "ctsi", "tss", "lss", "lhos", "zones"),
    *("well_aerated_percent", "poorly_aerated_percent", "not_aerated_percent"),
    *("lesions", "largest_ml"),
)
#: What is said of each lobe, beside its volume.
OF_LOBE = (
    *("infection_percent", "ggo_percent", "consolidation_percent", "well_aerated_percent"),
    *("tss", "ctsi", "lss", "lhos"),
)
#: Segments of lesions, and the number that says how much of the lungs they are.
OF_LESIONS = {"GGO": "ggo_percent", "consolidation": "consolidation_percent"}


def structured_report(
    result: Mapping[str, Any],
    source: Source,
    segmentations: Mapping[str, Dataset],
    stamp: Stamp,
    *,
    etiology: str | None = None,
    verified_for: str | None = None,
) -> Dataset:
    """The Comprehensive 3D SR of ``result`` (the content of a result.json).

    segmentations: by kind; groups of measurements refer to their segments. etiology: a key of
    codes.ETIOLOGIES, recorded as stated by the user. verified_for: the organisation in whose name
    the reader who reviewed the result verifies it; unverified without. A number that is null is
    left out, and the reason is given as a comment.
    """
    from highdicom.sr import Comprehensive3DSR

    content = _content(result, source, segmentations, stamp, etiology)
    instance = Comprehensive3DSR(
        evidence=[*_present(source), *segmentations.values()],
        content=content,
        is_complete=True,
        is_final=False,
        is_verified=verified_for is not None,
        verifying_observer_name=None if verified_for is None else _verifier(result),
        verifying_organization=verified_for,
        **series_of("measurements", stamp, "lungscore measurements (research use only)"),
    )
    return finish(instance, stamp)


def _verifier(result: Mapping[str, Any]) -> str:
    """The reader who reviewed. Raises UsageError where nobody did: nobody else can verify."""
    reviewer = reviewer_of(result)
    if reviewer is None:
        raise UsageError(
            "usage",
            "Only a review can be verified, and nobody reviewed this result",
            expected="a folder CASE/reviews/READER, which lungscore review wrote",
        )
    return person_name(reviewer)


def _present(source: Source) -> list[Dataset]:
    return [image for n, image in enumerate(source.images) if n not in source.interpolated]


def _content(
    result: Mapping[str, Any],
    source: Source,
    segmentations: Mapping[str, Dataset],
    stamp: Stamp,
    etiology: str | None,
) -> Any:
    from highdicom.sr import (
        DeviceObserverIdentifyingAttributes,
        MeasurementReport,
        ObservationContext,
        ObserverContext,
        PersonObserverIdentifyingAttributes,
    )

    device = DeviceObserverIdentifyingAttributes(
        uid=Stamp(f"lungscore {__version__}", stamp.moment).uid("device"),
        name="lungscore",
        manufacturer_name=MANUFACTURER,
        model_name="lungscore",
        serial_number=__version__,
    )
    observer = ObserverContext(
        observer_type=concept(Code("121007", "DCM", "Device")),
        observer_identifying_attributes=device,
    )
    reviewer = reviewer_of(result)
    person = None
    if reviewer is not None:
        named = PersonObserverIdentifyingAttributes(name=person_name(reviewer))
        person = ObserverContext(
            observer_type=concept(Code("121006", "DCM", "Person")),
            observer_identifying_attributes=named,
        )
    groups = _Groups(result, source, segmentations, stamp, etiology)
    report = MeasurementReport(
        observation_context=ObservationContext(
            observer_person_context=person, observer_device_context=observer
        ),
        procedure_reported=concept(codes.PROCEDURE),
        imaging_measurements=list(groups.all()),
        title=concept(codes.REPORT_TITLE),
    )
    report[0].ContentSequence.append(_evaluations(result, etiology))
    return report


class _Groups:
    """The measurement groups of a report."""

    def __init__(
        self,
        result: Mapping[str, Any],
        source: Source,
        segmentations: Mapping[str, Dataset],
        stamp: Stamp,
        etiology: str | None,
    ) -> None:
        self.result, self.source, self.segmentations = result, source, segmentations
        self.stamp, self.etiology = stamp, etiology

    def all(self) -> Iterator[Any]:
        """Both lungs, each lung, lobe and kind of lesion; what has no segment is left out."""
        yield from self.both_lungs()
        for side in ("right", "left"):
            measurements = self.measurements(
                {f"{side}_ml": codes.VOLUME, f"{side}_percent": _code("infection_percent")}
            )
            yield from self.of_segment("lungs", f"{side} lung", measurements)
        for lobe in LOBE_ORDER:
            yield from self.lobe(lobe)
        for lesion, name in OF_LESIONS.items():
            measurements = self.measurements({name: _code(name)})
            yield from self.of_segment("lesions", lesion, measurements)

    def both_lungs(self) -> Iterator[Any]:
        """The group of both lungs."""
        evaluations = []
        category, mosmed = (NUMBERS[name].value(self.result) for name in ("category", "mosmed"))
        if category is not None:
            evaluations.append(_evaluation(codes.SEVERITY, codes.CATEGORIES[category]))
        if mosmed is not None:
            evaluations.append(_evaluation(_code("mosmed"), codes.mosmed_code(mosmed)))
        numbers = {"volume_ml": codes.VOLUME, **{name: _code(name) for name in WHOLE}}
        measurements = self.measurements(numbers)
        yield from self.of_segment("both-lungs", "both lungs", measurements, evaluations)

    def lobe(self, lobe: str) -> Iterator[Any]:
        """The group of a lobe, with the regions in it."""
        numbers = {
            lobe_number(lobe, "volume_ml").name: codes.VOLUME,
            **{lobe_number(lobe, name).name: _code(name) for name in OF_LOBE},
        }
        measurements = [*self.measurements(numbers), *self.region_measurements(lobe)]
        yield from self.of_segment("lobes", lobe, measurements, self.region_evaluations(lobe))

    def region_measurements(self, lobe: str) -> Iterator[Any]:
        """The percent of each region in ``lobe``."""
        for region, where in REGIONS:
            if where == lobe:
                number = region_percent(region)
                site = codes.region_code(region)
                yield from self.measurement(number, _code("infection_percent"), site)

    def region_evaluations(self, lobe: str) -> list[Any]:
        """The score of each region in ``lobe``."""
        evaluations = []
        for region, where in REGIONS:
            points = region_score(region).value(self.result)
            if points is not None and lobe == where:
                name = codes.region_score_code(region)
                evaluations.append(_evaluation(name, codes.points_code(points)))
        return evaluations

    def of_segment(
        self,
        kind: str,
        key: str,
        measurements: Any,
        evaluations: Sequence[Any] = (),
    ) -> Iterator[Any]:
        """The group of one segment, where there is that segment."""
        from highdicom.sr import (
            FindingSite,
            ReferencedSegment,
            SourceSeriesForSegmentation,
            TrackingIdentifier,
            VolumetricROIMeasurementsAndQualitativeEvaluations,
        )

        instance = self.segmentations.get(kind)
        segment = next(entry for entry in SEGMENTS[kind] if entry.key == key)
        number = None if instance is None else _number_of(instance, segment)
        if instance is None or number is None:
            return
        yield VolumetricROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=TrackingIdentifier(
                uid=tracking_uid(self.stamp, kind, segment), identifier=tracking_id(segment)
            ),
            referenced_segment=ReferencedSegment(
                sop_class_uid=instance.SOPClassUID,
                sop_instance_uid=instance.SOPInstanceUID,
                segment_number=number,
                source_series=SourceSeriesForSegmentation(self.source.first.SeriesInstanceUID),
            ),
            finding_category=concept(segment.category),
            finding_type=concept(segment.kind),
            finding_sites=[
                FindingSite(
                    concept(segment.region or segment.kind),
                    laterality=concept(segment.side) if segment.side else None,
                )
            ],
            algorithm_id=self.algorithm(),
            measurements=list(measurements),
            qualitative_evaluations=list(evaluations) or None,
        )

    def measurements(self, numbers: Mapping[str, Code]) -> Iterator[Any]:
        """The numbers of those names, under those codes, that are not null."""
        for name, code in numbers.items():
            yield from self.measurement(NUMBERS[name], code)

    def measurement(self, number: Number, code: Code, site: Code | None = None) -> Iterator[Any]:
        """One number and the ends of its range, qualified as such; nothing where it is null."""
        from highdicom.sr import FindingSite, Measurement

        value = number.value(self.result)
        if value is None:
            return
        common: dict[str, Any] = {
            "name": concept(code),
            "unit": concept(codes.unit_code(number)),
            "finding_sites": None if site is None else [FindingSite(concept(site))],
        }
        yield Measurement(value=value, **common)
        span = value_at(self.result.get("ranges"), ".".join(number.range_keys))
        if span is None:
            return
        for end, bound in zip((codes.LOWEST, codes.HIGHEST), span, strict=True):
            yield Measurement(
                value=bound,
                derivation=concept(end),
                method=concept(codes.ALTERNATIVES),
                **common,
            )

    def algorithm(self) -> Any:
        """What measured, in words."""
        from highdicom.sr import AlgorithmIdentification

        return AlgorithmIdentification(
            name="lungscore", version=__version__, parameters=[algorithm_text(self.result)]
        )


def _evaluations(result: Mapping[str, Any], etiology: str | None) -> Any:
    """What is said of the whole report: intended use, reliability, warnings, what is missing."""
    from highdicom.sr import (
        CodeContentItem,
        ContainerContentItem,
        ContentSequence,
        RelationshipTypeValues,
        TextContentItem,
    )

    contains = RelationshipTypeValues.CONTAINS
    container = ContainerContentItem(name=concept(codes.EVALUATIONS), relationship_type=contains)
    items: list[Any] = []
    if (grade := grade_of(result)) is not None:
        items.append(
            CodeContentItem(
                name=concept(codes.GRADE),
                value=concept(codes.grade_code(grade)),
                relationship_type=contains,
            )
        )
    if etiology is not None:
        items.append(
            CodeContentItem(
                name=concept(codes.DUE_TO),
                value=concept(codes.ETIOLOGIES[etiology]),
                relationship_type=contains,
            )
        )
    items += [
        TextContentItem(name=concept(codes.COMMENT), value=text, relationship_type=contains)
        for text in comments(result, etiology)
    ]
    container.ContentSequence = ContentSequence(items)
    return container


def comments(result: Mapping[str, Any], etiology: str | None = None) -> Iterator[str]:
    """The sentences that go with the numbers of ``result``, the intended use first."""
    yield RESEARCH_USE
    if (grade := grade_of(result)) is not None:
        reasons = ", ".join(result["reliability"]["reasons"]) or "no reason for caution"
        yield f"Reliability grade {grade}: {reasons}."
    if etiology is not None:
        yield f"The cause ({codes.ETIOLOGIES[etiology].meaning}) was stated by the user, not found."
    category = NUMBERS["category"]
    yield f"{category.heading}: {value_at(result, category.because or '')}"
    if result.get("ranges") is not None:
        yield (
            "A minimum and a maximum beside a number are its lowest and highest value under other "
            "reasonable thresholds and views of the network, not a confidence interval."
        )
    for name in (*WHOLE, "volume_ml", "mosmed"):
        number = NUMBERS[name]
        if number.value(result) is None:
            reason = value_at(result, number.because) if number.because else None
            yield f"{number.heading}: not computed" + (f" ({reason})" if reason else "")
    for warning in result["warnings"]:
        yield f"{warning['code']}: {warning['message']}"


def grade_of(result: Mapping[str, Any]) -> str | None:
    """The grade of reliability, where the result has one."""
    number = NUMBERS.get("reliability")
    return None if number is None or number.name not in result else number.value(result)


def _number_of(instance: Dataset, segment: Segment) -> int | None:
    return next(
        (
            int(item.SegmentNumber)
            for item in instance.SegmentSequence
            if item.TrackingID == tracking_id(segment)
        ),
        None,
    )


def _code(name: str) -> Code:
    return codes.number_code(name)


def _evaluation(name: Code, value: Code) -> Any:
    from highdicom.sr import QualitativeEvaluation

    return QualitativeEvaluation(name=concept(name), value=concept(value))
