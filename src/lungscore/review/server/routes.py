"""The routes of the server: from a request to what the desk does, and back."""

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lungscore.errors import InputError, LungscoreError
from lungscore.report.case_folder import REVIEWS
from lungscore.report.review_file import VERDICTS
from lungscore.result.stored import printable
from lungscore.review.masks import LAYERS
from lungscore.review.opened_case import ct_block
from lungscore.review.planes import invalid
from lungscore.review.readings import numbers_beside, overlap, ratings_table
from lungscore.review.requests import parse_edit
from lungscore.review.saving import Review, read_review, saved_reviews
from lungscore.review.server import answers
from lungscore.review.server.desk import Desk, not_found
from lungscore.review.server.guard import Access, error_content, status_of, told
from lungscore.scan.masks import read_label_volume
from lungscore.scan.names import safe_name
from lungscore.version import RESEARCH_USE, __version__

#: Characters of a reader's name, and of a comment.
LONGEST_NAME, LONGEST_COMMENT = 60, 2000

_STATIC = files("lungscore.review").joinpath("static")
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}

Handler = Callable[[Request, bytes], Response]


def application(desk: Desk, access: Access) -> Starlette:
    """All routes, without the guard."""
    routes = _Routes(desk, access)
    session, case = "/api/sessions/{session}", "/api/cases/{case}"
    table: list[tuple[str, str, Handler]] = [
        ("GET", "/", lambda request, body: _static("index.html")),
        ("GET", "/case", lambda request, body: _static("case.html")),
        ("GET", "/static/{name}", lambda request, body: _static(request.path_params["name"])),
        ("GET", "/health", lambda request, body: JSONResponse({"ok": True})),
        ("GET", "/api/session", routes.start),
        ("GET", "/api/cases", routes.cases),
        ("GET", "/api/ratings", routes.ratings),
        ("POST", f"{case}/open", routes.open),
        ("GET", f"{case}/reviews", routes.reviews),
        ("GET", f"{case}/reviews/{{review}}/labels/{{layer}}", routes.review_labels),
        ("GET", f"{case}/compare", routes.compare),
        ("GET", f"{session}/state", routes.state),
        ("GET", f"{session}/numbers", routes.numbers),
        ("GET", f"{session}/labels/{{layer}}", routes.labels),
        ("GET", f"{session}/ct/{{block:int}}", routes.ct),
        ("POST", f"{session}/edits", routes.edit),
        ("POST", f"{session}/undo", routes.undo),
        ("POST", f"{session}/redo", routes.redo),
        ("POST", f"{session}/alive", routes.alive),
        ("POST", f"{session}/save", routes.save),
        ("POST", f"{session}/close", routes.close),
    ]
    return Starlette(
        routes=[Route(path, _endpoint(handler), methods=[verb]) for verb, path, handler in table],
        exception_handlers={HTTPException: _unknown},
    )


