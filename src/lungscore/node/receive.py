"""Images over the network: C-ECHO, C-STORE, and the notice that a study is complete."""

import threading
from collections.abc import Callable
from socketserver import BaseServer
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from pynetdicom import AE, evt
from pynetdicom.transport import ThreadedAssociationServer

from lungscore.errors import InputError, LungscoreError, ResourceError
from lungscore.node.config import Listen
from lungscore.node.intake import Image, Intake
from lungscore.node.journal import Journal
from lungscore.node.names import Names
from lungscore.node.state import State
from lungscore.node.tls import server_tls
from lungscore.scan.dicom.elements import text
from lungscore.scan.dicom.header import CT_IMAGE

#: Verification, and instance availability notification.
VERIFICATION, AVAILABILITY = "1.2.840.10008.1.1", "1.2.840.10008.5.1.4.33"

#: All but the deflated one, whose data sets grow without measure.
SYNTAXES = [
    *(ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian),
    *(JPEGLosslessSV1, JPEGLossless, JPEG2000Lossless, JPEG2000, JPEGLSLossless),
    *(JPEGLSNearLossless, JPEGBaseline8Bit, JPEGExtended12Bit, RLELossless),
    *(HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K),
]
SUCCESS = 0x0000
#: Code of a refusal -> status of C-STORE (PS3.4, B.2.3, and PS3.7, annex C); else "processing
#: failure".
STATUSES = {
    "node-full": 0xA700,
    "disk-full": 0xA700,
    "image-refused": 0xC000,
    "image-differs": 0x0111,
}
_FAILURE = 0x0110

#: Bytes of one message on the network, and what we ask senders to keep to.
LONGEST_PDU, ASKED_PDU = 2**20, 2**16


class Receiver:
    """The listening side of a node.

    Raises ResourceError ``address-in-use`` where the port cannot be had.
    """

    def __init__(
        self,
        listen: Listen,
        intake: Intake,
        state: State,
        names: Names,
        journal: Journal,
        *,
        most_bytes: int,
    ) -> None:
        self._intake, self._state, self._names, self._journal = intake, state, names, journal
        self._most_bytes = most_bytes
        entity = AE(ae_title=listen.ae_title)
        entity.require_called_aet = True
        entity.require_calling_aet = list(listen.calling)
        entity.maximum_associations = listen.associations
        entity.maximum_pdu_size = ASKED_PDU
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = listen.idle_s
        entity.add_supported_context(VERIFICATION)
        entity.add_supported_context(AVAILABILITY)
        entity.add_supported_context(CT_IMAGE, SYNTAXES)
        handlers: list[Any] = [
            (evt.EVT_CONN_OPEN, self._bound),
            (evt.EVT_DIMSE_RECV, _next_message),
            (evt.EVT_C_ECHO, lambda event: SUCCESS),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_N_CREATE, self._announced),
            (evt.EVT_REJECTED, self._rejected),
            (evt.EVT_ACCEPTED, self._accepted),
        ]
        try:
            self._server: Any = entity.make_server(
                (listen.address, listen.port),
                evt_handlers=handlers,
                server_class=_Server,
                listen=listen,
                turned_away=self._turned_away,
            )
        except OSError as error:
            raise ResourceError(
                "address-in-use",
                f"Port {listen.port} of {listen.address} cannot be listened at ({error.strerror})",
                hint="Choose another one under 'listen', or stop what uses it",
            ) from error

    def serve(self) -> None:
        """Take images until ``stop``."""
        self._server.serve_forever(poll_interval=0.1)

    def stop(self) -> None:
        """End ``serve`` and close the port."""
        self._server.stop()

    def _bound(self, event: Any) -> None:
        """Bound what one sender may make us hold in memory (``_bounded``), and for how long."""
        connection = event.assoc.dul.socket
        self._server.opened.append((event.assoc, connection.socket))
        connection.recv = _bounded(connection.recv, event.assoc, self._most_bytes, self._journal)

    def _store(self, event: Any) -> int:
        try:
            request = event.request
            head = event.encoded_dataset()
            content = event.encoded_dataset(include_meta=False)
            image = Image(
                str(request.AffectedSOPClassUID),
                str(request.AffectedSOPInstanceUID),
                str(event.context.transfer_syntax),
                head[: len(head) - len(content)],
                content,
            )
            self._intake.take(image)
        except LungscoreError as error:
            self._journal.refuse(error)
            return STATUSES.get(error.code, _FAILURE)
        except Exception as error:  # the sender is told and tries again; the node lives
            self._journal.bug("receive", error)
            return _FAILURE
        return SUCCESS

    def _announced(self, event: Any) -> tuple[int, Dataset | None]:
        """An instance availability notification: a study of which all images are there is due."""
        try:
            notice = event.attribute_list
            study = self._names.study(text(notice, "StudyInstanceUID"))
            images = {
                self._names.image(text(image, "ReferencedSOPInstanceUID"))
                for series in notice.get("ReferencedSeriesSequence") or ()
                for image in series.get("ReferencedSOPSequence") or ()
                if text(image, "ReferencedSOPClassUID") == CT_IMAGE
            }
        except Exception as error:
            self._journal.bug("announcement", error)
            return 0xC000, None
        if self._state.announce(study, images):
            self._journal.say("announced", study=study)
        return SUCCESS, Dataset()

    def _accepted(self, event: Any) -> None:
        """Tell of classes that are not taken, in no transfer syntax that was proposed."""
        taken = {context.abstract_syntax for context in event.assoc.accepted_contexts}
        refused = {context.abstract_syntax for context in event.assoc.rejected_contexts} - taken
        if refused:
            self._journal.count("associations", "sop-class")
            self._journal.say("refused", code="image-refused", sop_classes=len(refused))

    def _rejected(self, event: Any) -> None:
        self._journal.count("associations", "sender-refused")
        self._journal.say(
            "refused", code="sender-refused", address=event.assoc.requestor.address_info.address
        )

    def _turned_away(self, address: str) -> None:
        self._journal.count("associations", "sender-refused")
        self._journal.say("refused", code="sender-refused", address=address)


