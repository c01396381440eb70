"""The rules of the server (docs/review.md), one test or more for each."""

import json
import logging
import re
import time

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from lungscore.review.server import desk as desks
from lungscore.review.server import guard
from lungscore.review.server.guard import Access
from lungscore.review.server.run import ServerSettings, hosts_of
from tests.review.asking import HOST, Browser

TOKEN = "right"  # noqa: S105


def test_s1_a_body_is_refused_before_it_is_read(browser):
    answer = browser.ask(
        "POST", "/api/nothing", b"", {"content-length": str(guard.MAX_BODY + 1)}, [{"type": "x"}]
    )
    assert (answer.status, answer.code) == (413, "review-too-large")


def test_s1_a_body_that_lies_about_its_length_is_refused_as_it_grows(browser, monkeypatch):
    monkeypatch.setattr(guard, "MAX_BODY", 1000)
    piece = {"type": "http.request", "body": b"x" * 600, "more_body": True}
    answer = browser.ask("POST", "/api/nothing", b"", {}, [piece, piece, piece])
    assert (answer.status, answer.code) == (413, "review-too-large")


@pytest.mark.parametrize("length", ["-5", "many", "1e3"])
def test_s1_a_length_that_is_none_is_refused(browser, length):
    assert browser.ask("POST", "/api/nothing", b"", {"content-length": length}).status == 413


def test_s2_what_an_edit_names_must_lie_in_the_volume(browser):
    opened = browser.open()
    path = f"/api/sessions/{opened['session']}/edits"
    brush = {"version": 0, "tool": "brush", "layer": "lesions", "plane": "axial", "label": 1}
    huge = 10**12
    for slices in (
        [{"index": 0, "runs": [[0, huge]]}],
        [{"index": huge, "runs": [[0, 1]]}],
        [{"index": 0, "runs": [[-1, 1]]}],
        [{"index": 0, "runs": [[5, 3], [6, 1]]}],
        [{"index": 0, "runs": [[0, 0]]}],
    ):
        answer = browser.post(path, {**brush, "slices": slices})
        assert (answer.status, answer.code) == (422, "review-invalid"), slices
    for body in ({"tool": "x"}, [], {**brush, "slices": [], "label": 9}, {"more": 1}):
        assert browser.post(path, body).status == 422


def test_s3_nothing_that_a_browser_sends_is_a_file_to_read(browser):
    """No route takes a path or an upload: scans and masks are read from where the user says."""
    paths = {route.path for route in browser.app._app.routes}
    assert not [path for path in paths if ":path" in path]


def test_s4_only_so_many_cases_are_open_at_once(browser, monkeypatch):
    monkeypatch.setattr(desks, "MOST_SESSIONS", 1)
    browser.open("case-0")
    path = f"/api/cases/{browser.case_id('case-1')}/open"
    answer = browser.post(path, {"reader": "Anna"})
    assert (answer.status, answer.code) == (429, "review-busy")
    assert answer.headers["retry-after"]


def test_s5_ids_are_128_random_bits_and_no_path_comes_from_a_browser(browser):
    opened = browser.open()
    ids = [opened["session"], *browser.desk.cases()]
    assert all(re.fullmatch("[0-9a-f]{32}", text) for text in ids)
    for path in ("/static/../../errors.py", "/static/%2e%2e%2f", "/static/.css", "/static/a/b.js"):
        assert browser.get(path).status == 404
    for wrong in ("0" * 32, "case-1", ".."):
        assert browser.get(f"/api/cases/{wrong}/reviews").status == 404
        assert browser.get(f"/api/sessions/{wrong}/state").status in (404, 410)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "", "localhost"])
def test_s6_another_host_is_refused(browser, host):
    answer = browser.get("/api/cases", host=host)
    assert (answer.status, answer.code) == (403, "review-forbidden")


@pytest.mark.parametrize(
    ("settings", "port", "hosts"),
    [
        (
            ServerSettings(),
            8137,
            {"127.0.0.1:8137", "localhost:8137", "[::1]:8137"},
        ),
        (ServerSettings("192.0.2.1"), 80, {"192.0.2.1:80", "192.0.2.1"}),
        (
            ServerSettings("0.0.0.0", names=("Room.example",)),  # noqa: S104
            8137,
            {"0.0.0.0:8137", "room.example:8137", "room.example"},
        ),
        (
            ServerSettings("192.0.2.1", names=("room.example:8443", "fd00::7", "[fd00::8]:9")),
            8137,
            {"192.0.2.1:8137", "room.example:8443", "[fd00::7]:8137", "[fd00::7]", "[fd00::8]:9"},
        ),
    ],
)
def test_s6_hosts_are_the_names_by_which_browsers_reach_the_server_or_its_proxy(
    settings, port, hosts
):
    assert hosts_of(settings, port) == hosts


