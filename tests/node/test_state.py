"""No study is lost or done twice, whatever happens when; the key and the state are whole or new."""

import sqlite3
import stat
from pathlib import Path

import pytest

from lungscore.errors import ResourceError
from lungscore.node.names import KEY, case_of, read_names
from lungscore.node.state import Claim, Delivery, State
from lungscore.node.tables import FILE, noted


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / FILE)


def ready(state: State, study: str = "s", images: int = 2) -> Claim:
    for number in range(images):
        state.receive(study, f"i{number}", "syntax", "content", 10.0 + number)
    state.queue_quiet(100.0)
    claim = state.claim(100.0)
    assert claim is not None
    return claim


def test_a_study_is_queued_when_it_is_quiet_and_claimed_once(state: State) -> None:
    assert state.receive("s", "i", "x", "c", 10.0) is None
    assert state.queue_quiet(9.0) == []
    assert state.claim(1e9) is None
    assert state.queue_quiet(10.0) == ["s"]
    assert state.claim(1e9) == Claim("s", 1, 0)
    assert state.claim(1e9) is None


def test_a_killed_node_queues_again_what_it_was_working_on(state: State, tmp_path: Path) -> None:
    claim = ready(state)
    again = State(tmp_path / FILE)
    assert again.recover() == 1
    assert again.claim(1e9) == claim


def test_a_study_that_gets_an_image_while_it_is_analysed_is_analysed_again(state: State) -> None:
    claim = ready(state)
    assert state.receive("s", "late", "x", "c", 50.0) == "running"
    assert not state.finish(claim, ["a.dcm"], ["pacs"], 60.0)
    assert not state.fail(claim, "slice-gap", 60.0)
    assert not state.postpone(claim, "disk-full", 60.0)
    assert state.deliveries("pacs", 1e9) == []
    state.queue_quiet(100.0)
    assert state.claim(1e9) == Claim("s", 2, 0)
    assert [case_of("s", revision) for revision in (1, 2)] == ["s", "s-2"]


def test_an_image_after_the_results_were_sent_starts_again_and_voids_deliveries(
    state: State,
) -> None:
    assert state.finish(ready(state), ["a.dcm"], ["pacs"], 60.0)
    (delivery,) = state.deliveries("pacs", 1e9)
    state.receive("s", "late", "x", "c", 70.0)
    assert state.objects(delivery) == {}
    with pytest.raises(LookupError):
        state.mark(delivery, "a.dcm", "sending")
    state.delivered(delivery, 80.0)
    assert state.counts()["received"] == 1


def test_the_same_image_twice_changes_nothing(state: State) -> None:
    assert state.finish(ready(state), [], [], 60.0)
    assert state.arrival("s", "i0", "syntax", "content") == "repeated"
    assert state.arrival("s", "i0", "syntax", "another") == "differs"
    assert state.arrival("s", "i0", "another", "another") == "repeated"
    assert state.arrival("s", "i9", "syntax", "content") == "new"
    assert state.receive("s", "i0", "syntax", "content", 70.0) == "sent"
    assert state.counts()["sent"] == 1


def test_a_study_is_sent_when_all_destinations_have_it(state: State) -> None:
    state.finish(ready(state), ["a.dcm"], ["one", "other"], 60.0)
    (first,), (second,) = state.deliveries("one", 1e9), state.deliveries("other", 1e9)
    state.delivered(first, 70.0)
    assert state.counts()["done"] == 1
    state.delivered(second, 71.0)
    assert state.counts()["sent"] == 1


def test_a_delivery_given_up_fails_the_study_and_can_be_retried(state: State) -> None:
    state.finish(ready(state), ["a.dcm"], ["one", "other"], 60.0)
    (first,), (second,) = state.deliveries("one", 1e9), state.deliveries("other", 1e9)
    state.mark(first, "a.dcm", "sending")
    state.give_up(first, "archive-failed", 70.0)
    state.delivered(second, 71.0)
    assert [(row.state, row.code) for row in state.studies()] == [("failed", "archive-failed")]
    assert state.retry("s", ["one", "other"], 80.0)
    (again,) = state.deliveries("one", 1e9)
    assert state.objects(again) == {"a.dcm": "sending"}
    assert state.deliveries("other", 1e9) == []
    state.delivered(again, 90.0)
    assert state.counts()["sent"] == 1


