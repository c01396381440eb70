"""Segmentation of a scan: only slices with lung, each in its lung box, one at a time."""

from collections import deque
from collections.abc import Callable, Collection, Generator, Iterator
from dataclasses import replace
from itertools import groupby, islice, tee

import numpy as np

from lungscore.anatomy import Lungs, find_lungs, lung_field
from lungscore.anatomy.lung_maps import LungMaps
from lungscore.background import in_background
from lungscore.errors import UsageError
from lungscore.inference.bundle import (
    FINDERS,
    LESIONS_MODEL,
    LUNGS_MODEL,
    OUTPUTS,
    Bundle,
    Target,
    list_bundles,
    load_bundle,
)
from lungscore.inference.density import density_notice, is_dense
from lungscore.inference.engines import Inputs, make_engine
from lungscore.inference.familiarity import unlike_notice
from lungscore.inference.lesions import Lesions, ModelUsed, SliceFinding
from lungscore.inference.lung_finder import LungFinder
from lungscore.inference.readings import (
    DENSE,
    SILENT,
    THRESHOLD,
    UNCALIBRATED,
    Basis,
    SliceAlternatives,
    code,
    joined,
    of_slice,
)
from lungscore.inference.steadiness import SliceMaps, steadied
from lungscore.inference.views import OTHERS, View, other_views, views
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
        The network that separates GGO from consolidation; it takes precedence over a ``bundle``
        that separates them itself. If ``bundle`` is given alone and does not, a density threshold
        separates them.
    lungs : Bundle, optional
        The network that finds the lungs; by default the shipped one. Without one, rules do.
    engine : {"auto", "openvino", "onnxruntime", "torch"}
        Inference engine.
    precision : {"auto", "f32", "bf16"}
        Numeric precision; f32 gives the same masks on every computer.
    threads : int, optional
        Number of threads; by default all.

    Raises
    ------
    ResourceError
        ``model-missing``, ``model-damaged``, ``engine-missing`` or ``precision-unsupported``.
    UsageError
        If a model is made for another task.

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
    ) -> None:
        shipped = bundle is None
        bundle = bundle or load_bundle()
        _check_target(bundle, *FINDERS)
        missing = lesions is None and not bundle.card.separates_classes
        if shipped and missing and LESIONS_MODEL in list_bundles():
            lesions = load_bundle(LESIONS_MODEL)
        if lesions is not None:
            _check_target(lesions, "lesions")
        self.bundle, self.lesions = bundle, lesions
        self.run, self.engine = make_engine(
            self.bundle, name=engine, precision=precision, threads=threads
        )
        if lesions is not None:
            self._run_lesions, _ = make_engine(
                lesions, name=self.engine.name, precision=self.engine.precision, threads=threads
            )
        self.lung_finder: LungFinder | None = None
        if lungs is not None or LUNGS_MODEL in list_bundles():
            self.lung_finder = LungFinder(
                lungs, engine=engine, precision=precision, threads=threads
            )

    def lung_maps(self, scan: Scan) -> LungMaps | None:
        """What the lung network says of ``scan``; None without one."""
        return None if self.lung_finder is None else self.lung_finder.maps(scan)

    @property
    def lung_models(self) -> tuple[ModelUsed, ...]:
        """The lung network, as the result names it; empty without one."""
        return () if self.lung_finder is None else (self.lung_finder.bundle.used,)

    def __repr__(self) -> str:
        models = ", ".join(bundle.card.name for bundle in self.bundles)
        return f"Segmenter({models}, {self.engine.name} {self.engine.precision})"

    @property
    def bundles(self) -> tuple[Bundle, ...]:
        """The one or two that are used, that for infection first."""
        return (self.bundle,) if self.lesions is None else (self.bundle, self.lesions)

    @property
    def by_density(self) -> bool:
        """Whether density separates GGO from consolidation, since no network does."""
        return self.lesions is None and not self.bundle.card.separates_classes

    @property
    def basis(self) -> Basis:
        """What ranges are made of: one reading if the card has thresholds calibrated for it."""
        calibrated = self.bundle.card.range_thresholds
        if calibrated is None:
            return UNCALIBRATED
        low, high = calibrated
        return Basis(1, (low, THRESHOLD, high))

    def find(
        self, scan: Scan, lungs: Lungs | None, field: np.ndarray | None = None
    ) -> Iterator[SliceFinding]:
        """What is found in every slice that is seen, superior to inferior.

        Several views of one slice are averaged. field: anatomy.lung_field of ``lungs``; where it is
        given, the slices of a volume are also averaged with their neighbours
        (steadiness.steadied). In memory are as many slices as the engine works on at once and as
        reach each other.
        """
        for maps in self._steadied(self._maps(scan, lungs), scan, field):
            if self.by_density:
                infected = maps.probability >= THRESHOLD
                dense = is_dense(scan, maps.index, infected, self.bundle.card.input)
            elif maps.lean is None:
                dense = np.zeros(scan.shape[1:], bool)
            else:
                dense = maps.lean > 0
            yield SliceFinding(maps.index, maps.probability, dense)

    def read_otherwise(
        self,
        scan: Scan,
        lungs: Lungs | None,
        where: Collection[int],
        field: np.ndarray | None = None,
    ) -> Iterator[tuple[int, list[np.ndarray]]]:
        """Slices of ``where`` and their probabilities (H, W) in each group of other views.

        field: as in ``find``; of the neighbours that slices are averaged with, those not in
        ``where`` count as free of infection. No map belongs to a slice if one reading is enough.
        """
        if self.basis.readings == 1:
            yield from ((index, []) for index in sorted(where))
            return
        readings = tee(self._otherwise(scan, lungs, where), OTHERS)
        steady = [
            self._steadied(_of_reading(number, slices), scan, field)
            for number, slices in enumerate(readings)
        ]
        for slices in zip(*steady, strict=True):
            if slices[0].index in where:
                yield slices[0].index, [maps.probability for maps in slices]

    def see(self, scan: Scan, view: View) -> np.ndarray:
        """The probabilities (channels, H, W) of one view, at the size of the network."""
        ((_, maps),) = self._seen(scan, [view])
        return maps

    def _steadied(
        self, slices: Iterator[SliceMaps], scan: Scan, field: np.ndarray | None
    ) -> Iterator[SliceMaps]:
        """``slices`` averaged with their neighbours where those of a volume have positions."""
        if field is None or scan.spacing_mm is None:
            return slices
        nothing_below = self.basis.thresholds[0]
        return steadied(slices, field, scan.spacing_mm[0], nothing_below=nothing_below)

    def _maps(self, scan: Scan, lungs: Lungs | None) -> Iterator[SliceMaps]:
        """What the networks say of every slice that is seen, averaged over its views."""
        shape = scan.shape[1:]
        seen = self._tell_apart(scan, self._seen(scan, list(views(scan, lungs))))
        for index, group in groupby(seen, key=lambda entry: entry[0].index):
            probabilities, leans = [], []
            for view, probability, lean in group:
                probabilities.append(view.back(probability, shape))
                if lean is not None:
                    leans.append(view.back(lean, shape))
            lean = np.mean(leans, axis=0) if leans else None
            yield SliceMaps(index, np.mean(probabilities, axis=0), lean)

    def _otherwise(
        self, scan: Scan, lungs: Lungs | None, where: Collection[int]
    ) -> Iterator[tuple[int, list[np.ndarray]]]:
        """Every slice and its probabilities in each group of other views; 0 if not in ``where``."""
        shape = scan.shape[1:]
        groups = list(other_views(scan, lungs))
        shown = [view for group in groups if group[0].index in where for view in group]
        predictions = self._seen(scan, shown)
        for index, views_of_slice in groupby(groups, key=lambda group: group[0].index):
            if index not in where:
                yield index, [np.zeros(shape, np.float32)] * OTHERS
                continue
            readings = []
            for group in views_of_slice:
                seen = islice(predictions, len(group))
                readings.append(np.mean([view.back(maps[0], shape) for view, maps in seen], axis=0))
            yield index, readings

    def _seen(self, scan: Scan, seen: list[View]) -> Iterator[tuple[View, np.ndarray]]:
        """``seen`` with their probabilities (channels, H, W), at the size of the network."""
        spec = self.bundle.card.input
        maps = self.run((view.of(scan, spec),) for view in seen)
        yield from zip(seen, maps, strict=True)  # type: ignore[misc]  # every view was shown

    def _tell_apart(
        self, scan: Scan, predictions: Iterator[tuple[View, np.ndarray]]
    ) -> Iterator[tuple[View, np.ndarray, np.ndarray | None]]:
        """Every view with its probability of infection, and how much it leans to consolidation.

        The lean is above 0 where consolidation is likelier than GGO, at the size of the network
        that tells the two apart; None where no network does, or nothing is infected.
        """
        if self.lesions is None:
            for view, maps in predictions:
                told = self.bundle.card.separates_classes and (maps[0] >= SILENT).any()
                yield view, maps[0], maps[1] - np.float32(0.5) if told else None
            return
        spec = self.lesions.card.input
        shown: deque[tuple[View, np.ndarray]] = deque()

        def inputs() -> Iterator[Inputs | None]:
            for view, (prior, *_) in predictions:
                shown.append((view, prior))
                if (prior >= THRESHOLD).any():
                    yield view.of(scan, spec), resize(prior, spec.height, spec.width)
                else:
                    yield None

        for told in self._run_lesions(inputs()):
            view, prior = shown.popleft()
            yield view, prior, None if told is None else told[_CONSOLIDATION] - told[_GGO]


