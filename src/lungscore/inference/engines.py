"""Engines: OpenVINO, ONNX Runtime and torch behind one function type.

An engine turns a stream of slices into a stream of probability maps in the same order, so that
it may work on several at once while memory stays bounded. A slice that needs no map is None and
gives None in its place.
"""

import importlib
import importlib.util
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from lungscore.errors import LungscoreError, ResourceError, UsageError
from lungscore.inference.bundle import Bundle, load_bundle
from lungscore.inference.compiled import compile_network
from lungscore.inference.device import CPU, CUDA_ENGINE, FULL, memory_of, usable_device
from lungscore.inference.lesions import EngineUsed
from lungscore.machine import available_threads

if TYPE_CHECKING:
    from torch import Tensor, nn

#: What a network sees of one slice: its inputs in the card's order, each (H, W) or, of several
#: channels, (channels, H, W) float32 in 0…1; the torch engine takes tensors as well.
Inputs = tuple["np.ndarray | Tensor", ...]

#: Slices to probabilities (channels, H, W) float32, the channels as the card's outputs.
Engine = Callable[[Iterable[Inputs | None]], Iterator[np.ndarray | None]]

#: In the order in which "auto" tries them: engine -> the module it needs.
ENGINE_MODULES = {"openvino": "openvino", "onnxruntime": "onnxruntime", "torch": "torch"}

#: Slices that the torch engine shows its network at once, by kind of device: a graphics card needs
#: many to be busy. Of too many for its memory, half.
BATCH = {"cpu": 1, "cuda": 32}


def make_engine(
    bundle: Bundle,
    *,
    name: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    device: str = "auto",
) -> tuple[Engine, EngineUsed]:
    """Load ``bundle`` into an engine.

    name: "auto" or a key of ENGINE_MODULES. precision: "auto" and "f32" compute in float32, so
    that every processor gives the same masks; "bf16" is faster on those that have it and is not
    offered by ONNX Runtime. device: as device.usable_device takes it. Raises engine-missing,
    precision-unsupported, device-unsupported, device-missing or usage.
    """
    threads = threads or available_threads()
    if name not in (*ENGINE_MODULES, "auto"):
        raise UsageError(
            "usage", f"Unknown engine: {name!r}", expected=f"auto or {[*ENGINE_MODULES]}"
        )
    if precision not in ("auto", "f32", "bf16"):
        raise UsageError("usage", f"Unknown precision: {precision!r}", expected="auto, f32 or bf16")
    device = usable_device(device, name)
    if device != CPU:
        name = CUDA_ENGINE
    elif name == "auto":
        installed = [key for key, module in ENGINE_MODULES.items() if _installed(module)]
        name = installed[0] if installed else "openvino"
    if not _installed(ENGINE_MODULES[name]):
        raise ResourceError(
            "engine-missing", f"{name} is not installed", hint=f"pip install {ENGINE_MODULES[name]}"
        )
    precision = "f32" if precision == "auto" else precision
    with _of_the_model(bundle):
        if name == "torch":
            engine = _torch(bundle, precision, threads, device)
        else:
            make = {"openvino": _openvino, "onnxruntime": _onnxruntime}[name]
            engine = make(bundle, precision, threads)
    return _checked(engine, bundle), EngineUsed(name, precision, device)


@contextmanager
def _of_the_model(bundle: Bundle) -> Iterator[None]:
    """Whatever a library says of a graph or weights that it cannot use is the model's damage."""
    try:
        yield
    except (LungscoreError, MemoryError, ModuleNotFoundError):
        raise
    except Exception as error:
        raise ResourceError(
            "model-damaged",
            f"The graph or weights of model {bundle.card.name} cannot be used "
            f"({type(error).__name__})",
            expected="a bundle that lungscore models export wrote",
        ) from error