class _Routes:
    """What each route does; in a thread, as most of it reads disks or counts voxels."""

    def __init__(self, desk: Desk, access: Access) -> None:
        self.desk, self.access = desk, access

    @property
    def blinded(self) -> bool:
        return self.desk.settings.blinded

    def start(self, request: Request, body: bytes) -> Response:
        settings = self.desk.settings
        return JSONResponse(
            {
                "csrf": self.access.csrf,
                "version": __version__,
                "reader": settings.reader,
                "blinded": settings.blinded,
                "readers": list(settings.reading_list.readers),
                "research_use": RESEARCH_USE,
            }
        )

    def cases(self, request: Request, body: bytes) -> Response:
        given = request.query_params.get("reader")
        reader = self.desk.settings.reader or (self._reader(given) if given else None)
        return JSONResponse(answers.case_list(self.desk, reader))

    def open(self, request: Request, body: bytes) -> Response:
        content, case = _content(body), request.path_params["case"]
        reader = self._reader(self.desk.settings.reader or content.get("reader"))
        try:
            session_id, session = self.desk.open(
                case, reader, take_over=content.get("take_over") is True
            )
        except InputError as error:
            if error.code != "review-in-use":
                raise
            since = self.desk.since(case, reader)
            text = None if since is None else _iso(since)
            return JSONResponse(error_content(error, since=text), status_of(error))
        with session.lock:
            return JSONResponse(answers.opened(session_id, session, blinded=self.blinded))

    def state(self, request: Request, body: bytes) -> Response:
        with self.desk.using(request.path_params["session"]) as session:
            return JSONResponse(answers.state(session, blinded=self.blinded))

    def numbers(self, request: Request, body: bytes) -> Response:
        with self.desk.using(request.path_params["session"]) as session:
            numbers = answers.current_numbers(session, blinded=self.blinded, wait=True)
            return JSONResponse({"version": session.correction.version, **numbers})

    def labels(self, request: Request, body: bytes) -> Response:
        with self.desk.using(request.path_params["session"]) as session:
            correction = session.correction
            of_original = request.query_params.get("of") == "original"
            masks = correction.original if of_original else correction.masks
            labels = {str(name): array for name, array in masks.layers.items()}
            version = 0 if of_original else correction.version
            data = _layer(labels, request.path_params["layer"]).tobytes()
        return _packed(request, data, {"X-Version": str(version)})

    def ct(self, request: Request, body: bytes) -> Response:
        with self.desk.using(request.path_params["session"]) as session:
            case = session.case
        if not case.has_ct:
            raise not_found("CT")
        try:
            values = ct_block(case.scan, request.path_params["block"], answers.BLOCK)
        except IndexError:
            raise not_found("block of slices") from None
        return _packed(request, values.tobytes(), {})

    def edit(self, request: Request, body: bytes) -> Response:
        edit = parse_edit(body)
        with self.desk.using(request.path_params["session"]) as session:
            step = session.edit(edit)
            return JSONResponse(answers.changed(session, step, blinded=self.blinded))

    def undo(self, request: Request, body: bytes) -> Response:
        version = _whole(_content(body), "version")
        with self.desk.using(request.path_params["session"]) as session:
            step = session.undo(version)
            return JSONResponse(answers.changed(session, step, blinded=self.blinded))

    def redo(self, request: Request, body: bytes) -> Response:
        version = _whole(_content(body), "version")
        with self.desk.using(request.path_params["session"]) as session:
            step = session.redo(version)
            return JSONResponse(answers.changed(session, step, blinded=self.blinded))

    def alive(self, request: Request, body: bytes) -> Response:
        content = _content(body)
        active, viewed = content.get("active", 0), content.get("viewed", [])
        if isinstance(active, bool) or not isinstance(active, int | float) or not active < 1e9:
            raise invalid("active is not a number of seconds")
        if not isinstance(viewed, list) or not all(type(z) is int for z in viewed):
            raise invalid("viewed is not a list of slices")
        with self.desk.using(request.path_params["session"]) as session:
            session.alive(float(active), viewed)
            return JSONResponse({"version": session.correction.version})

    def save(self, request: Request, body: bytes) -> Response:
        content = _content(body)
        verdict, comment = content.get("verdict"), content.get("comment", "")
        if verdict not in VERDICTS:
            raise invalid("there is no such verdict", expected=" | ".join(VERDICTS))
        if not isinstance(comment, str) or len(comment) > LONGEST_COMMENT:
            raise invalid("the comment is too long", expected=f"{LONGEST_COMMENT} characters")
        with self.desk.using(request.path_params["session"]) as session:
            saved = session.save(_whole(content, "version"), verdict, _text(comment))
            return JSONResponse(answers.saved(session, saved, blinded=self.blinded))

    def close(self, request: Request, body: bytes) -> Response:
        self.desk.close(request.path_params["session"])
        return JSONResponse({})

    def reviews(self, request: Request, body: bytes) -> Response:
        self._see_others()
        return JSONResponse(answers.reviews(self.desk, request.path_params["case"]))

    def review_labels(self, request: Request, body: bytes) -> Response:
        self._see_others()
        params = request.path_params
        folder, _ = self._review(params["case"], params["review"])
        if params["layer"] not in LAYERS:
            raise not_found("layer")
        return _packed(request, _stored(folder, params["layer"]).tobytes(), {"X-Version": "0"})

    def compare(self, request: Request, body: bytes) -> Response:
        self._see_others()
        case_id = request.path_params["case"]
        sides = [self._review(case_id, request.query_params.get(name, "")) for name in ("a", "b")]
        layers = [
            {name: _stored(folder, name) for name in ("lungs", "lesions")} for folder, _ in sides
        ]
        if len({labels.shape for side in layers for labels in side.values()}) > 1:
            raise InputError("review-stale", "The two reviews are of scans of different sizes")
        result = self.desk.case(case_id).result or {}
        results = [review.result if review else result for _, review in sides]
        named = [
            {"reader": review and review.reader, "verdict": review and review.verdict}
            for _, review in sides
        ]
        numbers = numbers_beside(*results)
        both = {"a": named[0], "b": named[1]}
        return JSONResponse({**both, "numbers": numbers, **overlap(*layers)})

    def ratings(self, request: Request, body: bytes) -> Response:
        self._see_others()
        reader = self._reader(request.query_params.get("reader"))
        table = ratings_table(self.desk.cases().values(), reader)
        name = "".join(letter if letter.isalnum() else "_" for letter in reader)
        named = {"Content-Disposition": f'attachment; filename="{_ascii(name)}.csv"'}
        return Response(table, media_type="text/csv; charset=utf-8", headers=named)

    def _reader(self, name: Any) -> str:
        """A reader's name as it is kept. Raises InputError ``review-invalid``."""
        if not isinstance(name, str) or len(name) > LONGEST_NAME or not printable(name):
            expected = f"1 to {LONGEST_NAME} characters"
            raise invalid("the reader's name is missing or too long", expected=expected)
        return printable(name)

    def _see_others(self) -> None:
        """Raise InputError ``review-blinded`` where others' work must not be seen."""
        if self.blinded:
            raise InputError("review-blinded", "The work of other readers is not shown to readers")

    def _review(self, case_id: str, review_id: str) -> tuple[Path, Review | None]:
        """Folder and content of a review; the original has a folder alone."""
        case = self.desk.case(case_id)
        if case.error is not None:
            raise case.error
        if review_id == "original":
            return case.folder, None
        reader = self.desk.reader_of(case_id, review_id)
        for review in saved_reviews(case.folder):
            if review.reader == reader:
                return review.folder, review
        return case.folder, read_review(case.folder / REVIEWS / safe_name(reader))