def _of_reading(number: int, slices: Iterator[tuple[int, list[np.ndarray]]]) -> Iterator[SliceMaps]:
    """One of the readings of ``slices``."""
    for index, readings in slices:
        yield SliceMaps(index, readings[number])


def _check_target(bundle: Bundle, *targets: Target) -> None:
    if bundle.card.target not in targets:
        expected = " or ".join(", ".join(OUTPUTS[target]) for target in targets)
        raise UsageError(
            "usage",
            f"The model {bundle.card.name} gives probabilities of {', '.join(bundle.card.outputs)}",
            expected=f"one that gives those of {expected}",
            hint="--model takes models for infection, --lesions-model those for lesions",
        )


def load_segmenter(
    model: str | None = None,
    lesions_model: str | None = None,
    *,
    engine: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
) -> Segmenter:
    """A Segmenter of models by name or folder; None for what Segmenter takes by itself."""
    bundles = [load_bundle(name) if name else None for name in (model, lesions_model)]
    return Segmenter(*bundles, engine=engine, precision=precision, threads=threads)


def find_lungs_of(scan: Scan, loaded: Callable[[], Segmenter]) -> Lungs:
    """The lungs of ``scan``: the network of the segmenter looks while the rules do.

    loaded: waits for the segmenter. Raises InputError ``no-lungs``.
    """

    def steps() -> Generator[LungMaps | None, None, None]:
        yield loaded().lung_maps(scan)

    with in_background(steps()) as maps:
        return find_lungs(scan, lambda: maps()[0])


