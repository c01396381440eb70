"""What the networks of finished runs, or a bundle, find in slices that they did not learn from."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError
from torch import nn

from lungscore.datasets.records import Group
from lungscore.datasets.sample import Sample
from lungscore.errors import InputError
from lungscore.evaluation.own_labels import LabelledMap
from lungscore.inference import engines
from lungscore.inference.bundle import Bundle, InputSpec, sha256
from lungscore.learning.checkpoints import read_facts
from lungscore.learning.config import ExperimentConfig, InputConfig
from lungscore.learning.labelled_slices import manifest_sums, slices_of_manifests
from lungscore.learning.loop import WEIGHTS
from lungscore.learning.maps import load_network, predict, predict_with
from lungscore.learning.selection import held_out_slices


class FoldRun(NamedTuple):
    """A finished run and what its weights say: the experiment and the facts beside it."""

    folder: Path
    config: ExperimentConfig
    facts: dict[str, Any]

    def network(self) -> nn.Module:
        """Its network, giving probabilities."""
        return load_network(self.folder, self.config)

    @property
    def identity(self) -> dict[str, str]:
        """For a result file."""
        return {"run": self.folder.name, "weights_sha256": sha256(self.folder / WEIGHTS)}


def read_run(folder: Path) -> FoldRun:
    """The finished run in ``folder``. Raises run-missing or checkpoint-mismatch."""
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise InputError(
            "run-missing",
            f"{folder.name} contains no {WEIGHTS}",
            hint="Finish the training first; --resume continues it",
        )
    facts = read_facts(weights)
    try:
        return FoldRun(folder, ExperimentConfig.model_validate(facts.get("config")), facts)
    except ValidationError as error:
        raise InputError(
            "checkpoint-mismatch", f"{weights.name} does not say which experiment made it"
        ) from error


def fold_runs(runs: Path, *, seed: int | None = None) -> list[FoldRun]:
    """The finished runs of every fold of one experiment, below ``runs``, in order.

    seed: which, where there are runs of several. Raises run-missing, which names the first fold
    that is not there, and checkpoint-mismatch where the runs are not of one experiment.
    """
    folders = [path for path in sorted(runs.glob("fold*-seed*")) if (path / WEIGHTS).is_file()]
    seeds = sorted({int(re.sub(r".*-seed", "", path.name)) for path in folders if _named(path)})
    wanted = seeds[0] if seed is None and len(seeds) == 1 else seed
    if wanted is None:
        raise InputError(
            "run-missing",
            f"{runs.name} contains runs of the seeds {', '.join(map(str, seeds))}"
            if seeds
            else f"{runs.name} contains no finished run of a fold",
            expected="a run for every fold",
            hint="Choose one with --seed" if seeds else "lungscore train EXPERIMENT --folds 5",
        )
    first = read_run(next(path for path in folders if path.name.endswith(f"-seed{wanted}")))
    count = first.config.data.folds
    read = [read_run(runs / f"fold{fold}-seed{wanted}") for fold in range(count)]
    for fold, run in enumerate(read):
        if run.config != read[0].config.at(fold=fold) or _data(run) != _data(read[0]):
            raise InputError(
                "checkpoint-mismatch",
                f"{run.folder.name} and {read[0].folder.name} are not folds of one experiment",
                expected="the same experiment with the same data",
                hint="Train all folds anew in another folder",
            )
    return read


def _named(path: Path) -> bool:
    return re.fullmatch(r"fold\d+-seed\d+", path.name) is not None


def _data(run: FoldRun) -> Any:
    return run.facts.get("manifests")


def maps_out_of_fold(runs: list[FoldRun], reference: Bundle, root: Path) -> Iterator[LabelledMap]:
    """Every annotated slice, by the run that held it out and by ``reference``.

    Raises config-invalid for another target than infection, checkpoint-mismatch where a manifest is
    not the one that was trained with.
    """
    for run in runs:
        if run.config.target != "infection":
            raise InputError(
                "config-invalid",
                f"{run.config.name} has the target {run.config.target}",
                expected="infection",
            )
        if (_data(run) or {}) != manifest_sums(run.config, root):
            raise InputError(
                "checkpoint-mismatch",
                f"{run.folder.name} was trained with other manifests than there are now",
                expected="the same manifests, as its folds are made of their patients",
                hint="Train again, or put the earlier manifests back",
            )
        samples = held_out_slices(run.config, root)
        probabilities = predict(run.network(), samples, run.config)
        yield from _compared(samples, probabilities, reference)


def maps_of_bundle(
    model: Bundle, reference: Bundle, manifest: Path, group: Group
) -> Iterator[LabelledMap]:
    """Every slice of a group of a manifest of one's own labels, by two bundles for infection."""
    network = engines.load_network(model)
    return maps_of_network(network, model.card.input, reference, manifest, group)


def maps_of_network(
    network: nn.Module,
    spec: InputConfig | InputSpec,
    reference: Bundle,
    manifest: Path,
    group: Group,
) -> Iterator[LabelledMap]:
    """The same by a network that gives probabilities for slices of the input ``spec``."""
    samples = slices_of_manifests({manifest.stem: manifest}, group)
    yield from _compared(samples, predict_with(network, samples, spec), reference)


def _compared(
    samples: list[Sample], probabilities: Iterator[Any], reference: Bundle
) -> Iterator[LabelledMap]:
    before = predict_with(engines.load_network(reference), samples, reference.card.input)
    for sample, ours, theirs in zip(samples, probabilities, before, strict=True):
        patient = sample.patient or f"{sample.source}/{sample.name}"
        yield LabelledMap(sample.name, patient, sample.infection, ours[0], theirs[0])
