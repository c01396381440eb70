"""The lung network run over a scan."""

from lungscore.anatomy.lung_maps import LungMaps
from lungscore.anatomy.lung_view import LungView
from lungscore.errors import UsageError
from lungscore.inference.bundle import LUNGS_MODEL, Bundle, load_bundle
from lungscore.inference.engines import make_engine
from lungscore.scan import Scan


class LungFinder:
    """The loaded lung network, kept for as many scans as wanted."""

    def __init__(
        self,
        bundle: Bundle | None = None,
        *,
        engine: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        device: str = "auto",
    ) -> None:
        """Without a bundle, the shipped one. Raises ResourceError or UsageError."""
        self.bundle = bundle or load_bundle(LUNGS_MODEL)
        if self.bundle.card.target != "lungs":
            raise UsageError("usage", f"the model {self.bundle.card.name} does not find lungs")
        self._run, self.engine = make_engine(
            self.bundle, name=engine, precision=precision, threads=threads, device=device
        )

    def maps(self, scan: Scan) -> LungMaps:
        """What the network says of every slice of ``scan``."""
        size = self.bundle.card.input.height
        view = LungView.of(scan, size=size)
        inputs = view.inputs(view.pictures(scan))
        answers = self._run((picture,) for picture in inputs)
        return LungMaps.of([answer for answer in answers if answer is not None], view)
