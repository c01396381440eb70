"""Segmentation of a scan: only slices with lung, each in its lung box, one at a time."""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from itertools import groupby

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
    THRESHOLD,
    THRESHOLDS,
    Alternatives,
    joined,
    of_slice,
    thresholds_reached,
)
from lungscore.inference.steadiness import SliceMaps, steadied
from lungscore.inference.views import View, views
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
        that separates them itself. If ``bundle`` is given, does not and is alone, a density
        threshold separates them.
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
        own = bundle is not None
        bundle = bundle or load_bundle()
        _check_target(bundle, *FINDERS)
        missing = lesions is None and not bundle.card.separates_classes
        if not own and missing and LESIONS_MODEL in list_bundles():
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

    def find(
        self, scan: Scan, lungs: Lungs | None, field: np.ndarray | None = None
    ) -> Iterator[SliceFinding]:
        """What is found in every slice that is seen, superior to inferior.

        Several views of one slice are averaged. field: anatomy.lung_field of ``lungs``; where it is
        given, the slices of a volume are also averaged with their neighbours
        (steadiness.steadied). In memory are as many slices as the engine works on at once and as
        reach each other.
        """
        maps = self._maps(scan, lungs)
        if field is not None and scan.spacing_mm is not None:
            maps = steadied(maps, field, scan.spacing_mm[0], nothing_below=THRESHOLDS[0])
        for each in maps:
            if self.by_density:
                infected = each.probability >= THRESHOLD
                dense = is_dense(scan, each.index, infected, self.bundle.card.input)
            elif each.lean is None:
                dense = np.zeros(scan.shape[1:], bool)
            else:
                dense = each.lean > 0
            yield SliceFinding(each.index, each.probability, dense)

    def see(self, scan: Scan, view: View) -> np.ndarray:
        """The probabilities (channels, H, W) of one view, at the size of the network."""
        (maps,) = self.run([(view.of(scan, self.bundle.card.input),)])
        return maps  # type: ignore[return-value]  # the view was shown

    def _maps(self, scan: Scan, lungs: Lungs | None) -> Iterator[SliceMaps]:
        """What the networks say of every slice that is seen, averaged over its views."""
        shape = scan.shape[1:]
        seen = self._tell_apart(scan, self._infection(scan, lungs))
        for index, group in groupby(seen, key=lambda each: each[0].index):
            probabilities, leans = [], []
            for view, probability, lean in group:
                probabilities.append(view.back(probability, shape))
                if lean is not None:
                    leans.append(view.back(lean, shape))
            yield SliceMaps(
                index,
                np.mean(probabilities, axis=0),
                np.mean(leans, axis=0) if leans else None,
            )

    def _infection(self, scan: Scan, lungs: Lungs | None) -> Iterator[tuple[View, np.ndarray]]:
        """Every view with the probabilities (channels, H, W), at the size of the network."""
        seen, spec = list(views(scan, lungs)), self.bundle.card.input
        maps = self.run((view.of(scan, spec),) for view in seen)
        yield from zip(seen, maps, strict=True)  # type: ignore[misc]  # every view was shown

    def _tell_apart(
        self, scan: Scan, found: Iterator[tuple[View, np.ndarray]]
    ) -> Iterator[tuple[View, np.ndarray, np.ndarray | None]]:
        """Every view with its probability of infection, and how much it leans to consolidation.

        The lean is above 0 where consolidation is likelier than GGO, at the size of the network
        that tells the two apart; None where no network does, or nothing is infected.
        """
        if self.lesions is None:
            for view, maps in found:
                told = self.bundle.card.separates_classes and (maps[0] >= THRESHOLDS[0]).any()
                yield view, maps[0], maps[1] - np.float32(0.5) if told else None
            return
        spec = self.lesions.card.input
        shown: deque[tuple[View, np.ndarray]] = deque()

        def inputs() -> Iterator[Inputs | None]:
            for view, (prior, *_) in found:
                shown.append((view, prior))
                if (prior >= THRESHOLD).any():
                    yield view.of(scan, spec), resize(prior, spec.height, spec.width)
                else:
                    yield None

        for told in self._run_lesions(inputs()):
            view, prior = shown.popleft()
            yield view, prior, None if told is None else told[_CONSOLIDATION] - told[_GGO]


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
    bundles = [load_bundle(each) if each else None for each in (model, lesions_model)]
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
    Where the segmenter has no network that does, a threshold of density tells the two apart, and
    the notice ``hu-split`` says so.
    field: that of anatomy.lung_field, where it is known. alternatives: find them too.
    """
    field = lung_field(lungs, scan.spacing_mm) if field is None else field
    labels, others = np.zeros(scan.shape, np.uint8), []
    for finding in segmenter.find(scan, lungs, field):
        plane, inside = labels[finding.index], field[finding.index]
        plane[inside] = classes(finding.probability >= THRESHOLD, finding.dense)[inside]
        if alternatives:
            others.append(_alternatives(scan, finding, segmenter, inside))
    card = segmenter.bundle.card
    by_density = density_notice(scan.units, card.input) if segmenter.by_density else None
    notices = (unlike_notice(scan, lungs, card), by_density)
    return Lesions(
        labels,
        models=tuple(bundle.used for bundle in segmenter.bundles),
        engine=segmenter.engine,
        notices=tuple(notice for notice in notices if notice is not None),
        alternatives=joined(others) if alternatives else None,
    )


def _alternatives(
    scan: Scan, finding: SliceFinding, segmenter: Segmenter, inside: np.ndarray
) -> Alternatives:
    """Those of one slice; inside: bool (H, W), where infection counts.

    GGO and consolidation are as found. Around infection, where only a lower threshold finds any,
    the network separates them too if it is the one that found infection; else density does.
    """
    reached = thresholds_reached(finding.probability) * inside
    dense, card = finding.dense, segmenter.bundle.card
    if reached.any() and not (card.separates_classes and segmenter.lesions is None):
        around = is_dense(scan, finding.index, reached > 0, card.input)
        dense = np.where(finding.probability >= THRESHOLD, dense, around)
    return of_slice(finding.index, reached, dense)


def classes(infected: np.ndarray, dense: np.ndarray) -> np.ndarray:
    """uint8 labels of two bool arrays: consolidation where infected and dense, GGO where not."""
    labels = np.where(dense, np.uint8(CONSOLIDATION), np.uint8(GGO))
    labels[~infected] = 0
    return labels
