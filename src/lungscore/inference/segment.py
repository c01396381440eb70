"""Segmentation of a scan: only slices with lung, each in its lung box, one at a time."""

from collections import deque
from collections.abc import Callable, Collection, Generator, Iterator
from dataclasses import replace
from functools import cached_property, partial
from itertools import groupby, islice

import numpy as np

from lungscore.anatomy import Lungs, find_lungs, lung_field, solid_lung
from lungscore.anatomy.lung_maps import LungMaps
from lungscore.background import in_background
from lungscore.errors import Notice, UsageError
from lungscore.inference.bundle import (
    LESIONS_MODEL,
    LUNGS_MODEL,
    OUTPUTS,
    Bundle,
    Target,
    list_bundles,
    load_bundle,
)
from lungscore.inference.density import density_notice, is_dense
from lungscore.inference.device import CPU, CUDA_ENGINE, REPLACED, usable_device
from lungscore.inference.engines import Inputs, make_engine
from lungscore.inference.familiarity import unlike_notice
from lungscore.inference.lesions import Lesions, ModelUsed, SliceFinding
from lungscore.inference.lung_finder import LungFinder
from lungscore.inference.readings import (
    DENSE,
    SILENT,
    THRESHOLD,
    SliceAlternatives,
    code,
    joined,
    of_slice,
)
from lungscore.inference.slice_gaps import filled, longest_gap
from lungscore.inference.solid import solid_notice, with_solid
from lungscore.inference.views import OTHERS, View, ViewedScan, other_views, views
from lungscore.labels import CONSOLIDATION, GGO
from lungscore.scan import Scan
from lungscore.scan.window import resize

#: The channels of GGO and consolidation in what a network for lesions gives.
_GGO, _CONSOLIDATION = (OUTPUTS["lesions"].index(name) for name in ("ggo", "consolidation"))


