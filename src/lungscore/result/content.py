"""From an analysis to the content of its result.json."""

from typing import Any

from lungscore.labels import LOBE_ORDER
from lungscore.result.analysis import Analysis, case_name
from lungscore.result.base import DICE_DECIMALS, SPACING_DECIMALS, millilitres, percent, rounded
from lungscore.result.detection import detection_part
from lungscore.result.patterns import patterns
from lungscore.result.ranges import ranges_part
from lungscore.result.schema import LobeScores, Result
from lungscore.result.stored import SCHEMA
from lungscore.severity import Burden, Score, Severity, reliability
from lungscore.severity.edges import near_floor

#: Who drew the lungs -> what percentages of them are percentages of.
PERCENT_OF = {
    "network": "the lungs as a network found them, aerated and dense",
    "rules": "aerated lung, and dense lung that it encloses or in which infection was found",
    "user": "the lung mask that was given",
}


def to_result(analysis: Analysis) -> Result:
    """The machine-readable result. The same analysis gives the same bytes."""
    severity = analysis.severity
    whole = severity.lungs
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "case": case_name(analysis),
        "input": _input(analysis),
        "lungs": {
            "volume_ml": millilitres(whole.volume_ml),
            "left_ml": millilitres(severity.left.volume_ml) if severity.left else None,
            "right_ml": millilitres(severity.right.volume_ml) if severity.right else None,
            "percent_of": PERCENT_OF[analysis.lungs.found_by],
        },
        "burden": {
            **_percents(whole),
            "infection_ml": millilitres(whole.infection_ml),
            "left_percent": percent(severity.left.infection_percent) if severity.left else None,
            "right_percent": percent(severity.right.infection_percent) if severity.right else None,
            "filled_gaps": analysis.lesions.filled_gaps,
        },
        "scores": _scores(severity),
        "severity": {
            "category": severity.category,
            "basis": severity.basis,
            "withheld": list(severity.withheld),
        },
        **patterns(severity),
        "lobes": {name: _lobe(analysis, name) for name in LOBE_ORDER},
        "slices": _slices(analysis),
        "detection": detection_part(
            severity.infected,
            [percent(burden.infection_percent) for burden in severity.slices],
            analysis.detected,
        ),
        "reliability": _reliability(analysis),
        "warnings": [
            {"code": n.code, "message": n.message, "kind": n.kind} for n in analysis.notices
        ],
        "models": [
            {"name": m.name, "version": m.version, "sha256": m.sha256, "data_terms": m.data_terms}
            for m in analysis.lesions.models
        ],
        "engine": None,
        "ranges": ranges_part(severity.ranges, percent=percent, ml=millilitres),
        "method": analysis.method,
    }
    if (engine := analysis.lesions.engine) is not None:
        content["engine"] = {
            "name": engine.name,
            "precision": engine.precision,
            "device": engine.device.partition(":")[0],  # run.json says which of several cards
        }
    return Result.model_validate(content)


def _reliability(analysis: Analysis) -> dict[str, Any]:
    severity = analysis.severity
    codes = [notice.code for notice in analysis.notices]
    judged = reliability(severity.category, severity.withheld, codes)
    return {"grade": judged.grade, "reasons": list(judged.reasons)}


def _input(analysis: Analysis) -> dict[str, Any]:
    scan = analysis.scan
    spacing = scan.spacing_mm
    return {
        "kind": scan.kind,
        "slices": scan.shape[0],
        "shape": scan.shape,
        "spacing_mm": tuple(rounded(v, SPACING_DECIMALS) for v in spacing) if spacing else None,
        "units": scan.units if analysis.has_ct else None,
        "series_uid": scan.series_uid,
        "sides_known": analysis.lungs.sides_known,
        "voxels_sha256": scan.voxels_sha256 if analysis.has_ct else None,
    }


def _scores(severity: Severity) -> dict[str, Any]:
    ct_ss, zones = severity.ct_ss, severity.zones
    return {
        "ct_ss": {
            **_total(ct_ss),
            "cutoff": ct_ss.cutoff,
            "above_cutoff": ct_ss.above_cutoff,
            "regions": _parts(ct_ss),
        },
        "tss": _total(severity.tss),
        "ctsi": _total(severity.ctsi),
        "po": percent(severity.po),
        "pho": percent(severity.pho),
        "lss": _total(severity.lss),
        "lhos": _total(severity.lhos),
        "mosmed": severity.mosmed,
        "zones": {**_total(zones), "zones": _parts(zones)},
    }


def _total(score: Score) -> dict[str, Any]:
    return {"total": score.total, "max": score.maximum, "reason": score.reason}


def _parts(score: Score) -> dict[str, Any]:
    return {
        name: {
            "percent": percent(part.percent),
            "score": part.score,
            "near_edge": part.near_edge,
        }
        for name, part in score.parts.items()
    }


def _lobe(analysis: Analysis, name: str) -> dict[str, Any]:
    severity = analysis.severity
    lobe = severity.lobes.get(name)
    scores = {
        score: part.score if (part := getattr(severity, score).parts.get(name)) else None
        for score in LobeScores.model_fields
    }
    return {
        "volume_ml": millilitres(lobe.volume_ml) if lobe else None,
        **_percents(lobe),
        "well_aerated_percent": percent(severity.aeration.well_aerated_of_lobes.get(name)),
        "near_edge": lobe is not None and near_floor(lobe.infection_percent),
        "confidence": _confidence(analysis, name),
        "scores": scores,
    }


def _confidence(analysis: Analysis, name: str) -> dict[str, float | None] | None:
    known = analysis.lobe_confidence.get(name)
    if known is None:
        return None
    return {
        "expected_dice": rounded(known.expected, DICE_DECIMALS),
        "low_dice": rounded(known.low, DICE_DECIMALS),
    }


def _slices(analysis: Analysis) -> list[dict[str, Any]]:
    positions = analysis.scan.positions_mm
    return [
        {
            "index": index,
            "position_mm": None if positions is None else rounded(positions[index], 3),
            **_percents(burden),
        }
        for index, burden in enumerate(analysis.severity.slices)
    ]


def _percents(burden: Burden | None) -> dict[str, float | None]:
    names = ("infection_percent", "ggo_percent", "consolidation_percent")
    return {name: percent(getattr(burden, name)) if burden else None for name in names}
