"""Encrypted associations, with certificates of both sides."""

import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    """A certificate of this computer that vouches for itself, and its key."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not here")
    paths = str(tmp_path / "certificate.pem"), str(tmp_path / "key.pem")
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = [program, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names]
    subprocess.run([*command, "-out", paths[0], "-keyout", paths[1]], check=True)
    return paths


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