def _checked(engine: Engine, bundle: Bundle) -> Engine:
    """``engine``, whose maps are probabilities of the card's channels and size, or an error."""
    card = bundle.card
    shape = (len(card.outputs), card.input.height, card.input.width)

    def run(slices: Iterable[Inputs | None]) -> Iterator[np.ndarray | None]:
        maps = engine(slices)
        while True:
            with _of_the_model(bundle):
                probabilities = next(maps, _END)
            if isinstance(probabilities, _End):
                return
            if probabilities is not None and probabilities.shape != shape:
                output = f"maps of {probabilities.shape}"
                raise _no_probabilities(bundle, output, f"{shape}: channels, rows, columns")
            # Rounding in 16 bits may pass the ends a little; NaN is in no range.
            if probabilities is not None and not (
                probabilities.min() >= -_ROUNDING and probabilities.max() <= 1 + _ROUNDING
            ):
                output = f"values from {probabilities.min():.3g} to {probabilities.max():.3g}"
                raise _no_probabilities(bundle, output, "probabilities, 0 to 1")
            yield probabilities

    return run


def _no_probabilities(bundle: Bundle, output: str, expected: str) -> ResourceError:
    return ResourceError(
        "model-damaged", f"The model {bundle.card.name} gives {output}", expected=expected
    )


class _End:
    """What an iterator gives that has ended."""


_END = _End()

#: How far a probability may miss 0…1.
_ROUNDING = 0.01


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _openvino(bundle: Bundle, precision: str, threads: int) -> Engine:
    openvino = _import_openvino_silently()
    settings = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": threads,
        "PERFORMANCE_HINT": "THROUGHPUT",
    }
    # OpenVINO gives the thread that loads its CPU plugin a small stack for signals, where Python's
    # handlers overflow where the processor has matrix registers (AMX): never the main thread.
    with ThreadPoolExecutor(1) as loader:
        compiled = loader.submit(compile_network, openvino, bundle, settings).result()
    # One more than streams: a slice waits ready while the map of another is used.
    requests = [compiled.create_infer_request() for _ in range(threads + 1)]

    def run(slices: Iterable[Inputs | None]) -> Iterator[np.ndarray | None]:
        free, busy = deque(requests), deque[Any]()
        try:
            for inputs in slices:
                if len(busy) == len(requests):
                    yield finish(free, busy)
                request = None
                if inputs is not None:
                    request = free.popleft()
                    request.start_async(dict(enumerate(map(_batch, inputs))))
                busy.append(request)
            while busy:
                yield finish(free, busy)
        finally:
            # Who stops listening early leaves requests running; the next run needs them all.
            for request in busy:
                if request is not None:
                    request.wait()

    def finish(free: deque, busy: deque) -> np.ndarray | None:
        request = busy.popleft()
        if request is None:
            return None
        request.wait()
        probabilities = request.get_output_tensor(0).data[0].copy()
        free.append(request)
        return probabilities

    return run


def _batch(image: Any) -> np.ndarray:
    """(H, W) or (channels, H, W) as a batch (1, channels, H, W) of one picture."""
    whole = np.ascontiguousarray(image)[None]
    return whole[None] if image.ndim == 2 else whole


def _import_openvino_silently() -> Any:
    """Import OpenVINO without its telemetry, which would phone home: we hide that package while
    OpenVINO is imported, and OpenVINO then uses its own silent stand-in."""
    if "openvino" in sys.modules:
        return sys.modules["openvino"]
    hidden = sys.modules.get("openvino_telemetry")
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    try:
        return importlib.import_module("openvino")
    finally:
        if hidden is None:
            del sys.modules["openvino_telemetry"]
        else:
            sys.modules["openvino_telemetry"] = hidden


def _onnxruntime(bundle: Bundle, precision: str, threads: int) -> Engine:
    if precision != "f32":
        raise UsageError(
            "precision-unsupported", f"ONNX Runtime does not support {precision}", expected="f32"
        )
    runtime = importlib.import_module("onnxruntime")
    runtime.disable_telemetry_events()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    session = runtime.InferenceSession(
        str(bundle.graph), options, providers=["CPUExecutionProvider"]
    )
    names = [value.name for value in session.get_inputs()]

    def run(slices: Iterable[Inputs | None]) -> Iterator[np.ndarray | None]:
        for inputs in slices:
            if inputs is None:
                yield None
                continue
            feed = dict(zip(names, map(_batch, inputs), strict=True))
            yield session.run(None, feed)[0][0]

    return run


