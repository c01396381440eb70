"""Asking the server without a network: what a browser sends, and what it gets."""

import asyncio
import gzip
import json
from dataclasses import dataclass, field
from typing import Any

from lungscore.review.server.desk import Desk
from lungscore.review.server.guard import Access, Guard
from lungscore.review.server.routes import application

HOST = "127.0.0.1:8137"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.data)

    @property
    def data(self) -> bytes:
        packed = self.headers.get("content-encoding") == "gzip"
        return gzip.decompress(self.body) if packed else self.body

    @property
    def code(self) -> str:
        return self.json["error"]["code"]


@dataclass
class Browser:
    """A page of the server; headers: those that it sends beside the usual."""

    desk: Desk
    access: Access = field(default_factory=lambda: Access(hosts={HOST}))
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.app = Guard(application(self.desk, self.access), self.access)

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, b"", headers)

    def post(self, path: str, content: Any = None, **headers: str) -> Answer:
        return self.ask("POST", path, json.dumps(content or {}).encode(), headers)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes,
        headers: dict[str, str],
        messages: list[dict] | None = None,
    ) -> Answer:
        """messages: what arrives instead of the body in one piece; None waits for ever."""
        own = {"host": HOST, "accept-encoding": "gzip", "content-type": "application/json"}
        own |= {"x-csrf-token": self.access.csrf, "content-length": str(len(body))}
        own |= {**self.headers, **{k.replace("_", "-"): v for k, v in headers.items()}}
        place, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": place,
            "raw_path": place.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(k.encode(), v.encode("latin-1")) for k, v in own.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8137),
        }
        arriving = messages or [{"type": "http.request", "body": body, "more_body": False}]
        sent: list[dict] = []

        async def receive() -> dict:
            if not arriving:
                await asyncio.sleep(60)
            return arriving.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(self.app(scope, receive, send))
        start = next(message for message in sent if message["type"] == "http.response.start")
        data = b"".join(m.get("body", b"") for m in sent if m["type"] == "http.response.body")
        named = {k.decode(): v.decode("latin-1") for k, v in start["headers"]}
        return Answer(start["status"], named, data)

    def case_id(self, name: str) -> str:
        return next(i for i, case in self.desk.cases().items() if case.name == name)

    def open(self, name: str = "case-1", reader: str = "Anna", **more: Any) -> dict:
        answer = self.post(f"/api/cases/{self.case_id(name)}/open", {"reader": reader, **more})
        assert answer.status == 200, answer.body
        return answer.json


def accepted(browser: Browser, name: str = "case-1", reader: str = "Anna") -> None:
    session = f"/api/sessions/{browser.open(name, reader)['session']}"
    assert browser.post(f"{session}/save", {"version": 0, "verdict": "accepted"}).status == 200


def corrected(browser: Browser, name: str = "case-1", reader: str = "Anna") -> dict:
    """A review in which a slice of lesions was cleared, and what the server said of saving it."""
    session = f"/api/sessions/{browser.open(name, reader)['session']}"
    body = {"version": 0, "tool": "clear", "layer": "lesions", "slices": [10, 12]}
    version = browser.post(f"{session}/edits", body).json["version"]
    browser.post(f"{session}/alive", {"active": 12.5, "viewed": [3, 4, 999, -1]})
    answer = browser.post(
        f"{session}/save", {"version": version, "verdict": "corrected", "comment": "vessels\nhere"}
    )
    assert answer.status == 200, answer.body
    return answer.json