def _endpoint(handler: Handler) -> Callable[[Request], Any]:
    """``handler`` in a thread; what fails with a code becomes an answer."""

    async def endpoint(request: Request) -> Response:
        body = await request.body()
        try:
            return await run_in_threadpool(handler, request, body)
        except LungscoreError as error:
            headers = {"Retry-After": "5"} if error.code == "review-busy" else {}
            return JSONResponse(error_content(error), status_of(error), headers)
        except Exception as error:
            bug = told(error)
            return JSONResponse(error_content(bug), status_of(bug))

    return endpoint


async def _unknown(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return JSONResponse(error_content(not_found("address")), status)


def _static(name: str) -> Response:
    """A file of the pages. Raises InputError ``review-not-found``."""
    stem, dot, suffix = name.rpartition(".")
    plain = stem.replace("-", "").replace("_", "").isalnum() and stem.isascii()
    path = _STATIC.joinpath(name) if plain and f".{suffix}" in _TYPES else None
    if path is None or not path.is_file():
        raise not_found("page")
    return Response(path.read_bytes(), media_type=_TYPES[f"{dot}{suffix}"])


def _packed(request: Request, data: bytes, headers: dict[str, str]) -> Response:
    """Bytes, compressed where the browser takes that."""
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers = {**headers, "Content-Encoding": "gzip"}
        data = gzip.compress(data, compresslevel=1, mtime=0)
    return Response(data, media_type="application/octet-stream", headers=headers)


def _layer(labels: dict[str, np.ndarray], name: str) -> np.ndarray:
    if name not in labels:
        raise not_found("layer")
    return labels[name]


def _stored(folder: Path, layer: Any) -> np.ndarray:
    path = folder / f"{layer}.nii.gz"
    if not path.is_file():
        raise not_found("layer")
    return read_label_volume(path, layer)[0]


def _content(body: bytes) -> dict[str, Any]:
    """The JSON object of a body. Raises InputError ``review-invalid``."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise invalid("the request is not a JSON object")
    return content


def _whole(content: dict[str, Any], name: str) -> int:
    if type(content.get(name)) is not int:
        raise invalid(f"{name} is not a whole number")
    return int(content[name])


def _text(comment: str) -> str:
    """A comment without characters that cannot be printed; line feeds stay."""
    lines = comment.encode("utf-8", "replace").decode().splitlines()
    return "\n".join(printable(line) for line in lines).strip()


def _ascii(name: str) -> str:
    return name.encode("ascii", "replace").decode().replace("?", "_") or "reader"


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
