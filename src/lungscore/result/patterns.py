"""How the lungs are aerated and how the infection is spread: three parts of result.json."""

from typing import Any

from pydantic import Field

from lungscore.labels import LOBE_ORDER
from lungscore.result.base import Model, millilitres, percent
from lungscore.severity import BANDS, SPECK_ML, Severity, Share


class BandPart(Model):
    """The part of the lungs at from_hu ≤ HU < to_hu; null where the band is open."""

    from_hu: int | None
    to_hu: int | None
    ml: float | None
    percent: float | None


class BandsPart(Model):
    """The bands, from air to bone; they sum to the lungs."""

    over_inflated: BandPart
    well_aerated: BandPart
    poorly_aerated: BandPart
    not_aerated: BandPart
    denser: BandPart


class AerationPart(Model):
    """The lungs by bands of density; ``reason`` says why they are null."""

    bands: BandsPart
    reason: str | None


class LesionsOfLobes(Model):
    """Lesions by the lobe that holds most of each."""

    RUL: int | None
    RML: int | None
    RLL: int | None
    LUL: int | None
    LLL: int | None


class LesionsPart(Model):
    """Separate lesions; ``reason`` says why ``count`` is null."""

    count: int | None
    largest_ml: float | None = Field(description="null without any lesion")
    median_ml: float | None = Field(description="null without any lesion")
    by_lobe: LesionsOfLobes
    specks: int | None = Field(description="components smaller than speck_below_ml")
    specks_ml: float | None
    speck_below_ml: float
    reason: str | None


class SharePart(Model):
    """What lies in one place, of the infected volume and of the lungs themselves."""

    infection_percent: float | None
    lung_percent: float | None


class DistributionPart(Model):
    """Where the infection lies; ``reason`` says why all is null."""

    peripheral: SharePart
    posterior: SharePart
    lower: SharePart
    bilateral: bool | None
    lobes_affected: int | None
    reason: str | None


def patterns(severity: Severity) -> dict[str, Any]:
    """The content of ``aeration``, ``lesions`` and ``distribution``."""
    aeration, lesions, where = severity.aeration, severity.lesions, severity.distribution
    return {
        "aeration": {
            "bands": {
                name: {
                    "from_hu": band.low,
                    "to_hu": band.high,
                    "ml": millilitres(aeration.bands[name].ml),
                    "percent": percent(aeration.bands[name].percent),
                }
                for name, band in BANDS.items()
            },
            "reason": aeration.reason,
        },
        "lesions": {
            "count": lesions.count,
            "largest_ml": millilitres(lesions.largest_ml),
            "median_ml": millilitres(lesions.median_ml),
            "by_lobe": {name: lesions.by_lobe.get(name) for name in LOBE_ORDER},
            "specks": lesions.specks,
            "specks_ml": millilitres(lesions.specks_ml),
            "speck_below_ml": SPECK_ML,
            "reason": lesions.reason,
        },
        "distribution": {
            "peripheral": _share(where.peripheral),
            "posterior": _share(where.posterior),
            "lower": _share(where.lower),
            "bilateral": where.bilateral,
            "lobes_affected": where.lobes_affected,
            "reason": where.reason,
        },
    }


def _share(share: Share) -> dict[str, float | None]:
    return {
        "infection_percent": percent(share.infection_percent),
        "lung_percent": percent(share.lung_percent),
    }
