"""Figures of two networks on one's own labels."""

import numpy as np
import pytest

from lungscore.evaluation.metrics import dice
from lungscore.evaluation.own_labels import LabelledMap, card_lines, compare_on_labels, verdict


def half(rows: int, columns: int = 10) -> np.ndarray:
    """A picture of ten by ten pixels, marked in its first rows and columns."""
    mask = np.zeros((10, 10), bool)
    mask[:rows, :columns] = True
    return mask


def labelled(name: str, patient: str, truth, ours, theirs) -> LabelledMap:
    return LabelledMap(name, patient, truth, ours.astype(np.float32), theirs.astype(np.float32))


MAPS = [
    labelled("a", "Miller", half(4), half(4), half(2)),
    labelled("b", "Miller", half(4), half(5), half(4)),
    labelled("c", "Smith", half(6), half(6), half(3)),
    labelled("d", "Jones", half(0), half(1), half(3)),
]


def test_figures_are_means_of_slices_over_their_patients():
    figures = compare_on_labels(MAPS)
    ours = [dice(half(predicted), half(true)) for predicted, true in ((4, 4), (5, 4), (6, 6))]
    theirs = [dice(half(predicted), half(true)) for predicted, true in ((2, 4), (4, 4), (3, 6))]
    figure = figures["infected"]["dice"]
    assert figure["measured"]["value"] == pytest.approx(np.mean(ours))
    assert figure["reference"]["value"] == pytest.approx(np.mean(theirs))
    assert figure["difference"]["value"] == pytest.approx(np.mean(ours) - np.mean(theirs))
    assert [figure[key]["n"] for key in ("measured", "reference", "difference")] == [3, 3, 3]
    # Two patients: the interval reaches from one's mean to the other's.
    assert figure["measured"]["low"] == pytest.approx(np.mean(ours[:2]))
    assert figure["measured"]["high"] == pytest.approx(ours[2])
    silence = figures["negative"]["infected_percent"]
    assert (silence["measured"]["value"], silence["reference"]["value"]) == (10, 30)


def test_patients_are_numbered_and_not_named():
    figures = compare_on_labels(MAPS)
    assert [row["patient"] for row in figures["slices"]] == [1, 1, 2, 3]
    assert figures["patients"] == 3
    assert "Miller" not in str(figures)


def test_the_card_gives_each_figure_with_n_and_interval():
    lines = card_lines(compare_on_labels(MAPS), where="out of fold", reference="old 1")
    assert [line["name"] for line in lines] == [
        "out of fold, Dice at 0.5",
        "out of fold, sensitivity",
        "out of fold, Dice compared with old 1",
        "out of fold, called infected where nothing is marked",
    ]
    for line in lines[:3]:
        assert "n = 3 slices of 2 patients" in line["text"]
    assert "n = 1 slices of 1 patient " in lines[3]["text"]
    assert lines[3]["text"].startswith("10.00 %")
    assert lines[2]["text"].startswith("+0.")


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        ((5, 5) * 3, (2, 3) * 3, "better"),
        ((2, 3) * 3, (5, 5) * 3, "worse"),
        ((5, 3) * 3, (3, 5) * 3, "no difference is shown"),
        ((5,) * 6, (2,) * 6, "better"),
        ((5,) * 6, (5,) * 6, "no difference is shown"),
        ((5, 5) * 2, (2, 3) * 2, "nothing can be said: fewer than 6 patients show infection"),
    ],
)
def test_better_and_worse_are_what_the_interval_shows(ours, theirs, said):
    maps = [
        labelled(str(index), str(index), half(5), half(a), half(b))
        for index, (a, b) in enumerate(zip(ours, theirs, strict=True))
    ]
    assert verdict(compare_on_labels(maps)) == said


def test_without_infection_nothing_is_said_of_it():
    figures = compare_on_labels(MAPS[3:])
    assert figures["infected"]["dice"]["measured"]["value"] is None
    assert "nothing can be said" in verdict(figures)
    assert len(card_lines(figures, where="x", reference="y")) == 1
    assert card_lines(compare_on_labels([]), where="x", reference="y") == []