class _Server(ThreadedAssociationServer):
    """Closes connections from elsewhere unread, and shakes hands (TLS) in their own threads."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        *arguments: Any,
        listen: Listen,
        turned_away: Callable[[str], None],
        **more: Any,
    ) -> None:
        self._listen, self._turned_away = listen, turned_away
        self._serving = False
        self._shaking, self._counting = 0, threading.Lock()
        #: Associations and their sockets, which pynetdicom leaves open where a connection breaks.
        self.opened: list[tuple[Any, Any]] = []
        self._tls = None if listen.tls is None else server_tls(listen.tls)
        super().__init__(*arguments, **more)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        if not self._listen.admits(client_address[0]):
            self._turned_away(client_address[0])
            return False
        connections = len(self.active_associations) + self._shaking
        return connections < 2 * self._listen.associations

    def finish_request(self, request: Any, client_address: Any) -> None:
        request.settimeout(self._listen.idle_s)
        if self._tls is not None:
            with self._counting:
                self._shaking += 1
            try:
                request = self._tls.wrap_socket(request, server_side=True)
            finally:
                with self._counting:
                    self._shaking -= 1
        super().finish_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Of a connection that failed before it was an association: nothing else is known."""
        self._turned_away(client_address[0])

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        self._serving = True
        super().serve_forever(poll_interval)

    def service_actions(self) -> None:
        """Every half second: close the sockets of associations that have ended.

        One of which something was heard, but no request that could be answered, is told of.
        """
        super().service_actions()
        for entry in list(self.opened):
            association, connection = entry
            if association.ident is None or association.is_alive():
                continue
            connection.close()
            self.opened.remove(entry)
            answered = association.is_rejected or association.acceptor.primitive is not None
            if association.heard and not association.told and not answered:
                self._turned_away(association.requestor.address_info.address)

    def stop(self) -> None:
        """End ``serve_forever``, if it was called, and close the port."""
        if self._serving:
            BaseServer.shutdown(self)
        self.server_close()


def _next_message(event: Any) -> None:
    event.assoc.taken_bytes = 0


def _bounded(
    receive: Callable[[int], bytearray], association: Any, most_bytes: int, journal: Journal
) -> Callable[[int], bytearray]:
    """``receive`` that ends the connection where a sender promises or sends too much.

    pynetdicom takes whatever length a PDU states, and collects a data set in memory.
    """
    association.taken_bytes = 0
    association.heard = association.told = False

    def receive_bounded(length: int) -> bytearray:
        association.taken_bytes += length
        if length > LONGEST_PDU or association.taken_bytes > most_bytes:
            if not association.told:
                journal.refuse(InputError("image-refused", "The message is too long"))
            association.told = True
            raise OSError("the message is too long")
        content = receive(length)
        association.heard = association.heard or bool(content)
        return content

    return receive_bounded