def test_a_retry_sends_to_the_destinations_of_today_and_not_again_where_the_results_are(
    state: State,
) -> None:
    state.finish(ready(state), ["a.dcm", "b.dcm"], ["kept", "gone", "there"], 60.0)
    waiting = {delivery.destination: delivery for delivery in state.addressed_elsewhere([])}
    state.delivered(waiting["there"], 70.0)
    (gone,) = state.addressed_elsewhere(["kept", "there", "new"])
    state.give_up(gone, "destination-unknown", 80.0)
    assert state.retry("s", ["kept", "there", "new"], 90.0)
    waiting = {delivery.destination: delivery for delivery in state.addressed_elsewhere([])}
    assert set(waiting) == {"kept", "new"}
    assert state.objects(waiting["new"]) == {"a.dcm": "waiting", "b.dcm": "waiting"}
    for delivery in waiting.values():
        assert state.counts()["done"] == 1
        state.delivered(delivery, 100.0)
    assert state.counts()["sent"] == 1
    assert not state.retry("s", ["newest"], 110.0)


def test_a_retry_without_destinations_leaves_nothing_to_send(state: State) -> None:
    state.finish(ready(state), ["a.dcm"], ["gone"], 60.0)
    assert state.retry("s", [], 70.0)
    assert state.counts()["sent"] == 1
    assert state.ended("sent", 70.0) == ["s"]


def test_a_failed_analysis_can_be_retried(state: State) -> None:
    assert state.fail(ready(state), "slice-gap", 60.0)
    assert not state.retry("unknown", [], 70.0)
    assert state.retry("s", [], 70.0)
    assert state.claim(80.0) == Claim("s", 1, 0)


def test_postponed_work_waits_until_it_is_due(state: State) -> None:
    assert state.postpone(ready(state), "disk-full", 200.0)
    assert state.claim(199.0) is None
    assert state.claim(200.0) == Claim("s", 1, 1)


def test_a_delivery_that_failed_waits_until_it_is_due(state: State) -> None:
    state.finish(ready(state), ["a.dcm"], ["pacs"], 60.0)
    (delivery,) = state.deliveries("pacs", 60.0)
    state.deliver_later(delivery, "archive-failed", 90.0)
    assert state.deliveries("pacs", 89.0) == []
    assert state.deliveries("pacs", 90.0) == [Delivery("s", 1, "pacs", 1, 60.0)]
    assert state.studies()[0].code == "archive-failed"


def test_an_announced_study_is_queued_when_all_its_images_are_there(state: State) -> None:
    state.receive("s", "a", "x", "c", 10.0)
    assert not state.announce("s", {"a", "b"})
    assert not state.announce("s", set())
    assert not state.announce("unknown", {"a"})
    state.receive("s", "b", "x", "c", 10.0)
    assert state.announce("s", {"a", "b"})
    assert state.claim(10.0) is not None


def test_only_what_ended_is_forgotten(state: State) -> None:
    claim = ready(state)
    assert not state.forget("s", "sent", lambda: None)
    state.finish(claim, [], [], 60.0)
    assert state.ended("sent", 59.0) == []
    assert state.ended("sent", 60.0) == ["s"]
    assert state.forget("s", "sent", lambda: None)
    assert state.studies() == []
    assert state.arrival("s", "i0", "syntax", "content") == "new"


def test_a_failed_study_is_kept_while_another_destination_waits_for_it(state: State) -> None:
    state.finish(ready(state), ["a.dcm"], ["one", "other"], 60.0)
    (first,), (second,) = state.deliveries("one", 1e9), state.deliveries("other", 1e9)
    state.give_up(first, "archive-failed", 70.0)
    assert state.counts()["failed"] == 1
    assert state.ended("failed", 1e9) == []
    assert not state.forget("s", "failed", lambda: None)
    state.delivered(second, 80.0)
    assert state.ended("failed", 1e9) == ["s"]
    assert state.forget("s", "failed", lambda: None)


