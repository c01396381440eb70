"""Where the time goes inside a running program: functions that are timed wherever they are used."""

import importlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

#: The walk's parts, "module:function" or "module:Class.method" -> what the reader calls it. Each is
#: listed under those that are at work around it, so other readings have a network of their own.
PARTS = {
    "lungscore.scan.read:read_inventory": "read",
    "lungscore.scan.dicom.read:read_groups": "DICOM headers",
    "lungscore.scan.dicom.decode:read_images": "decode DICOM",
    "lungscore.scan.volume_files:read_volume": "decode NIfTI",
    "lungscore.anatomy.lungs:find_lungs": "find lungs",
    "lungscore.inference.segment:load_segmenter": "load model",
    "lungscore.inference.bundle:load_bundle": "read and verify",
    "lungscore.inference.engines:make_engine": "start engine",
    "lungscore.inference.segment:find_lesions": "lesions",
    "lungscore.inference.segment:find_alternatives": "other readings",
    "lungscore.inference.views:View.of": "show slices",
    "lungscore.inference.views:View.back": "maps to slices",
    "lungscore.anatomy.hidden:lung_field": "lung field",
    "lungscore.inference.density:is_dense": "density",
    "lungscore.inference.readings:code": "codes of alternatives",
    "lungscore.inference.readings:of_slice": "store alternatives",
    "lungscore.inference.familiarity:unlike_notice": "looks",
    "lungscore.anatomy.hidden:include_infection": "infection into lungs",
    "lungscore.anatomy.solid:solid_lung": "solid lung",
    "lungscore.anatomy.lobes:divide_lungs": "lobes",
    "lungscore.anatomy.moved_lobes:move_lobes": "lobes under moved borders",
    "lungscore.anatomy.regions:divide_regions": "regions",
    "lungscore.anatomy.periphery:outer_third": "outer third",
    "lungscore.anatomy.components:separate_lesions": "separate lesions",
    "lungscore.severity.measure:measure": "scores",
    "lungscore.severity.moved:tallies_of_moves": "counts under moved borders",
    "lungscore.report.outputs:write_outputs": "write",
    "lungscore.scan.write:nifti_bytes": "masks",
    "lungscore.report.pictures:slice_pictures": "pictures of slices",
    "lungscore.report.pictures:overview_pictures": "overview pictures",
    "lungscore.report.outputs:png_bytes": "PNG files",
    "lungscore.report.curve:infection_curve": "curve",
    "lungscore.report.page:render_page": "page",
}
#: It returns what runs the network, which is timed under this name.
ENGINE, NETWORK = "lungscore.inference.engines:make_engine", "network"
#: Under this stands what another thread does meanwhile.
BESIDE = "beside"


class PartClock:
    """Seconds by part, and of them those that no part inside it took."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, ...], list[float]] = {}
        self._main, self._local = threading.current_thread(), threading.local()
        self._lock = threading.Lock()

    @contextmanager
    def part(self, name: str, *, call: bool = True) -> Iterator[None]:
        """Add what happens inside to part ``name`` of the part around it."""
        stack: list[list[Any]] = self._local.__dict__.setdefault("stack", [])
        beside = () if threading.current_thread() is self._main else (BESIDE,)
        path = (*(stack[-1][0] if stack else beside), name)
        stack.append([path, 0.0])
        began = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - began
            _, inside = stack.pop()
            if stack:
                stack[-1][1] += seconds
            with self._lock:
                entry = self._found.setdefault(path, [0.0, 0.0, 0])
                for place, value in enumerate((seconds, seconds - inside, int(call))):
                    entry[place] += value

    def timed(self, name: str, function: Callable) -> Callable:
        """``function`` as part ``name``; where it gives an iterator, every step of it too."""

        @wraps(function)
        def run(*arguments: Any, **keywords: Any) -> Any:
            with self.part(name):
                result = function(*arguments, **keywords)
            return self._steps(name, result) if isinstance(result, Iterator) else result

        return run

    def _steps(self, name: str, iterator: Iterator) -> Iterator:
        try:
            while True:
                with self.part(name, call=False):
                    try:
                        item = next(iterator)
                    except StopIteration:
                        return
                yield item
        finally:
            if hasattr(iterator, "close"):
                iterator.close()

    def rows(self) -> list[dict[str, Any]]:
        """The parts in the order in which they ended first, each below the one around it."""
        order = {path: place for place, path in enumerate(self._found)}

        def place(path: tuple[str, ...]) -> list[int]:
            above = [path[: depth + 1] for depth in range(len(path))]
            return [order.get(each, len(order)) for each in above]

        return [
            {
                "path": list(path),
                "seconds": round(self._found[path][0], 4),
                "own_seconds": round(self._found[path][1], 4),
                "calls": self._found[path][2],
            }
            for path in sorted(self._found, key=place)
        ]


def time_parts(clock: PartClock) -> None:
    """Time PARTS and the network in this process from now on, in every module that uses them."""
    functions = {place: find(place) for place in PARTS}  # all are imported before one is replaced
    for place, function in functions.items():
        timed = clock.timed(PARTS[place], function)
        if place == ENGINE:
            timed = _with_timed_engine(clock, timed)
        module, _, name = place.partition(":")
        if "." in name:
            owner, _, method = name.partition(".")
            setattr(getattr(sys.modules[module], owner), method, timed)
        else:
            _replace(function, timed)


def find(place: str) -> Callable:
    """What ``place`` of PARTS names. Raises AttributeError or ImportError where it is not there."""
    module, _, name = place.partition(":")
    found: Any = importlib.import_module(module)
    for each in name.split("."):
        found = getattr(found, each)
    return found


def _replace(function: Callable, timed: Callable) -> None:
    """Every module of lungscore that imported ``function`` by its name now calls ``timed``."""
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] == "lungscore":
            for key, value in list(vars(module).items()):
                if value is function:
                    setattr(module, key, timed)


def _with_timed_engine(clock: PartClock, make_engine: Callable) -> Callable:
    @wraps(make_engine)
    def make(*arguments: Any, **keywords: Any) -> Any:
        run, used = make_engine(*arguments, **keywords)
        return clock.timed(NETWORK, run), used

    return make