def _torch(bundle: Bundle, precision: str, threads: int, device: str) -> Engine:
    # Busy waiting between operations makes two busy threads ten times slower than one.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    torch = importlib.import_module("torch")
    if not _installed("safetensors"):
        raise ResourceError(
            "engine-missing", "The torch engine needs safetensors", hint="pip install safetensors"
        )
    network = load_network(bundle).to(
        memory_format=torch.channels_last  # type: ignore[call-overload]
    )
    kind = torch.device(device).type
    if kind == CPU:
        torch.set_num_threads(threads)

    def tensor(array: "np.ndarray | Tensor") -> "Tensor":
        # Copies: resized pictures are read-only, which torch does not take.
        given = torch.from_numpy(np.array(array)) if isinstance(array, np.ndarray) else array
        given = given.to(device, torch.float32)
        return given[None] if given.ndim == 2 else given

    def maps(batch: list[Inputs]) -> np.ndarray:
        """Their probabilities (n, channels, H, W). Raises ResourceError device-memory."""
        with (
            memory_of(device),
            torch.inference_mode(),
            torch.autocast(kind, torch.bfloat16, enabled=precision == "bf16"),
            # cuDNN would else round what it multiplies to the 10 bits of TF32.
            torch.backends.cudnn.flags(enabled=True, allow_tf32=False),
        ):
            network.to(device)  # there already, unless this is the first batch
            stacks = [torch.stack([*map(tensor, arrays)]) for arrays in zip(*batch, strict=True)]
            answers: np.ndarray = network(*stacks).float().cpu().numpy()
        return answers

    def run(slices: Iterable[Inputs | None]) -> Iterator[np.ndarray | None]:
        stream, most = iter(slices), BATCH[kind]
        while group := list(islice(stream, most)):
            shown = [inputs for inputs in group if inputs is not None]
            answers: deque[np.ndarray] = deque()
            while len(answers) < len(shown):
                batch = shown[len(answers) :][:most]
                try:
                    answers.extend(maps(batch))
                    continue
                except ResourceError as error:
                    if error.code != FULL or len(batch) == 1:
                        raise
                # Here nothing holds the tensors of the batch that failed any more.
                most = len(batch) // 2
                if kind != CPU:
                    torch.cuda.empty_cache()
            for inputs in group:
                yield None if inputs is None else answers.popleft()

    return run


def network_in(folder: str) -> "nn.Module":
    """The torch network of the bundle in ``folder``, as a MONAI bundle names it."""
    return load_network(load_bundle(folder))


def load_network(bundle: Bundle) -> "nn.Module":
    """The bundle's torch network in float32, from its inputs to probabilities.

    Raises ResourceError model-damaged where its weights are not those of the network of its card.
    """
    from safetensors.torch import load_file

    from lungscore.networks import (
        InfectionProbability,
        LesionProbabilities,
        LungProbabilities,
        make_network,
    )

    card = bundle.card
    tensors = load_file(bundle.weights)
    tensors = {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}
    try:
        network = make_network(card.network, encoder=card.encoder, base_width=card.base_width)
        left_out = network.load_state_dict(tensors, strict=False)
    except (KeyError, ValueError, RuntimeError) as error:  # no such network, or of another width
        raise _not_the_weights_of(bundle) from error
    # A bundle leaves out only the counters of batch norm, which inference never reads.
    missing = [key for key in left_out.missing_keys if not key.endswith("num_batches_tracked")]
    if missing or left_out.unexpected_keys:
        raise _not_the_weights_of(bundle)
    wraps = {"lesions": LesionProbabilities, "lungs": LungProbabilities}
    return wraps.get(card.target, InfectionProbability)(network).eval()


def _not_the_weights_of(bundle: Bundle) -> ResourceError:
    card = bundle.card
    return ResourceError(
        "model-damaged",
        f"{bundle.weights.name} does not hold the weights of {card.network} with {card.encoder}",
    )
