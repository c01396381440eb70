"""Which numbers are missing, and that it is said of each why."""

import re
from dataclasses import dataclass

import pytest

from lungscore.labels import LOBE_NAMES, LOBE_ORDER
from lungscore.severity import WITHHOLDING, Score
from lungscore.severity.notices import Obstacles, notices_of

CLEAR = Obstacles(volume=None, sides=None, hu=None, size=None)
SCORES = ("ct_ss", "tss", "ctsi", "lss", "lhos", "zones")
TITLES = ("CT-SS", "TSS", "CTSI", "LSS", "LHOS", "six-zone score")


@dataclass
class Part:
    volume_ml: float | None = 5000.0
    infection_percent: float | None = 10.0


def notices(whole=None, lobes=None, results=None, **given):
    usual = {"withheld": (), "obstacles": CLEAR, "in_lobes_percent": None, "noted": ()}
    usual["slice_percents"] = ()
    whole = Part() if whole is None else whole
    return notices_of(whole, lobes or {}, results or {}, **(usual | given))


def messages(code, *arguments, **given):
    return [notice.message for notice in notices(*arguments, **given) if notice.code == code]


def not_computed(**given):
    """reason -> the titles of what is not computed because of it."""
    pattern = re.compile(r"Not computed, because (.*): (.*)\.")
    matches = (pattern.fullmatch(message) for message in messages("not-computable", **given))
    return {match[1]: match[2].split(", ") for match in matches}


def test_usual_lungs_and_whole_numbers_are_no_notice():
    results = {name: Score(3, 20) for name in SCORES}
    lobes = {name: Part() for name in LOBE_ORDER}
    assert notices(lobes=lobes, results=results, in_lobes_percent=98.0) == ()
    assert notices(Part(volume_ml=None)) == ()


@pytest.mark.parametrize(("ml", "noticed"), [(999.0, True), (1000.0, False), (12_000.0, False)])
def test_small_lungs_are_noticed_below_a_litre(ml, noticed):
    texts = messages("lung-volume", Part(volume_ml=ml))
    assert len(texts) == noticed
    if noticed:
        assert "1.00 litres" in texts[0]


def test_small_lungs_are_noticed_once_and_not_of_a_single_slice():
    small = Part(volume_ml=510.0)
    assert "0.51 litres" in messages("lung-volume", small)[0]
    assert not messages("lung-volume", small, noted=["lung-volume"])
    assert not messages("lung-volume", small, withheld=("single-slice",))


def test_lungs_too_large_are_noticed_with_the_withheld_category():
    huge = Part(volume_ml=12_340.0)
    assert "12.34 litres" in messages("lung-volume", huge, withheld=("lung-volume",))[0]
    assert not messages("lung-volume", huge, withheld=("lung-volume",), noted=["lung-volume"])


@pytest.mark.parametrize(("percent", "noticed"), [(98.0, False), (97.94, True), (None, False)])
def test_lung_outside_the_lobes_is_noticed(percent, noticed):
    texts = messages("lobes-incomplete", in_lobes_percent=percent)
    assert len(texts) == noticed
    if noticed:
        assert "97.9 % of the lungs" in texts[0]
        assert "no region" in texts[0]


def test_lobes_without_voxels_are_named():
    lobes = {
        name: Part(infection_percent=None if name in ("RML", "LLL") else 0.0) for name in LOBE_ORDER
    }
    (message,) = messages("not-computable", lobes=lobes)
    assert f"{LOBE_NAMES['RML']}, {LOBE_NAMES['LLL']}" in message
    assert LOBE_NAMES["RUL"] not in message


def test_missing_totals_are_named_by_their_reason():
    reasons = ["no lobes", None, "no regions", "no lobes", "no regions", "no lobes"]
    results = {
        name: Score(5 if reason is None else None, 20, reason=reason)
        for name, reason in zip(SCORES, reasons, strict=True)
    }
    assert not_computed(results=results) == {
        "no lobes": ["CT-SS", "LSS", "six-zone score"],
        "no regions": ["CTSI", "LHOS"],
    }


@pytest.mark.parametrize(("name", "title"), list(zip(SCORES, TITLES, strict=True)))
def test_every_score_has_a_title(name, title):
    assert not_computed(results={name: Score(None, 20, reason="why")}) == {"why": [title]}


@pytest.mark.parametrize(
    ("obstacles", "expected"),
    [
        ({}, {}),
        ({"hu": "no HU"}, {"no HU": ["PHO", "aeration"]}),
        ({"sides": "no sides"}, {"no sides": ["distribution"]}),
        ({"size": "no size"}, {"no size": ["number and size of lesions", "peripheral share"]}),
        (
            {"volume": "flat", "size": "flat"},
            {
                "flat": [
                    "PO",
                    "PHO",
                    "MosMed class",
                    "number and size of lesions",
                    "distribution",
                ]
            },
        ),
        (
            {"volume": "flat", "hu": "no HU", "sides": "no sides", "size": "no size"},
            {
                "flat": ["PO", "PHO", "MosMed class", "distribution"],
                "no HU": ["aeration"],
                "no size": ["number and size of lesions"],
            },
        ),
        (
            {"sides": "no sides", "size": "no size"},
            {"no size": ["number and size of lesions"], "no sides": ["distribution"]},
        ),
    ],
)
def test_every_obstacle_names_what_it_prevents(obstacles, expected):
    given = dict.fromkeys(("volume", "sides", "hu", "size")) | obstacles
    assert not_computed(obstacles=Obstacles(**given)) == expected


def test_a_withheld_category_comes_last_with_all_its_reasons():
    withheld = ("truncated-scan", "unlike-training")
    raised = notices(obstacles=Obstacles(None, None, "no HU", None), withheld=withheld)
    assert [notice.code for notice in raised] == ["not-computable", "severity-withheld"]
    reasons = "; ".join(WITHHOLDING[code] for code in withheld)
    assert raised[-1].message.endswith(f": {reasons}.")
