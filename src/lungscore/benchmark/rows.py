"""rows.yaml: which experiments are the rows of the comparison, and what is asked of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lungscore.errors import InputError, UsageError
from lungscore.yaml_file import read_yaml

ROWS = "rows.yaml"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Row(_Strict):
    """One experiment of the comparison; ``name`` is that of its file.

    seeds: of its own training. folds: "each" holds every fold out once, a number only the first so
    many; "all" trains on all annotated slices, so that nothing is out of fold. stage: of the plan,
    in whose order rows are run. formerly: the name under which its result may be stored from before
    it was renamed. not_run: why it is left out unless asked for.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    group: str
    label: str
    target: Literal["infection", "lesions"] = "infection"
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1)
    folds: Literal["each", "all"] | Annotated[int, Field(ge=1)] = "each"
    stage: int = Field(default=1, ge=1)
    formerly: str | None = None
    not_run: str | None = None


class Question(_Strict):
    """A paired difference of out-of-fold Dice that was fixed beforehand."""

    row: str
    against: str


class Margin(Question):
    """A question with a margin: of a difference that would matter, or of non-inferiority."""

    margin: float = Field(gt=0)


class Earlier(_Strict):
    """The two questions as an earlier round asked them, before the first had a margin."""

    title: str
    primary: Question
    second: Margin


class Reference(_Strict):
    """The rows that all others of a target are compared with; groups may have their own."""

    infection: str
    lesions: str
    groups: dict[str, str] = {}

    def of(self, row: Row) -> str:
        """The row that ``row`` is compared with."""
        by_target = self.infection if row.target == "infection" else self.lesions
        return self.groups.get(row.group, by_target)


class PublishedLosses(_Strict):
    """A line of the paper's Table I: our rows beside its "test loss" (single, multi).

    single_control, multi_control: the same rows without pre-training, where they have one.
    """

    label: str
    single: str | None = None
    multi: str | None = None
    single_control: str | None = None
    multi_control: str | None = None
    published: tuple[float, float] | None = None


class Claim(_Strict):
    """A claim of the paper about augmentation, as a question about the test loss.

    rows: those that have it. against: the one that does not. less_by: by what share the loss has to
    fall, 0 for at all. published: the losses that the paper prints, of ``rows`` and of ``against``.
    """

    text: str
    rows: tuple[str, ...] = Field(min_length=1)
    against: str
    less_by: float = Field(default=0.0, ge=0, lt=1)
    published: tuple[tuple[float, ...], float]


class Stage(_Strict):
    """A part of the plan: what is run in it, within how many hours."""

    title: str
    hours: float = Field(gt=0)


class Benchmark(_Strict):
    """rows.yaml, whole. Rows stand in the order in which they are run, stage by stage.

    convergence: rows that are the same training with ever more passes. label_efficiency: by
    schedule, annotated slices -> the rows without and with pre-training.
    table_1: by the meaning of cutout.
    """

    groups: dict[str, str]
    stages: dict[int, Stage] = {}
    primary: Margin
    second: Margin
    earlier: Earlier | None = None
    reference: Reference
    rows: tuple[Row, ...] = Field(min_length=1)
    pairs: tuple[Question, ...] = ()
    convergence: tuple[str, ...] = ()
    label_efficiency: dict[str, dict[int, tuple[str, str]]] = {}
    table_1: dict[str, tuple[PublishedLosses, ...]] = {}
    claims: tuple[Claim, ...] = ()

    def row(self, name: str) -> Row:
        """The row of that name. Raises UsageError."""
        for row in self.rows:
            if row.name == name:
                return row
        raise UsageError(
            "usage",
            f"Unknown row: {name!r}",
            expected=", ".join(row.name for row in self.rows),
        )

    def of(self, target: str) -> list[Row]:
        """The rows of a target, group by group."""
        rows = [row for row in self.rows if row.target == target]
        return sorted(rows, key=lambda row: list(self.groups).index(row.group))

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        names = [row.name for row in self.rows]
        twice = sorted({name for name in names if names.count(name) > 1})
        unknown = sorted(set(self._named()) - set(names))
        groups = sorted({row.group for row in self.rows} - set(self.groups))
        stages = sorted({str(row.stage) for row in self.rows} - {str(key) for key in self.stages})
        for mistake, faulty in (
            ("twice", twice),
            ("no row", unknown),
            ("no group", groups),
            ("no stage", stages if self.stages else []),
        ):
            if faulty:
                raise ValueError(f"{mistake}: {', '.join(faulty)}")
        return self

    def _named(self) -> Iterator[str]:
        questions: list[Question] = [self.primary, self.second, *self.pairs]
        if self.earlier is not None:
            questions += [self.earlier.primary, self.earlier.second]
        for question in questions:
            yield from (question.row, question.against)
        yield from (self.reference.infection, self.reference.lesions)
        yield from (*self.reference.groups.values(), *self.convergence)
        for schedule in self.label_efficiency.values():
            for rows in schedule.values():
                yield from rows
        for lines in self.table_1.values():
            for line in lines:
                names = (line.single, line.multi, line.single_control, line.multi_control)
                yield from (name for name in names if name is not None)
        for claim in self.claims:
            yield from (*claim.rows, claim.against)


def load_rows(folder: Path) -> Benchmark:
    """Read FOLDER/rows.yaml. Raises InputError input-not-found or config-invalid."""
    try:
        return Benchmark.model_validate(read_yaml(folder / ROWS))
    except InputError as error:
        if error.code != "input-not-found":
            raise
        raise InputError(
            "input-not-found",
            f"{folder.name} has no {ROWS}",
            hint="Give the folder of the comparison, such as experiments/benchmark",
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(key) for key in first["loc"])
        raise InputError("config-invalid", f"{ROWS}: {where}: {first['msg']}") from error
