"""rows.yaml: which experiments are the rows of the comparison, and what is asked of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lungscore.errors import InputError, UsageError
from lungscore.yaml_file import read_yaml

ROWS = "rows.yaml"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Row(_Strict):
    """One experiment of the comparison; ``name`` is that of its file.

    seeds: of its own training. folds: "each" holds every fold out once; "all" trains on all
    annotated slices, so that nothing is out of fold. not_run: why it is left out unless asked for.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    group: str
    label: str
    target: Literal["infection", "lesions"] = "infection"
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1)
    folds: Literal["each", "all"] = "each"
    not_run: str | None = None


class Question(_Strict):
    """A paired difference of out-of-fold Dice that was fixed beforehand."""

    row: str
    against: str


class Margin(Question):
    """A question of non-inferiority, with its margin."""

    margin: float = Field(gt=0)


class Reference(_Strict):
    """The rows that all others of a target are compared with."""

    infection: str
    lesions: str


class PublishedLosses(_Strict):
    """A line of the paper's Table I: our rows beside its "test loss" (single, multi)."""

    label: str
    single: str | None = None
    multi: str | None = None
    published: tuple[float, float] | None = None


class Benchmark(_Strict):
    """rows.yaml, whole. Rows stand in the order in which they are run."""

    groups: dict[str, str]
    primary: Question
    second: Margin
    reference: Reference
    rows: tuple[Row, ...] = Field(min_length=1)
    pairs: tuple[Question, ...] = ()
    label_efficiency: dict[int, tuple[str, str]] = {}
    table_1: tuple[PublishedLosses, ...] = ()

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
        for mistake, faulty in (("twice", twice), ("no row", unknown), ("no group", groups)):
            if faulty:
                raise ValueError(f"{mistake}: {', '.join(faulty)}")
        return self

    def _named(self) -> Iterator[str]:
        yield from (self.primary.row, self.primary.against, self.second.row, self.second.against)
        yield from (self.reference.infection, self.reference.lesions)
        for further in self.pairs:
            yield from (further.row, further.against)
        for rows in self.label_efficiency.values():
            yield from rows
        for line in self.table_1:
            yield from (name for name in (line.single, line.multi) if name is not None)


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
