"""What the browser is told of cases, sessions and changes, as JSON."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from lungscore.labels import CONSOLIDATION, GGO
from lungscore.report.case_folder import REVIEWS
from lungscore.result import to_result
from lungscore.result.numbers import (
    DECIMALS,
    LOBES,
    NUMBERS,
    PARTS,
    SCORES,
    WHOLE,
    value_at,
)
from lungscore.review.correction import Step
from lungscore.review.opened_case import window_of
from lungscore.review.saving import Saved, saved_reviews
from lungscore.review.server.desk import Desk
from lungscore.review.session import Session, numbers_in
from lungscore.review.work_list import OPEN, ListedCase, in_list_order, states_of
from lungscore.scan.names import safe_name

#: Slices in one block of the CT.
BLOCK = 8

_GROUPS = {
    **{number.path: "headline" for number in WHOLE},
    **{number.path: "scores" for number in SCORES},
    **{number.path: "lobes" for number in LOBES},
    **{number.path: "regions" for number in PARTS},
}


def case_list(desk: Desk, reader: str | None) -> dict[str, Any]:
    """The cases that ``reader`` is to read, and how far the work is."""
    ids = {case.folder: case_id for case_id, case in desk.cases().items()}
    cases, settings = list(desk.cases().values()), desk.settings
    if settings.reading_list.rows:
        cases = in_list_order(cases, settings.reading_list.cases_of(reader))
    elif settings.blinded:
        cases = sorted(cases, key=lambda case: case.name)
    states = {case.folder: states_of(case.folder) for case in desk.cases().values()}
    listed = [
        {
            "id": ids[case.folder],
            **_listed(case, states[case.folder], reader, blinded=settings.blinded),
        }
        for case in cases
    ]
    by_name = {case.name: states[case.folder] for case in desk.cases().values()}
    return {"cases": listed, "progress": _progress(desk, listed, by_name, reader)}


def _listed(
    case: ListedCase, states: dict[str, str], reader: str | None, *, blinded: bool
) -> dict[str, Any]:
    shown = {
        name: None if blinded else case.number(number)
        for name, number in (
            ("category", "category"),
            ("reliability", "reliability"),
            ("infection_percent", "infection_percent"),
            ("ct_ss", "ct_ss"),
        )
    }
    result = case.result or {}
    others = [{"reader": r, "verdict": v} for r, v in sorted(states.items()) if r != reader]
    return {
        "case": case.name,
        "slices": value_at(result, "input.slices"),
        **shown,
        "warnings": 0 if blinded else len(result.get("warnings", ())),
        "has_ct": value_at(result, "input.units") is not None,
        "error": case.error and {"code": case.error.code, "message": case.error.message},
        "mine": states.get(reader) if reader else None,
        "others": [] if blinded else others,
    }


def _progress(
    desk: Desk, listed: list[dict[str, Any]], states: dict[str, dict[str, str]], reader: str | None
) -> dict[str, Any]:
    mine = [states[case["case"]].get(reader or "") for case in listed]
    reading, names = desk.settings.reading_list, list(states)
    readers = []
    for name in sorted({*reading.readers, *(r for of_case in states.values() for r in of_case)}):
        assigned = reading.cases_of(name) if reading.rows else names
        theirs = [states[case].get(name) for case in assigned if case in states]
        readers.append({"reader": name, **_counts(theirs)})
    return {**_counts(mine), "readers": [] if desk.settings.blinded else readers}


def _counts(states: list[str | None]) -> dict[str, int]:
    unfinished = sum(state == OPEN for state in states)
    done = sum(state is not None for state in states) - unfinished
    return {"total": len(states), "done": done, "open": unfinished}


def opened(session_id: str, session: Session, *, blinded: bool) -> dict[str, Any]:
    """A case that was opened, and the state of the work at it."""
    case, masks = session.case, session.case.masks
    depth = len(masks.lungs)
    ct = {"dtype": str(case.scan.values.dtype), "block": BLOCK, "blocks": -(-depth // BLOCK)}
    warnings = [{"code": w["code"], "message": w["message"]} for w in case.result["warnings"]]
    return {
        "session": session_id,
        "state": state(session, blinded=blinded),
        "case": {
            "case": case.result["case"],
            "shape": list(masks.shape),
            "spacing_mm": case.scan.spacing_mm,
            "units": case.scan.units,
            "has_ct": case.has_ct,
            "no_ct_reason": case.no_ct,
            "ct": ct if case.has_ct else None,
            "window": list(window_of(case.scan, has_ct=case.has_ct)),
            "layers": list(masks.layers),
            "warnings": [] if blinded else warnings,
            "numbers": [] if blinded else _described(case.result),
        },
        "resumed": session.resumed,
        "recovered_edits": session.correction.edits if session.resumed else 0,
    }


def _described(result: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "path": number.path,
            "title": number.heading,
            "unit": number.unit,
            "symbol": number.symbol,
            "decimals": DECIMALS[number.unit],
            "group": _GROUPS.get(number.path, "details"),
            "before": value_at(result, number.path),
        }
        for number in NUMBERS.values()
    ]


def state(session: Session, *, blinded: bool) -> dict[str, Any]:
    """Where the work at a case stands."""
    correction = session.correction
    lesions = correction.masks.lesions
    numbers = current_numbers(session, blinded=blinded, wait=False)
    return {
        **_history(session),
        **numbers,
        "edits": correction.edits,
        "saved": session.saved,
        "slice_lesion_voxels": [_lesion_voxels(plane) for plane in lesions],
        "changed_slices": correction.changed_slices(),
        "seconds": round(session.seconds, 1),
    }


def current_numbers(session: Session, *, blinded: bool, wait: bool) -> dict[str, Any]:
    """The numbers of the masks as they are.

    wait: count even what takes a moment; without it, all are pending then.
    """
    nothing: dict[str, Any] = {"numbers": {}, "pending": False, "pending_paths": []}
    if blinded:
        return {**nothing, "slice_percent": []}
    if session.pending and not wait:
        paths = [number.path for number in NUMBERS.values()]
        return {**nothing, "pending": True, "pending_paths": paths, "slice_percent": []}
    result = to_result(session.analysis())
    percents = [entry.infection_percent for entry in result.slices]
    return {**nothing, "numbers": numbers_in(result), "slice_percent": percents}


def changed(session: Session, step: Step, *, blinded: bool) -> dict[str, Any]:
    """What a step changed, for the browser to apply."""
    correction = session.correction
    lesions, plane = correction.masks.lesions, correction.masks.lungs[0].size
    numbers = current_numbers(session, blinded=blinded, wait=False)
    slices = sorted({z for change in step.changes for z in change.slices(plane).tolist()})
    percents = numbers.pop("slice_percent")
    return {
        **_history(session),
        "changed": [
            {
                "layer": change.layer,
                "slices": [[z, runs] for z, runs in change.by_slice(plane)],
            }
            for change in step.changes
        ],
        "voxels": {change.layer: change.tally() for change in step.changes},
        **numbers,
        "slice_percent": [[z, percents[z]] for z in slices] if percents else [],
        "slice_lesion_voxels": [[z, *_lesion_voxels(lesions[z])] for z in slices],
        "changed_slices": correction.changed_slices(),
        "outside": step.outside,
    }


def _history(session: Session) -> dict[str, int]:
    correction = session.correction
    steps = {"undo": len(correction.done), "redo": len(correction.undone)}
    return {"version": correction.version, **steps}


def _lesion_voxels(plane: np.ndarray) -> list[int]:
    return [int(np.count_nonzero(plane == label)) for label in (GGO, CONSOLIDATION)]


def saved(session: Session, review: Saved, *, blinded: bool) -> dict[str, Any]:
    """What was saved, and what is left of an earlier verdict."""
    numbers: list[dict[str, Any]] = review.content["numbers"]
    differing = [entry for entry in numbers if entry["before"] != entry["after"]]
    names = ("path", "title", "before", "after")
    return {
        "saved": session.saved,
        "numbers": {} if blinded else {entry["path"]: entry["after"] for entry in numbers},
        "changes": []
        if blinded
        else [{name: entry[name] for name in names} for entry in differing],
        "folder": f"{REVIEWS}/{safe_name(review.content['reader'])}",
        "aside": review.aside,
    }


def reviews(desk: Desk, case_id: str) -> dict[str, Any]:
    """The saved reviews of a case, the original first."""
    case = desk.case(case_id)
    if case.error is not None:
        raise case.error
    original = {
        **dict.fromkeys(("reader", "verdict", "comment", "at", "seconds")),
        "id": "original",
        **_said(case.result or {}),
    }
    return {"reviews": [original, *_saved(desk, case_id, case)]}


def _saved(desk: Desk, case_id: str, case: ListedCase) -> Iterable[dict[str, Any]]:
    for review in saved_reviews(case.folder):
        names = ("reader", "verdict", "comment", "at", "seconds")
        yield {
            "id": desk.review_id(case_id, review.reader),
            **{name: review.content.get(name) for name in names},
            **_said(review.result),
        }


def _said(result: dict[str, Any]) -> dict[str, Any]:
    percent = value_at(result, NUMBERS["infection_percent"].path)
    return {"numbers": numbers_in(result), "infection_percent": percent}