def test_a_study_whose_images_cannot_be_removed_is_not_forgotten(state: State) -> None:
    state.finish(ready(state), [], [], 60.0)

    def removing() -> None:
        raise OSError(30, "Read-only file system")

    with pytest.raises(OSError, match="Read-only"):
        state.forget("s", "sent", removing)
    assert state.counts()["sent"] == 1
    assert state.forget("s", "sent", lambda: None)


def test_a_full_disk_is_said_to_be_one_and_does_no_harm(state: State, tmp_path: Path) -> None:
    """The system refuses to let the log of SQLite grow: as on a full disk, at the commit."""
    resource = pytest.importorskip("resource")
    state.receive("s", "i", "x", "c", 10.0)
    size = (tmp_path / f"{FILE}-wal").stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        for _ in range(2):
            with pytest.raises(ResourceError) as caught:
                state.receive("s", "j", "x", "c", 11.0)
            assert caught.value.code in ("disk-full", "output-not-writable")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert state.names_of_images("s") == {"i"}
    state.receive("s", "j", "x", "c", 12.0)
    assert State(tmp_path / FILE).names_of_images("s") == {"i", "j"}


def test_a_base_that_cannot_grow_is_a_full_disk(state: State) -> None:
    pages = state._base.execute("PRAGMA page_count").fetchone()[0]
    state._base.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(ResourceError) as caught:
        state.receive("s", "i", "x", "c" * 100_000, 10.0)
    assert caught.value.code == "disk-full"


def test_a_damaged_state_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"not SQLite at all, for sure" * 100)
    with pytest.raises(ResourceError) as caught:
        State(tmp_path / FILE)
    assert caught.value.code == "node-damaged"


def test_a_base_that_is_damaged_while_it_is_used_is_said_to_be(
    state: State, tmp_path: Path
) -> None:
    state.receive("s", "i", "x", "c", 10.0)
    state.close()
    content = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(content[:100] + bytes(len(content) - 100))
    with pytest.raises(ResourceError) as caught:
        State(tmp_path / FILE).studies()
    assert caught.value.code == "node-damaged"


def test_a_state_that_cannot_be_opened_is_not_said_to_be_damaged(tmp_path: Path) -> None:
    with pytest.raises(ResourceError) as caught:
        State(tmp_path / "missing" / FILE)
    assert caught.value.code == "output-not-writable"
    assert "SQLITE_CANTOPEN" in caught.value.message
    assert "user that the node runs as" in caught.value.message


@pytest.mark.parametrize(
    ("name", "code", "hint"),
    [
        ("SQLITE_FULL", "disk-full", "Free"),
        ("SQLITE_IOERR_SHMSIZE", "disk-full", "Free"),
        ("SQLITE_IOERR_READ", "output-not-writable", "Check the disk"),
        ("SQLITE_READONLY_DIRECTORY", "output-not-writable", "user that the node runs as"),
        ("SQLITE_BUSY", "output-not-writable", "try again"),
        ("SQLITE_CORRUPT_INDEX", "node-damaged", "backup"),
    ],
)
def test_what_sqlite_complains_of_is_told_for_what_it_is(name: str, code: str, hint: str) -> None:
    error = sqlite3.OperationalError("it says")
    error.sqlite_errorcode, error.sqlite_errorname = getattr(sqlite3, name), name
    with pytest.raises(ResourceError) as caught, noted():
        raise error
    assert (caught.value.code, hint in caught.value.message) == (code, True)


def test_a_state_that_was_closed_is_no_failure_of_the_disk(state: State) -> None:
    state.close()
    with pytest.raises(sqlite3.ProgrammingError):
        state.counts()


def test_the_key_is_made_once_for_this_user_alone(tmp_path: Path) -> None:
    names = read_names(tmp_path)
    assert read_names(tmp_path) == names
    assert stat.S_IMODE((tmp_path / KEY).stat().st_mode) == 0o600
    assert names.study("1.2.3") != names.image("1.2.3")
    assert names.study("1.2.3") == names.study("1.2.3") != names.study("1.2.4")
    other = tmp_path / "other"
    other.mkdir()
    assert read_names(other).study("1.2.3") != names.study("1.2.3")


def test_a_key_that_is_none_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / KEY).write_bytes(b"short")
    with pytest.raises(ResourceError) as caught:
        read_names(tmp_path)
    assert caught.value.code == "node-damaged"
