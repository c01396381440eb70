"""Views cut, windowed and resized in torch, where its networks run: the scan lies there whole.

The same arithmetic as scan.window, which is what the other engines are shown.
"""

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

from lungscore.inference.bundle import InputSpec
from lungscore.inference.device import memory_of
from lungscore.inference.views import View, ViewedScan
from lungscore.scan import Scan
from lungscore.scan.window import inside

if TYPE_CHECKING:
    from torch import Tensor


class DeviceScan(ViewedScan):
    """A scan on ``device`` ("cpu", "cuda:0"), where its views are made and maps come back."""

    def __init__(self, scan: Scan, device: str) -> None:
        """Raises ResourceError device-memory."""
        super().__init__(scan)
        self._torch: Any = importlib.import_module("torch")
        self.device = device
        # Torch takes neither read-only nor reversed arrays; those alone are copied.
        values = np.require(scan.values, requirements=["C", "W"])
        with memory_of(device):
            self._values = self._torch.from_numpy(values).to(device)

    def picture(self, view: View, spec: InputSpec) -> "Tensor":
        """(spec.height, spec.width) float32 grey levels 0…1, on the device."""
        with memory_of(self.device), self._torch.inference_mode():
            lower, upper = spec.window(self.scan.units)
            box = self._box(view).float()
            grey = box.sub_(lower).div_(upper - lower).clamp_(0, 1)
            return self._resized(as_seen(grey, view), spec.height, spec.width)

    def back(self, view: View, probability: np.ndarray) -> np.ndarray:
        """A map of ``view`` in the slice's own pixels, (H, W) float32; 0 outside the box."""
        row0, row1, column0, column1 = view.box
        size = (row1 - row0, column1 - column0)
        with memory_of(self.device), self._torch.inference_mode():
            seen = self._torch.from_numpy(np.require(probability, requirements=["C", "W"]))
            seen = seen.to(self.device)
            upright = seen.flip(1) if view.mirrored else seen
            box = self._resized(upright, *(size[::-1] if view.turned else size))
            box = box.T if view.turned else box
            whole = self._torch.zeros(self.scan.shape[1:], device=self.device)
            in_slice, in_box = inside(view.box, self.scan.shape[1:])
            whole[in_slice] = box[in_box]
            back: np.ndarray = whole.cpu().numpy()
        return back

    def _box(self, view: View) -> "Tensor":
        """The pixels of the box, the slice's smallest value beyond its border; a copy."""
        row0, row1, column0, column1 = view.box
        plane = self._values[view.index]
        in_slice, in_box = inside(view.box, self.scan.shape[1:])
        box = plane.new_empty(row1 - row0, column1 - column0)
        if plane[in_slice].shape != box.shape:
            box.copy_(plane.min())
        box[in_box] = plane[in_slice]
        return box

    def _resized(self, image: "Tensor", height: int, width: int) -> "Tensor":
        """Bilinear resize of a (H, W) float32 image, averaging where it shrinks."""
        if image.shape == (height, width):
            return image
        resized = self._torch.nn.functional.interpolate(
            image[None, None], (height, width), mode="bilinear", align_corners=False, antialias=True
        )
        return resized[0, 0]


def as_seen(box: "Tensor", view: View) -> "Tensor":
    """The pixels of a box as the network sees them, transposed and left for right if need be."""
    upright = box.T if view.turned else box
    return upright.flip(1) if view.mirrored else upright
