"""Encrypted associations, with certificates of both sides, to the node and from it."""

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from node_parties import Archive
from tests.node.test_send import finished, senders


def make_certificate(folder: Path) -> tuple[str, str]:
    """A certificate of this computer that vouches for itself, and its key."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not here")
    folder.mkdir()
    paths = str(folder / "certificate.pem"), str(folder / "key.pem")
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = [program, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names]
    subprocess.run([*command, "-out", paths[0], "-keyout", paths[1]], check=True)
    return paths


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    return make_certificate(tmp_path / "own")


def test_images_come_encrypted_from_those_who_show_a_certificate(
    listening: Any, images: list[Dataset], certificate: tuple[str, str]
) -> None:
    own, key = certificate
    parts, sender = listening(tls={"certificate": own, "key": key, "authorities": own})
    context = ssl.create_default_context(cafile=own)
    context.load_cert_chain(own, key)
    assert sender.send(images, tls_args=(context, "127.0.0.1")) == [0, 0, 0]
    assert sender.send(images) == [None] * 3  # plainly
    nobody = ssl.create_default_context(cafile=own)
    assert sender.send(images, tls_args=(nobody, "127.0.0.1")) == [None] * 3
    assert parts.state.studies()[0].images == 3
    assert sender.send(images, tls_args=(context, "127.0.0.1")) == [0, 0, 0]


@pytest.fixture
def archive(tmp_path: Path, certificate: tuple[str, str]) -> Iterator[Archive]:
    """An archive that takes encrypted associations only, from those whom it knows."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificate[0])
    context.load_cert_chain(*certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    with Archive(tmp_path / "archive", tls=context).running() as running:
        yield running


def test_results_go_encrypted_to_an_archive_that_asks_for_a_certificate(
    make_parts: Any, archive: Archive, certificate: tuple[str, str]
) -> None:
    own, key = certificate
    tls = {"certificate": own, "key": key, "authorities": own}
    parts = make_parts(destinations=[archive.as_destination() | {"tls": tls}])
    uids = finished(parts)
    (sender,) = senders(parts)
    sender.all_due()
    assert archive.stores == dict.fromkeys(uids, 1)
    assert parts.state.counts()["sent"] == 1


@pytest.mark.parametrize("fault", ["plain", "nobody", "stranger", "impostor", "unreadable"])
def test_an_archive_that_the_two_sides_do_not_trust_gets_nothing(
    make_parts: Any, archive: Archive, certificate: tuple[str, str], tmp_path: Path, fault: str
) -> None:
    own, key = certificate
    other, other_key = make_certificate(tmp_path / "other")
    (tmp_path / "empty.pem").write_text("")
    tls = {
        "plain": None,
        "nobody": {"authorities": own},  # the archive asks for a certificate
        "stranger": {"certificate": other, "key": other_key, "authorities": own},
        "impostor": {"certificate": own, "key": key, "authorities": other},  # it is another one
        "unreadable": {"authorities": str(tmp_path / "empty.pem")},
    }[fault]
    parts = make_parts(destinations=[archive.as_destination() | {"tls": tls}])
    finished(parts)
    (sender,) = senders(parts)
    sender.all_due()
    assert not archive.stores
    assert parts.codes == ["archive-failed"]
    assert parts.state.counts()["done"] == 1
