"""Encrypted connections, of the listening and of the sending side."""

import ssl

from lungscore.node.config import Tls


def server_tls(settings: Tls) -> ssl.SSLContext:
    """What a listening side encrypts with; senders must show a certificate where there are
    authorities."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    if settings.certificate is not None:
        context.load_cert_chain(settings.certificate, settings.key)
    if settings.authorities is not None:
        context.load_verify_locations(settings.authorities)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_tls(settings: Tls) -> ssl.SSLContext:
    """What a sending side encrypts with."""
    context = ssl.create_default_context(cafile=settings.authorities)
    if settings.certificate is not None:
        context.load_cert_chain(settings.certificate, settings.key)
    return context
