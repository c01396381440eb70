"""What an archive over DICOMweb answers when it is asked whether an object is there."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from lungscore.errors import ResourceError
from lungscore.pacs.dicomweb import Archive, Identity

pytest.importorskip("dicomweb_client", reason="pip install lungscore[dicom]")

OBJECT = Identity(
    "1.2.3", "1.2.3.4", "1.2.3.4.5", "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.1.2.1"
)


@pytest.fixture
def service() -> Iterator[ThreadingHTTPServer]:
    """A service that answers every search with ``answer``: a status, and what it found."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, content = self.server.answer  # type: ignore[attr-defined]
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/dicom+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def archive_at(service: Any, status: int, content: Any = ()) -> Archive:
    service.answer = status, list(content)
    return Archive(f"http://127.0.0.1:{service.server_address[1]}/dicom-web")


def test_an_object_is_there_or_not(service: Any) -> None:
    uid = {"00080018": {"vr": "UI", "Value": [OBJECT.uid]}}
    assert archive_at(service, 200, [uid]).has(OBJECT)
    assert not archive_at(service, 200).has(OBJECT)


@pytest.mark.parametrize("status", [404, 405, 501])
def test_an_archive_that_does_not_know_the_study_or_cannot_search_has_not_got_it(
    service: Any, status: int
) -> None:
    assert not archive_at(service, status).has(OBJECT)


@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_an_archive_that_fails_to_answer_says_neither(service: Any, status: int) -> None:
    with pytest.raises(ResourceError) as caught:
        archive_at(service, status).has(OBJECT)
    assert caught.value.code == "archive-failed"
