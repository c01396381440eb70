"""A drop folder is taken as the network is, whatever lies in it."""

import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import RLELossless

from lungscore.node import intake
from lungscore.node import watch as watch_module
from lungscore.node.retention import purge
from lungscore.node.watch import Watch


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    folder = tmp_path / "drop"
    folder.mkdir()
    return folder


@pytest.fixture
def watch(parts: Any, drop: Path) -> Watch:
    return Watch(drop, parts.config, parts.intake, parts.names, parts.journal)


@pytest.fixture
def a_minute_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in the drop folder has been there for a minute when it is looked at again."""
    monkeypatch.setattr(watch_module, "_SETTLED_S", 0.0)


def test_files_are_taken_when_they_are_complete_and_removed(
    parts: Any, watch: Watch, drop: Path, series: list[Path], a_minute_later: None
) -> None:
    shutil.copytree(series[0].parent, drop / "Canary Yellow")
    last = drop / "Canary Yellow" / series[-1].name
    content = last.read_bytes()
    last.write_bytes(content[:100])
    assert watch.look() == 0
    last.write_bytes(content)  # its writer was not finished
    assert watch.look() == len(series) - 1
    assert watch.look() == 1
    assert not list(drop.iterdir())
    assert parts.state.studies()[0].images == len(series)
    assert "Canary" not in "".join(parts.lines)


@pytest.mark.parametrize("kept", [0, 100, 140, 400, -40, -1])
def test_a_file_whose_writer_pauses_is_left_until_it_is_whole(
    parts: Any, watch: Watch, drop: Path, series: list[Path], kept: int
) -> None:
    whole = series[0].read_bytes()
    (drop / "a.dcm").write_bytes(whole[:kept])
    for _ in range(4):
        assert watch.look() == 0
    (drop / "a.dcm").write_bytes(whole)
    assert [watch.look(), watch.look()] == [0, 1]
    assert not parts.codes
    (image,) = parts.config.incoming.rglob("*.dcm")
    assert image.read_bytes() == whole


def test_compressed_pixels_are_whole_when_they_have_an_end(
    parts: Any, watch: Watch, drop: Path, series: list[Path]
) -> None:
    dataset = pydicom.dcmread(series[0])
    dataset.compress(RLELossless)
    dataset.save_as(drop / "a.dcm")
    whole = (drop / "a.dcm").read_bytes()
    (drop / "a.dcm").write_bytes(whole[:-8])  # without the delimiter
    assert [watch.look(), watch.look()] == [0, 0]
    (drop / "a.dcm").write_bytes(whole)
    assert [watch.look(), watch.look()] == [0, 1]


def test_a_zip_whose_writer_pauses_is_left_until_it_is_whole(
    parts: Any, watch: Watch, drop: Path, series: list[Path]
) -> None:
    with zipfile.ZipFile(drop / "study.zip", "w") as archive:
        archive.write(series[0], "a.dcm")
    whole = (drop / "study.zip").read_bytes()
    (drop / "study.zip").write_bytes(whole[:-30])
    assert [watch.look(), watch.look(), watch.look()] == [0, 0, 0]
    (drop / "study.zip").write_bytes(whole)
    assert [watch.look(), watch.look()] == [0, 1]
    assert not parts.codes


def test_a_file_that_stays_cut_off_is_set_aside_with_the_reason(
    parts: Any, watch: Watch, drop: Path, series: list[Path], a_minute_later: None
) -> None:
    cut = series[0].read_bytes()[:-40]
    (drop / "a.dcm").write_bytes(cut)
    assert [watch.look(), watch.look()] == [0, 0]
    assert parts.codes == ["dicom-truncated"]
    (aside,) = parts.config.refused.iterdir()
    assert aside.read_bytes() == cut
    assert not parts.state.studies()


def test_a_folder_that_is_about_to_be_filled_stays(watch: Watch, drop: Path) -> None:
    for name in ("new", "old"):
        (drop / name).mkdir()
    os.utime(drop / "old", (1, 1))
    watch.look()
    assert [path.name for path in drop.iterdir()] == ["new"]


def test_a_zip_is_taken(parts: Any, watch: Watch, drop: Path, series: list[Path]) -> None:
    with zipfile.ZipFile(drop / "study.zip", "w") as archive:
        for path in series:
            archive.write(path, f"a/{path.name}")
        archive.writestr("a/notes.txt", "nothing")
    assert watch.look() == 0
    assert watch.look() == 1
    assert parts.state.studies()[0].images == len(series)
    assert not list(drop.iterdir())


def test_what_is_no_image_is_set_aside_under_a_name_that_tells_nothing(
    parts: Any, watch: Watch, drop: Path, series: list[Path], a_minute_later: None
) -> None:
    (drop / "Canary Yellow.txt").write_text("a letter")
    (drop / "empty").write_bytes(b"")
    (drop / "head.dcm").write_bytes(series[0].read_bytes()[:140])
    (drop / "damaged.zip").write_bytes(b"PK\3\4" + bytes(100))
    watch.look()
    assert watch.look() == 0
    assert not list(drop.iterdir())
    aside = [path.name for path in parts.config.refused.iterdir()]
    assert len(aside) == 4
    assert not any("Canary" in name for name in aside)
    assert len(parts.codes) == 4


def test_links_and_hidden_files_stay(parts: Any, watch: Watch, drop: Path, series: list) -> None:
    os.symlink(series[0], drop / "link.dcm")
    (drop / ".hidden").write_bytes(b"x")
    watch.look()
    assert watch.look() == 0
    assert len(list(drop.iterdir())) == 2
    assert not parts.state.studies()


def test_files_wait_while_there_is_no_room(
    make_parts: Any, drop: Path, series: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = make_parts(limits={"free_gib": 1})
    watch = Watch(drop, parts.config, parts.intake, parts.names, parts.journal)
    shutil.copy(series[0], drop)
    watch.look()
    usage = shutil._ntuple_diskusage(2**40, 2**40, 2**20)
    with monkeypatch.context() as patched:
        patched.setattr(intake.shutil, "disk_usage", lambda path: usage)
        assert watch.look() == 0
    assert len(list(drop.iterdir())) == 1
    assert watch.look() == 1


def test_a_file_that_cannot_be_read_keeps_nothing_back(
    parts: Any, watch: Watch, drop: Path, series: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in series:
        shutil.copy(path, drop)
    first = sorted(drop.iterdir())[0]
    read = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        if path == first:
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    watch.look()
    assert watch.look() == len(series) - 1
    assert list(drop.iterdir()) == [first]
    assert "PermissionError" in "".join(parts.lines)


def test_refused_files_of_one_name_are_all_kept_until_their_time_is_up(
    parts: Any, watch: Watch, drop: Path, a_minute_later: None
) -> None:
    for day in (1, 2):
        (drop / "letter.txt").write_text(f"letter {day}")
        os.utime(drop / "letter.txt", (day, day))
        watch.look()
        watch.look()
    aside = sorted(path.read_text() for path in parts.config.refused.iterdir())
    assert aside == ["letter 1", "letter 2"]
    purge(parts.config, parts.state, days=1, failed_days=1)
    assert len(list(parts.config.refused.iterdir())) == 2
    for path in parts.config.refused.iterdir():
        os.utime(path, (3, 3))
    purge(parts.config, parts.state, days=1, failed_days=1)
    assert not list(parts.config.refused.iterdir())
