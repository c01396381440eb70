"""One case under correction: its masks, what was done to them, and what can be taken back."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from lungscore.errors import InputError
from lungscore.review.masks import Change, Layer, Masks
from lungscore.review.planes import invalid
from lungscore.review.requests import Edit
from lungscore.review.settle import settled
from lungscore.review.tools import wish_of

Deed = Literal["edit", "undo", "redo"]


@dataclass(frozen=True)
class Step:
    """What one action changed. outside: voxels asked for where there is no lung."""

    deed: Deed
    tool: str
    changes: tuple[Change, ...]
    outside: int = 0


@dataclass(eq=False)
class Correction:
    """The masks as they are now, the way there, and the way back.

    original: the masks as they were found, which nothing changes. version: grows with every step.
    undone: what can be done again, the next one last. edits: how many edits were made, those taken
    back included.
    """

    original: Masks
    masks: Masks
    version: int = 0
    done: list[Step] = field(default_factory=list)
    undone: list[Step] = field(default_factory=list)
    edits: int = 0
    _changed: dict[Layer, set[int]] = field(default_factory=dict)

    @classmethod
    def begin(cls, original: Masks) -> "Correction":
        """Of masks that nobody has corrected yet."""
        return cls(original, original.copied())

    def planned(self, edit: Edit) -> Step:
        """What ``edit`` asks, for ``take``; without changes there is nothing to take.

        Raises InputError ``review-behind`` where it was meant for another version, and
        ``review-invalid`` where it cannot be done.
        """
        self.check_version(edit.version)
        wish = wish_of(edit, self.masks)
        changes, outside = settled(wish, self.masks)
        self._check_lungs(changes)
        return Step("edit", edit.tool, changes, outside)

    def undoing(self, version: int) -> Step:
        """What takes the last step back, for ``take``. Raises InputError as ``planned``."""
        self.check_version(version)
        if not self.done:
            raise invalid("there is nothing to undo")
        return Step("undo", self.done[-1].tool, _reverted(self.done[-1].changes))

    def redoing(self, version: int) -> Step:
        """The step that was taken back last, for ``take``. Raises InputError as ``planned``."""
        self.check_version(version)
        if not self.undone:
            raise invalid("there is nothing to redo")
        return Step("redo", self.undone[-1].tool, self.undone[-1].changes)

    def take(self, step: Step) -> None:
        """Make the changes of ``step``, which follows from what was done before."""
        layers = self.masks.layers
        for change in step.changes:
            change.apply(layers[change.layer])
        if step.deed == "undo":
            self.undone.append(self.done.pop())
        elif step.deed == "redo":
            self.done.append(self.undone.pop())
        else:
            self.done.append(step)
            self.undone.clear()
            self.edits += 1
        self.version += 1
        self._compare(step.changes)

    def check_version(self, version: int) -> None:
        """Raise InputError ``review-behind`` unless ``version`` is that of the masks."""
        if version != self.version:
            raise InputError(
                "review-behind",
                f"The change was made to version {version} of the masks",
                expected=f"version {self.version}",
                hint="Load the case again",
            )

    def changed_slices(self, layer: Layer | None = None) -> list[int]:
        """The slices in which a layer, or any, differs from the original."""
        if layer is not None:
            return sorted(self._changed.get(layer, set()))
        return sorted(set().union(*self._changed.values()))

    def voxels_changed(self) -> dict[Layer, dict[str, int]]:
        """By layer: voxels added, removed and given another label, compared with the original."""
        sums: dict[Layer, dict[str, int]] = {}
        for layer, labels in self.masks.layers.items():
            counts = dict.fromkeys(("added", "removed", "relabelled"), 0)
            for z in self.changed_slices(layer):
                before, after = self.original.layers[layer][z], labels[z]
                counts["added"] += int(np.count_nonzero((before == 0) & (after > 0)))
                counts["removed"] += int(np.count_nonzero((before > 0) & (after == 0)))
                both = (before > 0) & (after > 0)
                counts["relabelled"] += int(np.count_nonzero(both & (before != after)))
            sums[layer] = counts
        return sums

    def _compare(self, changes: Iterable[Change]) -> None:
        plane = self.masks.lungs[0].size
        for change in changes:
            slices = self._changed.setdefault(change.layer, set())
            before, now = self.original.layers[change.layer], self.masks.layers[change.layer]
            for z in change.slices(plane).tolist():
                (slices.discard if np.array_equal(before[z], now[z]) else slices.add)(z)

    def _check_lungs(self, changes: Iterable[Change]) -> None:
        """Raise InputError ``review-invalid`` where no lung would be left."""
        for change in changes:
            taken = change.tally()["removed"] if change.layer == "lungs" else 0
            if taken and taken == np.count_nonzero(self.masks.lungs):
                raise invalid("no lung would be left", hint="Reject the case instead")


def _reverted(changes: tuple[Change, ...]) -> tuple[Change, ...]:
    return tuple(change.reverted() for change in reversed(changes))
