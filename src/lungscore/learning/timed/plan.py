"""Which networks are trained, in which order, and who labels for whom.

A *split* holds something out: one of five folds of the annotated slices, nothing ("all"), or half
of the healthy slices ("cranial" and "caudal" name the half that is kept). Whatever labels a slice
for a network belongs to the same split, so no label ever comes from a network that knew what the
split holds out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

FOLDS = tuple(f"fold{index}" for index in range(5))
SPLITS = (*FOLDS, "all", "cranial", "caudal")
STAGES = ("teachers", "students", "iterated")
#: Nothing builds on it and its steps are fixed: it runs beside the stages.
BESIDE = "today"

Kind = Literal["slim", "today"]


@dataclass(frozen=True)
class Run:
    """One training. arm: what it is, the same in every split. teachers: arms of the same split
    whose mean labels the slices that have no labels; none: no such slices. synthesis: whether dense
    disease is made (timed.dense_disease). kind "today" is the recipe of experiments/infection.yaml.
    """

    stage: str
    arm: str
    split: str
    encoder: str = "efficientnet-lite0"
    teachers: tuple[str, ...] = ()
    synthesis: bool = True
    seed: int = 0
    kind: Kind = "slim"

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.arm}-{self.split}"


def runs(
    stage: str,
    *,
    student: str = "efficientnet-lite0",
    splits: Sequence[str] = SPLITS,
    seeds: int = 1,
) -> list[Run]:
    """The runs of a stage, those that are needed most first.

    student: encoder of the students. seeds: how often students are trained; the arm of a later one
    has its number behind a dot. Teachers label for all of them.
    """
    folds = [split for split in splits if split in FOLDS]
    if stage == "teachers":
        return [
            *(Run(stage, "teacher", split, student) for split in splits),
            *(Run(stage, "teacher-resnet", split, "resnet18", seed=1) for split in splits),
            *(Run(stage, "teacher-plain", split, student, synthesis=False) for split in folds),
        ]
    if stage == "today":
        return [Run(stage, "today", split, "resnet18", kind="today") for split in folds]
    teachers = ("teacher", "teacher-resnet")
    planned: list[Run] = []
    for number in range(seeds):
        after = f".{number}" if number else ""
        if stage == "students":
            seed = 100 + number
            planned += [
                *(
                    Run(stage, f"student{after}", split, student, teachers, seed=seed)
                    for split in splits
                ),
                *(Run(stage, f"alone{after}", split, student, seed=seed) for split in folds),
            ]
        elif stage == "iterated":
            seed, makers = 200 + number, (*teachers, "student")
            planned += [
                Run(stage, f"iterated{after}", split, student, makers, seed=seed)
                for split in splits
            ]
        else:
            raise ValueError(f"stage is one of {STAGES}, not {stage!r}")
    return planned
