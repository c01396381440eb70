"""What stands against comparing two results: differences that are not the patient's disease."""

from collections.abc import Iterator, Mapping
from typing import Any

from lungscore.errors import Notice
from lungscore.result.numbers import NUMBERS, value_at

#: A change of lung volume above this (percent of the earlier) is one of breath, and changes
#: every percent of the lungs with it.
VOLUME_CHANGE_PERCENT = 15.0

#: Distances of slices that differ by this factor, and by this much (mm), show other lesions.
SPACING_FACTOR, SPACING_DIFFERENCE_MM = 2.0, 1.0

_SIDES = ("earlier", "later")


def cautions(
    earlier: Mapping[str, Any],
    later: Mapping[str, Any],
    versions: tuple[str | None, str | None] = (None, None),
) -> list[Notice]:
    """Notices about two contents of result.json, the gravest first.

    versions: of lungscore, which made them, where known.
    """
    return [
        *_identical(earlier, later),
        *_incomplete(earlier, later),
        *_units(earlier, later),
        *_volume(earlier, later),
        *_spacing(earlier, later),
        *_methods(earlier, later, versions),
        *_given_masks(earlier, later),
    ]


def _identical(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> Iterator[Notice]:
    contents = [{k: v for k, v in result.items() if k != "case"} for result in (earlier, later)]
    uids = [value_at(result, "input.series_uid") for result in (earlier, later)]
    if contents[0] == contents[1]:
        yield Notice("identical-inputs", "Both results are identical in every number")
    elif uids[0] is not None and uids[0] == uids[1]:
        text = "Both are the same DICOM series: a difference comes from the method, not the patient"
        yield Notice("identical-inputs", text)


def _incomplete(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> Iterator[Notice]:
    for side, content in zip(_SIDES, (earlier, later), strict=True):
        codes = _codes(content)
        if "truncated-scan" in codes:
            text = f"The {side} scan does not contain the whole lungs: different parts are compared"
            yield Notice("truncated-scan", text)
        category = NUMBERS["category"]
        if value_at(content, category.path) is None:
            basis = str(value_at(content, str(category.because))).removeprefix("withheld: ")
            text = f"The {side} scan has no severity category: {basis}"
            yield Notice("severity-withheld", text)


def _units(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> Iterator[Notice]:
    units = {value_at(result, "input.units") for result in (earlier, later)}
    if units == {"hu", "grey"}:
        side = "earlier" if value_at(earlier, "input.units") == "grey" else "later"
        text = (
            f"The {side} scan has grey levels of a windowed image, the other Hounsfield units: "
            "part of the change may come from that"
        )
        yield Notice("units-differ", text)


def _volume(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> Iterator[Notice]:
    before, after = (value_at(result, NUMBERS["volume_ml"].path) for result in (earlier, later))
    if not before or after is None:
        return
    change = 100 * (after - before) / before
    if abs(change) > VOLUME_CHANGE_PERCENT:
        text = (
            f"The lung volume changed from {before:.0f} ml to {after:.0f} ml "
            f"({f'{change:+.0f}'.replace('-', '−')} %), as with another depth of inspiration: "
            "the same opacity is then another percentage, so compare the millilitres too"
        )
        yield Notice("lung-volume-changed", text)


def _spacing(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> Iterator[Notice]:
    spacings = [value_at(result, "input.spacing_mm") for result in (earlier, later)]
    if not all(spacings):
        return
    low, high = sorted(spacing[0] for spacing in spacings)
    if high >= SPACING_FACTOR * low and high - low >= SPACING_DIFFERENCE_MM:
        before, after = (f"{spacing[0]:.3g}" for spacing in spacings)
        text = f"The slice spacing changed from {before} mm to {after} mm: small lesions may differ"
        yield Notice("slice-spacing-differs", text)


def _methods(
    earlier: Mapping[str, Any],
    later: Mapping[str, Any],
    versions: tuple[str | None, str | None],
) -> Iterator[Notice]:
    """Another version, another network, another precision, or masks without any of them."""
    differ = []
    if None not in versions and versions[0] != versions[1]:
        differ.append(f"lungscore {versions[0]} and {versions[1]}")
    models = [[m["sha256"] for m in result["models"]] for result in (earlier, later)]
    if models[0] != models[1]:
        differ.append(f"{_models(earlier)} and {_models(later)}")
    engines = [value_at(result, "engine.precision") for result in (earlier, later)]
    if None not in engines and engines[0] != engines[1]:
        differ.append(f"precision {engines[0]} and {engines[1]}")
    if differ:
        text = f"The methods differ ({'; '.join(differ)}): part of the change may come from that"
        yield Notice("methods-differ", text)


def _models(content: Mapping[str, Any]) -> str:
    names = [f"{m['name']} {m['version']} ({m['sha256'][:8]})" for m in content["models"]]
    return "model " + " with ".join(names) if names else "masks from elsewhere"


def _given_masks(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> Iterator[Notice]:
    for mask in ("lungs", "lobes"):
        given = [f"user-{mask}" in _codes(result) for result in (earlier, later)]
        if given[0] != given[1]:
            side = _SIDES[given.index(True)]
            text = (
                f"The {mask} of the {side} scan were supplied by the user, those of the other "
                f"were segmented: part of the change {'of the lobes ' if mask == 'lobes' else ''}"
                "may come from that"
            )
            yield Notice("masks-differ", text)


def _codes(content: Mapping[str, Any]) -> set[str]:
    return {warning["code"] for warning in content["warnings"]}