def segment(
    scan: Scan,
    lungs: Lungs,
    segmenter: Segmenter,
    *,
    field: np.ndarray | None = None,
    alternatives: bool = False,
) -> Lesions:
    """Infection in ``scan``, divided into GGO and consolidation.

    Only what lies in the lungs or where dense disease may hide lung (anatomy.lung_field) counts.
    Where no network of the segmenter separates the two, a threshold of density does, and the notice
    ``hu-split`` says so.
    field: that of anatomy.lung_field, where it is known. alternatives: find them too; the labels
    stay the same.
    """
    field = lung_field(lungs, scan.spacing_mm) if field is None else field
    lesions, usual = find_lesions(scan, lungs, segmenter, field)
    if not alternatives:
        return lesions
    slices = find_alternatives(scan, lungs, segmenter, field, lesions.labels, usual)
    basis = segmenter.basis
    return replace(lesions, alternatives=joined(slices, lesions.labels[0].size, basis))


def find_lesions(
    scan: Scan, lungs: Lungs, segmenter: Segmenter, field: np.ndarray
) -> tuple[Lesions, list[SliceAlternatives]]:
    """What ``segment`` finds, and of the slices that may be infected the codes of this reading.

    field: (D, H, W) bool, anatomy.lung_field of ``lungs``.
    """
    labels, usual = np.zeros(scan.shape, np.uint8), []
    thresholds = segmenter.basis.thresholds
    silent = min(SILENT, thresholds[0])
    for finding in segmenter.find(scan, lungs, field):
        plane, inside = labels[finding.index], field[finding.index]
        plane[inside] = classes(finding.probability >= THRESHOLD, finding.dense)[inside]
        if finding.probability[inside].max(initial=0) >= silent:
            codes = code(finding.probability, 0, thresholds) * inside
            usual.append(of_slice(finding.index, codes))
    card = segmenter.bundle.card
    by_density = density_notice(scan.units, card.input) if segmenter.by_density else None
    notices = (unlike_notice(scan, lungs, card), by_density)
    lesions = Lesions(
        labels,
        models=tuple(bundle.used for bundle in segmenter.bundles),
        engine=segmenter.engine,
        notices=tuple(notice for notice in notices if notice is not None),
    )
    return lesions, usual


def find_alternatives(
    scan: Scan,
    lungs: Lungs,
    segmenter: Segmenter,
    field: np.ndarray,
    labels: np.ndarray,
    usual: list[SliceAlternatives],
) -> Generator[SliceAlternatives, None, None]:
    """The alternatives of the slices of ``usual``.

    labels, field: what was found, and where it counts. usual: the codes of the reading that counts.
    GGO and consolidation are as found; around that, density tells them apart, averaged over all
    that any alternative calls infected.
    """
    slices = {alternative.index: alternative for alternative in usual}
    thresholds = segmenter.basis.thresholds
    for index, readings in segmenter.read_otherwise(scan, lungs, slices, field):
        codes = slices[index].plane(scan.shape[1:])
        for reading, probability in enumerate(readings, start=1):
            codes |= code(probability, reading, thresholds) * field[index]
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