def test_s6_a_page_behind_a_proxy_with_tls_may_change_things(desk_over):
    settings = ServerSettings("127.0.0.1", names=("room.example",))
    browser = Browser(desk_over(), Access(hosts=hosts_of(settings, 8137)))
    case = browser.case_id("case-1")
    headers = {"host": "room.example", "origin": "https://room.example"}
    answer = browser.post(f"/api/cases/{case}/open", {"reader": "Anna"}, **headers)
    assert answer.status == 200


def test_s6_requests_of_other_sites_are_refused(browser):
    for headers in ({"sec_fetch_site": "cross-site"}, {"sec_fetch_site": "same-site"}):
        assert browser.get("/api/cases", **headers).status == 403
        assert browser.post("/api/cases/x/open", **headers).status == 403
    assert browser.post("/api/cases/x/open", origin="http://evil.example").status == 403
    assert browser.post("/api/cases/x/open", origin=f"http://{HOST}").status == 422
    assert browser.post("/api/cases/x/open", x_csrf_token="").status == 403
    assert browser.post("/api/cases/x/open", content_type="text/plain").status == 415


def test_s6_no_answer_lets_other_sites_read_it(browser):
    answer = browser.get("/api/cases", origin="http://evil.example")
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert browser.ask("OPTIONS", "/api/cases", b"", {}).status in (403, 405)


def test_s6_beyond_this_computer_a_token_is_needed(desk_over):
    browser = Browser(desk_over(), Access(hosts={HOST}, token=TOKEN))
    assert browser.get("/health").status == 200
    for path in ("/", "/api/session", "/api/cases"):
        assert browser.get(path).status == 401
    assert browser.get("/?token=wrong").status == 401
    assert browser.get("/?token=righ%E9").status == 401
    entry = browser.get("/?token=right")
    assert (entry.status, entry.headers["location"]) == (303, "/")
    cookie = entry.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "right" not in cookie
    assert browser.get("/api/session", cookie=cookie.split(";")[0]).status == 200
    assert browser.get("/api/session", cookie="lungscore-review=right").status == 401


def test_s6_secrets_are_compared_in_constant_time(desk_over, monkeypatch):
    compared = []
    real = guard.hmac.compare_digest
    monkeypatch.setattr(
        guard.hmac, "compare_digest", lambda a, b: compared.append((a, b)) or real(a, b)
    )
    browser = Browser(desk_over(), Access(hosts={HOST}, token=TOKEN))
    browser.get("/?token=wrong")
    browser.get("/api/session")
    assert (b"wrong", b"right") in compared
    assert any(b == browser.access.cookie.encode() for _, b in compared)


@pytest.mark.parametrize("path", ["/api/session", "/nothing", "/api/cases/x/reviews", "/health"])
def test_s7_every_answer_has_the_headers(browser, path):
    for answer in (browser.get(path), browser.get(path, host="evil.example")):
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"


def test_s8_a_body_that_does_not_come_is_given_up(browser, monkeypatch):
    monkeypatch.setattr(guard, "BODY_S", 0.05)
    piece = {"type": "http.request", "body": b"{", "more_body": True}
    answer = browser.ask("POST", "/api/nothing", b"", {}, [piece])
    assert answer.status == 408


def test_s9_a_session_that_nobody_uses_is_closed_and_nothing_is_lost(browser, monkeypatch):
    opened = browser.open()
    path = f"/api/sessions/{opened['session']}"
    body = {"version": 0, "tool": "clear", "layer": "lesions", "slices": [0, 27]}
    assert browser.post(f"{path}/edits", body).json["version"] == 1
    monkeypatch.setattr(desks, "IDLE_S", -1.0)
    browser.desk.close_idle()
    answer = browser.get(f"{path}/state")
    assert (answer.status, answer.code) == (410, "review-ended")
    again = browser.open()
    assert (again["resumed"], again["state"]["version"]) == (True, 1)


