"""Compiled networks are kept for the next start, and nothing depends on them."""

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from lungscore.inference import compiled, load_bundle
from lungscore.inference.bundle import Bundle
from lungscore.inference.engines import make_engine


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle("lungs")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where compiled networks are kept in this test."""
    monkeypatch.setenv(compiled.VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def answer(bundle: Bundle) -> np.ndarray:
    """What the network says of one random picture."""
    size = bundle.card.input.height
    picture = np.random.default_rng(0).random((7, size, size), np.float32)
    run, _ = make_engine(bundle, name="openvino", threads=1)
    (maps,) = run([(picture,)])
    assert maps is not None
    return maps


def test_a_kept_network_gives_the_same_maps(
    bundle: Bundle, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = answer(bundle)
    (kept,) = folder.iterdir()
    assert kept.suffix == ".blob"
    monkeypatch.setattr(compiled, "_write", lambda *_: pytest.fail("compiled again"))
    assert np.array_equal(answer(bundle), first)


@pytest.mark.parametrize("content", [b"", b"short", bytes(4000)])
def test_a_damaged_file_is_compiled_and_written_again(
    bundle: Bundle, folder: Path, content: bytes
) -> None:
    first = answer(bundle)
    (kept,) = folder.iterdir()
    kept.write_bytes(content)
    assert np.array_equal(answer(bundle), first)
    assert compiled._read(kept) is not None


def test_a_network_that_openvino_refuses_is_compiled(bundle: Bundle, folder: Path) -> None:
    first = answer(bundle)
    (kept,) = folder.iterdir()
    compiled._write(kept, b"no network, but with a digest of its own")
    assert np.array_equal(answer(bundle), first)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="the system has no owners of files")
def test_a_file_that_others_could_have_written_is_not_used(bundle: Bundle, folder: Path) -> None:
    answer(bundle)
    (kept,) = folder.iterdir()
    assert compiled._read(kept) is not None
    folder.chmod(0o777)
    assert compiled._read(kept) is None


def test_off_keeps_nothing(bundle: Bundle, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(compiled.VARIABLE, compiled.OFF)
    assert compiled.cache_folder() is None
    answer(bundle)
    assert not folder.exists()


def test_a_folder_that_cannot_be_made_stops_nothing(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv(compiled.VARIABLE, str(tmp_path / "file" / "cache"))
    assert answer(bundle).shape[0] == len(bundle.card.outputs)


def test_other_settings_versions_and_networks_have_files_of_their_own(
    bundle: Bundle, folder: Path
) -> None:
    def path(version: str = "1", network: Bundle = bundle, threads: int = 1) -> Path | None:
        openvino = SimpleNamespace(get_version=lambda: version)
        return compiled._path(openvino, network, {"INFERENCE_NUM_THREADS": threads})

    paths = {path(), path("2"), path(threads=2), path(network=load_bundle("infection"))}
    assert len(paths) == 4
    assert path() in paths


def test_only_so_many_are_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "KEPT", 2)
    for number in range(4):
        compiled._write(folder / f"{number}.blob", b"network")
        os.utime(folder / f"{number}.blob", (number, number))
    compiled._write(folder / "new.blob", b"network")
    assert sorted(file.name for file in folder.iterdir()) == ["3.blob", "new.blob"]
