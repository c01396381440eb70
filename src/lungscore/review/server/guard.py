"""What every request must keep to, and what every answer says (docs/review.md lists the rules)."""

import asyncio
import hmac
import json
import logging
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from lungscore.errors import InputError, LungscoreError, ResourceError

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

#: Bytes of a request's body, and seconds in which it must be there.
MAX_BODY, BODY_S = 8 * 2**20, 30.0

COOKIE = "lungscore-review"
CSRF = "x-csrf-token"

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}

#: code -> status of an answer; others are 422 for an input, 500 for the rest.
STATUS = {
    "review-forbidden": 403,
    "review-blinded": 403,
    "review-not-found": 404,
    "review-behind": 409,
    "review-in-use": 409,
    "review-ended": 410,
    "review-too-large": 413,
    "review-busy": 429,
    "disk-full": 507,
    "output-not-writable": 507,
    "out-of-memory": 507,
}

_log = logging.getLogger("lungscore.review")


@dataclass
class Access:
    """Who may ask. hosts: the values of the header Host that are answered, in lower case.

    token: what a browser must bring once; None where only this computer can reach the server.
    cookie: what it then brings. csrf: what every request that changes anything brings.
    """

    hosts: set[str] = field(default_factory=set)
    token: str | None = None
    cookie: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32))


class Refused(Exception):
    """A request that goes no further."""

    def __init__(self, status: int, error: LungscoreError) -> None:
        self.status, self.error = status, error
        super().__init__(error.code)


def forbidden(fault: str, *, hint: str = "", status: int = 403) -> Refused:
    """A request that is not allowed."""
    return Refused(status, InputError("review-forbidden", fault, hint=hint))


class Guard:
    """The ASGI application around the routes: refuses, limits, and states the headers."""

    def __init__(self, app: App, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        answered = False

        async def stated(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                own = {name.lower() for name, _ in message.get("headers", ())}
                extra = [(k.encode(), v.encode()) for k, v in HEADERS.items()]
                more = [(k, v) for k, v in extra if k not in own]
                message = {**message, "headers": [*message.get("headers", ()), *more]}
            await send(message)

        try:
            headers = {
                k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]
            }
            entry = self._check(scope, headers)
            if entry is not None:
                await _answer(stated, 303, {}, entry)
                return
            body = await _body(headers, receive)
            await self._app(scope, _once(body, receive), stated)
        except Refused as refused:
            await _answer(stated, refused.status, error_content(refused.error))
        except LungscoreError as error:
            more = {"retry-after": "5"} if error.code == "review-busy" else {}
            if not answered:
                await _answer(stated, status_of(error), error_content(error), more)
        except Exception as error:
            bug = told(error)
            if not answered:
                await _answer(stated, status_of(bug), error_content(bug))

    def _check(self, scope: Message, headers: dict[str, str]) -> dict[str, str] | None:
        """Raise Refused, or give the headers of an answer that lets a browser with the token in."""
        access = self._access
        if headers.get("host", "").lower() not in access.hosts:
            hint = "Open the address that lungscore review printed"
            raise forbidden("The request names another host", hint=hint)
        safe = scope["method"] in ("GET", "HEAD")
        site = headers.get("sec-fetch-site", "same-origin")
        if site not in ("same-origin", "none") and not (safe and scope["path"] in ("/", "/case")):
            raise forbidden("The request comes from another site")
        if access.token is not None and scope["path"] != "/health":
            given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
            if given and scope["path"] == "/" and safe:
                if not _equal(given, access.token):
                    raise forbidden("The token is wrong", status=401)
                flags = "HttpOnly; SameSite=Strict; Path=/"
                return {"location": "/", "set-cookie": f"{COOKIE}={access.cookie}; {flags}"}
            if not _equal(_cookie(headers), access.cookie):
                hint = "Open the address with the token again"
                raise forbidden("The request brings no token", hint=hint, status=401)
        if safe:
            return None
        origin = headers.get("origin")
        if origin is not None and origin.split("://")[-1].lower() not in access.hosts:
            raise forbidden("The request comes from another site")
        if not _equal(headers.get(CSRF, ""), access.csrf):
            raise forbidden("The request does not come from a page of this server")
        if headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
            raise Refused(415, InputError("review-invalid", "The request is not JSON"))
        return None


def error_content(error: LungscoreError, **more: Any) -> dict[str, Any]:
    """An error as the browser gets it."""
    content = {"code": error.code, "message": error.message, "expected": error.expected}
    return {"error": {**content, "hint": error.hint, "status": status_of(error), **more}}


def status_of(error: LungscoreError) -> int:
    """The status of an answer that is an error."""
    fallback = 422 if isinstance(error, InputError | ResourceError) else 500
    return STATUS.get(error.code, fallback)


def told(error: Exception) -> LungscoreError:
    """The error that is answered where something unforeseen failed; it is logged, too.

    Neither its text nor a traceback: a path or a value may name a patient.
    """
    if isinstance(error, MemoryError):
        return ResourceError("out-of-memory", "There is not enough memory")
    _log.error("%s in lungscore. This is a bug", type(error).__name__)
    return LungscoreError("internal", f"{type(error).__name__} in lungscore. This is a bug")


def _equal(given: str, expected: str) -> bool:
    """Whether two texts are equal, in a time that does not tell how far they are."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())


def _cookie(headers: dict[str, str]) -> str:
    for part in headers.get("cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return ""


async def _body(headers: dict[str, str], receive: Receive) -> bytes:
    """The whole body. Raises Refused where it is too large, or takes too long."""
    too_large = Refused(
        413, InputError("review-too-large", f"The request exceeds {MAX_BODY >> 20} MiB")
    )
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > MAX_BODY:
        raise too_large
    parts, size = [], 0

    async def gathered() -> None:
        nonlocal size
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > MAX_BODY:
                raise too_large
            more = message.get("more_body", False)

    try:
        await asyncio.wait_for(gathered(), BODY_S)
    except TimeoutError:
        fault = f"The request did not arrive within {BODY_S:g} seconds"
        raise Refused(408, InputError("review-invalid", fault)) from None
    return b"".join(parts)


def _once(body: bytes, receive: Receive) -> Receive:
    """Gives ``body``, and after it what ``receive`` gives."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _answer(
    send: Send, status: int, content: dict[str, Any], headers: dict[str, str] | None = None
) -> None:
    body = json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")
    own = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    head = [(name.encode(), value.encode("latin-1")) for name, value in own.items()]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})