def test_s10_logs_hold_no_text_of_requests_cases_or_paths(browser, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    browser.open(reader="Canary Reader")

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("Canary Path")

    monkeypatch.setattr(browser.desk, "open", fail)
    path = f"/api/cases/{browser.case_id('case-1')}/open"
    answer = browser.post(path, {"reader": "Canary Reader"})
    assert (answer.status, answer.code) == (500, "internal")
    assert "Canary" not in answer.body.decode()
    ours = [r for r in caplog.records if r.name.startswith("lungscore")]
    assert [r.getMessage() for r in ours] == ["RuntimeError in lungscore. This is a bug"]
    everything = " ".join(f"{record.getMessage()} {record.exc_text}" for record in ours)
    assert "Canary" not in everything
    assert "case-1" not in everything


def test_s11_health_says_nothing_of_patients(browser):
    assert browser.get("/health").json == {"ok": True}


def test_s12_pages_load_nothing_from_elsewhere():
    from importlib.resources import files

    pages = files("lungscore.review").joinpath("static")
    for page in pages.iterdir() if pages.is_dir() else ():
        text = page.read_text("utf-8")
        assert not re.search(r"""(src|href|import|url)\W{1,4}(https?:)?//""", text), page.name
        if page.name.endswith(".html"):
            assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", text), (
                page.name
            )


# One writer, and who may see what


def test_a_second_page_of_one_reader_is_told_and_may_take_over(browser):
    first = browser.open()
    case = browser.case_id("case-1")
    answer = browser.post(f"/api/cases/{case}/open", {"reader": "Anna"})
    assert (answer.status, answer.code) == (409, "review-in-use")
    assert answer.json["error"]["since"].startswith(time.strftime("%Y", time.gmtime()))
    browser.open(reader="Ben")  # another reader is not in the way
    second = browser.open(take_over=True)
    path = f"/api/sessions/{first['session']}/undo"
    assert browser.post(path, {"version": 0}).code == "review-ended"
    assert browser.get(f"/api/sessions/{second['session']}/state").status == 200


def test_another_process_is_told_too(browser, desk_over):
    browser.open()
    other = Browser(desk_over())
    answer = other.post(f"/api/cases/{other.case_id('case-1')}/open", {"reader": "Anna"})
    assert (answer.status, answer.code) == (409, "review-in-use")


def test_blinded_readers_see_neither_numbers_nor_others(desk_over):
    Browser(desk_over()).open(reader="Ben")
    browser = Browser(desk_over(blinded=True))
    listed = browser.get("/api/cases?reader=Anna").json
    hidden = ("category", "reliability", "infection_percent", "ct_ss")
    assert all(case[name] is None for case in listed["cases"] for name in hidden)
    assert [case["case"] for case in listed["cases"]] == ["case-0", "case-1"]
    assert all(not case["others"] for case in listed["cases"])
    assert listed["progress"]["readers"] == []
    opened = browser.open()
    assert opened["case"]["numbers"] == opened["case"]["warnings"] == []
    assert opened["state"]["numbers"] == {}
    assert opened["state"]["slice_percent"] == []
    session = f"/api/sessions/{opened['session']}"
    body = {"version": 0, "tool": "clear", "layer": "lesions", "slices": [0, 27]}
    assert browser.post(f"{session}/edits", body).json["numbers"] == {}
    assert browser.get(f"{session}/numbers").json["numbers"] == {}
    saved = browser.post(f"{session}/save", {"version": 1, "verdict": "corrected"}).json
    assert (saved["numbers"], saved["changes"]) == ({}, [])
    case = browser.case_id("case-1")
    for path in (
        f"/api/cases/{case}/reviews",
        f"/api/cases/{case}/reviews/original/labels/lesions",
        f"/api/cases/{case}/compare?a=original&b=original",
        "/api/ratings?reader=Ben",
    ):
        answer = browser.get(path)
        assert (answer.status, answer.code) == (403, "review-blinded")


def test_names_and_comments_are_limited(browser):
    path = f"/api/cases/{browser.case_id('case-1')}/open"
    for reader in ("", "  ", "x" * 61, None, 5, "\n"):
        answer = browser.post(path, {"reader": reader})
        assert (answer.status, answer.code) == (422, "review-invalid")
    session = f"/api/sessions/{browser.open()['session']}/save"
    for body in (
        {"version": 0, "verdict": "perfect"},
        {"version": 0, "verdict": "accepted", "comment": "x" * 2001},
        {"version": "0", "verdict": "accepted"},
        {"version": 0, "verdict": "corrected"},
    ):
        assert browser.post(session, body).status == 422


def test_errors_are_json_with_what_to_do(browser):
    answer = browser.get("/api/sessions/x/state")
    error = json.loads(answer.body)["error"]
    assert set(error) == {"code", "message", "expected", "hint", "status"}
    assert error["status"] == answer.status