class Segmenter:
    """The loaded networks, to be kept for many scans.

    Parameters
    ----------
    bundle : Bundle, optional
        The infection network; by default the shipped ones are loaded.
    lesions : Bundle, optional
        The network that separates GGO from consolidation. If ``bundle`` is given without it, a
        density threshold separates them.
    lungs : Bundle, optional
        The network that finds the lungs; by default the shipped one. Without one, rules do.
    engine : {"auto", "openvino", "onnxruntime", "torch"}
        Inference engine.
    precision : {"auto", "f32", "bf16"}
        Numeric precision; f32 gives the same masks on every processor.
    threads : int, optional
        Number of threads; by default all.
    device : {"auto", "cpu", "cuda", "cuda:N"}
        Where the networks run: "auto" is the first graphics card if it works and the engine is
        "auto" or "torch", else the processor.

    Raises
    ------
    ResourceError
        ``model-missing``, ``model-damaged``, ``engine-missing`` or ``device-missing``.
    UsageError
        ``precision-unsupported`` or ``device-unsupported``, or if a model is made for another task.

    Examples
    --------
    >>> from lungscore import Segmenter
    >>> Segmenter(engine="openvino")
    Segmenter(infection, openvino f32)
    """

    def __init__(
        self,
        bundle: Bundle | None = None,
        lesions: Bundle | None = None,
        *,
        lungs: Bundle | None = None,
        engine: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        device: str = "auto",
    ) -> None:
        if bundle is None and lesions is None and LESIONS_MODEL in list_bundles():
            lesions = load_bundle(LESIONS_MODEL)
        self.bundle = bundle or load_bundle()
        self.lesions = lesions
        for network, target in zip(self.bundles, OUTPUTS, strict=False):
            _check_target(network, target)
        device = usable_device(device, engine)
        start = partial(
            make_engine, name=engine, precision=precision, threads=threads, device=device
        )
        self._run, self.engine = start(self.bundle)
        if lesions is not None:
            self._run_lesions, _ = start(lesions)
        self.lung_finder: LungFinder | None = None
        if lungs is not None or LUNGS_MODEL in list_bundles():
            self.lung_finder = LungFinder(
                lungs, engine=engine, precision=precision, threads=threads, device=device
            )
        self._with = partial(
            Segmenter, lungs=lungs, engine=engine, precision=precision, threads=threads
        )
        #: What every result of these networks should say.
        self.notices: tuple[Notice, ...] = ()

    def lung_maps(self, scan: Scan) -> LungMaps | None:
        """What the lung network says of ``scan``; None without one."""
        return None if self.lung_finder is None else self.lung_finder.maps(scan)

    @property
    def lung_models(self) -> tuple[ModelUsed, ...]:
        """The lung network, as the result names it; empty without one."""
        return () if self.lung_finder is None else (self.lung_finder.bundle.used,)

    def __repr__(self) -> str:
        models = ", ".join(bundle.card.name for bundle in self.bundles)
        return f"Segmenter({models}, {self.engine.text})"

    @cached_property
    def on_processor(self) -> "Segmenter":
        """The same networks on the processor, for scans that a graphics card has no memory for."""
        segmenter = self._with(self.bundle, self.lesions, device=CPU)
        text = f"The memory of {self.engine.device} did not suffice: the processor was used"
        segmenter.notices = (Notice(REPLACED, text),)
        return segmenter

    @property
    def bundles(self) -> tuple[Bundle, ...]:
        """The one or two that are used, that for infection first."""
        return (self.bundle,) if self.lesions is None else (self.bundle, self.lesions)

    def find(
        self, scan: Scan, lungs: Lungs | None, field: np.ndarray | None = None
    ) -> Iterator[SliceFinding]:
        """What is found in every slice that is seen, superior to inferior.

        Several views of one slice are averaged. field: anatomy.lung_field of ``lungs``; where it is
        given, short gaps between slices are filled (slice_gaps). In memory are as many slices as
        the engine works on at once and as reach each other.
        """
        leans: dict[int, np.ndarray | None] = {}

        def probabilities() -> Iterator[tuple[int, np.ndarray]]:
            for index, probability, lean in self._maps(self._viewed(scan), lungs):
                leans[index] = lean
                yield index, probability

        for index, probability in _whole(probabilities(), scan, field):
            lean = leans.pop(index)
            if self.lesions is None or lean is None:
                infected, spec = probability >= THRESHOLD, self.bundle.card.input
                dense = is_dense(scan, index, infected, spec)
            else:
                dense = lean > 0
            yield SliceFinding(index, probability, dense)

    def _viewed(self, scan: Scan) -> ViewedScan:
        """``scan`` where the networks run."""
        if self.engine.name != CUDA_ENGINE:
            return ViewedScan(scan)
        from lungscore.inference.device_views import DeviceScan

        return DeviceScan(scan, self.engine.device)

    def _maps(
        self, viewed: ViewedScan, lungs: Lungs | None
    ) -> Iterator[tuple[int, np.ndarray, np.ndarray | None]]:
        """Every slice that is seen with its probability and, where the network for lesions looked,
        P(consolidation) - P(GGO), each averaged over its views."""
        predictions = self._seen(viewed, list(views(viewed.scan, lungs)))
        seen = self._tell_apart(viewed, predictions)
        for index, group in groupby(seen, key=lambda entry: entry[0].index):
            probabilities, leans = [], []
            for view, probability, lean in group:
                probabilities.append(viewed.back(view, probability))
                if lean is not None:
                    leans.append(viewed.back(view, lean))
            lean = np.mean(leans, axis=0) if leans else None
            yield index, np.mean(probabilities, axis=0), lean

    def read_otherwise(
        self,
        scan: Scan,
        lungs: Lungs | None,
        where: Collection[int],
        field: np.ndarray | None = None,
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Slices of ``where`` and their probabilities (OTHERS, H, W) in the groups of other views.

        field: as in ``find``; slices that are not in ``where`` count as free of infection.
        """
        return _whole(self._otherwise(scan, lungs, where), scan, field)

    def _otherwise(
        self, scan: Scan, lungs: Lungs | None, where: Collection[int]
    ) -> Iterator[tuple[int, np.ndarray]]:
        viewed = self._viewed(scan)
        groups = [g for g in other_views(scan, lungs) if g[0].index in where]
        predictions = self._seen(viewed, [view for group in groups for view in group])
        readings: list[np.ndarray] = []
        for group in groups:
            maps = [
                viewed.back(view, probability)
                for view, probability in islice(predictions, len(group))
            ]
            readings.append(np.mean(maps, axis=0))
            if len(readings) == OTHERS:
                yield group[0].index, np.stack(readings)
                readings = []

    def _seen(self, viewed: ViewedScan, seen: list[View]) -> Iterator[tuple[View, np.ndarray]]:
        """``seen`` with their probability of infection, at the size of the network."""
        spec = self.bundle.card.input
        maps = self._run((viewed.picture(view, spec),) for view in seen)
        for view, output in zip(seen, maps, strict=True):
            yield view, output[0]  # type: ignore[index]  # every view was shown

    def _tell_apart(
        self, viewed: ViewedScan, predictions: Iterator[tuple[View, np.ndarray]]
    ) -> Iterator[tuple[View, np.ndarray, np.ndarray | None]]:
        """Add P(consolidation) - P(GGO) of every view, at the size of the network for lesions.

        None where that network did not look, since nothing is infected, or where there is none.
        """
        if self.lesions is None:
            yield from ((view, prior, None) for view, prior in predictions)
            return
        spec = self.lesions.card.input
        shown: deque[tuple[View, np.ndarray]] = deque()

        def inputs() -> Iterator[Inputs | None]:
            for view, prior in predictions:
                shown.append((view, prior))
                if (prior >= THRESHOLD).any():
                    yield viewed.picture(view, spec), resize(prior, spec.height, spec.width)
                else:
                    yield None

        for told in self._run_lesions(inputs()):
            view, prior = shown.popleft()
            yield view, prior, None if told is None else told[_CONSOLIDATION] - told[_GGO]


def _whole(
    slices: Iterator[tuple[int, np.ndarray]], scan: Scan, field: np.ndarray | None
) -> Iterator[tuple[int, np.ndarray]]:
    """``slices`` of ``scan``, their short gaps filled where ``field`` is known."""
    return slices if field is None else filled(slices, field, longest_gap(scan))


def _check_target(bundle: Bundle, target: Target) -> None:
    if bundle.card.target != target:
        raise UsageError(
            "usage",
            f"The model {bundle.card.name} gives probabilities of {', '.join(bundle.card.outputs)}",
            expected=f"one that gives those of {', '.join(OUTPUTS[target])}",
            hint="--model takes models for infection, --lesions-model those for lesions",
        )


def load_segmenter(
    model: str | None = None,
    lesions_model: str | None = None,
    *,
    engine: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    device: str = "auto",
) -> Segmenter:
    """A Segmenter of models by name or folder; None for what Segmenter takes by itself."""
    bundles = [load_bundle(name) if name else None for name in (model, lesions_model)]
    return Segmenter(*bundles, engine=engine, precision=precision, threads=threads, device=device)


def find_lungs_of(scan: Scan, loaded: Callable[[], Segmenter]) -> Lungs:
    """The lungs of ``scan``: the network of the segmenter looks while the rules do.

    loaded: waits for the segmenter. Raises InputError ``no-lungs``.
    """

    def steps() -> Generator[LungMaps | None, None, None]:
        yield loaded().lung_maps(scan)

    with in_background(steps()) as maps:
        return find_lungs(scan, lambda: maps()[0])


def segment(
    scan: Scan, lungs: Lungs, segmenter: Segmenter, *, alternatives: bool = False
) -> Lesions:
    """Infection in ``scan``, divided into GGO and consolidation.

    Only what lies in the lungs or where dense disease may hide lung (anatomy.lung_field) counts.
    In volumes short gaps between infected slices are filled (inference.slice_gaps), and solid lung
    (anatomy.solid_lung) counts as consolidation.
    Where the segmenter has no network for lesions, a threshold of density tells the two apart, and
    the notice ``hu-split`` says so. alternatives: find them too; the labels stay the same.
    """
    field, solid = lung_field(lungs, scan.spacing_mm), solid_lung(lungs, scan)
    lesions, usual = find_lesions(scan, lungs, segmenter, field, solid)
    if not alternatives:
        return lesions
    slices = find_alternatives(scan, lungs, segmenter, field, lesions.labels, usual, solid)
    return replace(lesions, alternatives=joined(slices, lesions.labels[0].size))


def find_lesions(
    scan: Scan,
    lungs: Lungs,
    segmenter: Segmenter,
    field: np.ndarray,
    solid: np.ndarray | None = None,
) -> tuple[Lesions, list[SliceAlternatives]]:
    """What ``segment`` finds, and of the slices that may be infected the codes of this reading.

    field: (D, H, W) bool, anatomy.lung_field of ``lungs``. solid: anatomy.solid_lung.
    """
    labels, usual, unmarked = np.zeros(scan.shape, np.uint8), [], 0
    for finding in segmenter.find(scan, lungs, field):
        plane, inside = labels[finding.index], field[finding.index]
        probability, dense = finding.probability, finding.dense
        if solid is not None:
            unmarked += int(((probability < THRESHOLD) & solid[finding.index]).sum())
            probability = with_solid(probability, solid[finding.index])
            dense = dense | solid[finding.index]
        plane[inside] = classes(probability >= THRESHOLD, dense)[inside]
        if probability[inside].max(initial=0) >= SILENT:
            usual.append(of_slice(finding.index, code(probability, 0) * inside))
    card = segmenter.bundle.card
    by_density = density_notice(scan.units, card.input) if segmenter.lesions is None else None
    of_solid = solid_notice(scan, lungs, unmarked)
    notices = (unlike_notice(scan, lungs, card), of_solid, by_density, *segmenter.notices)
    lesions = Lesions(
        labels,
        models=tuple(bundle.used for bundle in segmenter.bundles),
        engine=segmenter.engine,
        notices=tuple(notice for notice in notices if notice is not None),
        filled_gaps=longest_gap(scan),
    )
    return lesions, usual


def find_alternatives(
    scan: Scan,
    lungs: Lungs,
    segmenter: Segmenter,
    field: np.ndarray,
    labels: np.ndarray,
    usual: list[SliceAlternatives],
    solid: np.ndarray | None = None,
) -> Generator[SliceAlternatives, None, None]:
    """The alternatives of the slices of ``usual``.

    labels, field: what was found, and where it counts. usual: the codes of the reading that counts.
    solid: as in ``find_lesions``.
    GGO and consolidation are as found; around that, density tells them apart, averaged over all
    that any alternative calls infected.
    """
    slices = {alternative.index: alternative for alternative in usual}
    for index, readings in segmenter.read_otherwise(scan, lungs, slices, field):
        codes = slices[index].plane(scan.shape[1:])
        for reading, probability in enumerate(readings, start=1):
            if solid is not None:
                probability = with_solid(probability, solid[index])
            codes |= code(probability, reading) * field[index]
        infected, lesions = codes > 0, labels[index]
        dense = is_dense(scan, index, infected, segmenter.bundle.card.input)
        dense = np.where(lesions > 0, lesions == CONSOLIDATION, dense)
        codes[infected & dense] |= DENSE
        yield of_slice(index, codes)


def classes(infected: np.ndarray, dense: np.ndarray) -> np.ndarray:
    """uint8 labels of two bool arrays: consolidation where infected and dense, GGO where not."""
    labels = np.where(dense, np.uint8(CONSOLIDATION), np.uint8(GGO))
    labels[~infected] = 0
    return labels
