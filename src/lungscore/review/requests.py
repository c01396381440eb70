"""What a browser may ask for: one edit, checked field by field."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from lungscore.review.masks import Layer
from lungscore.review.planes import Plane, invalid

#: Slices, rows and columns that no scan has.
MOST = 2**20
#: Hounsfield units that a voxel may have.
HOUNSFIELD = 2**15

Index = Annotated[int, Field(ge=0, lt=MOST)]
Label = Annotated[int, Field(ge=0, le=5)]
Lung = Annotated[int, Field(ge=1, le=2)]
Hounsfield = Annotated[int, Field(ge=-HOUNSFIELD, le=HOUNSFIELD)]
Run = tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=1)]]
At = tuple[Index, Index, Index]
Span = tuple[Index, Index]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Annotated[int, Field(ge=0)]


class Picture(BaseModel):
    """What is drawn in one picture of a plane."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    index: Index
    runs: Annotated[list[Run], Field(max_length=10**6)]


class Paint(_Request):
    """Give drawn voxels a label.

    over: the labels that are replaced; all without. hu: only voxels of these Hounsfield units.
    """

    tool: Literal["brush", "eraser", "lasso"]
    layer: Layer
    plane: Plane
    label: Label
    slices: Annotated[list[Picture], Field(max_length=4096)]
    over: list[Label] | None = None
    inside_lungs: bool = True
    hu: tuple[Hounsfield, Hounsfield] | None = None


class Component(_Request):
    """Give all that is connected with a voxel a label; 0 removes it."""

    tool: Literal["component"]
    layer: Layer
    at: At
    label: Label = 0


class KeepHu(_Request):
    """Remove lesions outside a span of Hounsfield units."""

    tool: Literal["keep_hu"]
    layer: Literal["lesions"] = "lesions"
    low: Hounsfield = -700
    high: Hounsfield = -100
    scope: Literal["slice", "component", "all"]
    index: Index | None = None
    at: At | None = None
    labels: list[Annotated[int, Field(ge=1, le=2)]] = [1, 2]


class Smooth(_Request):
    """Give each voxel what the majority of three neighbouring slices says. lung: only in that."""

    tool: Literal["smooth"]
    layer: Layer
    slices: Span
    lung: Lung | None = None


class Copy(_Request):
    """Put the labels of one slice into another. lung: only into that lung."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    tool: Literal["copy"]
    layer: Layer
    source: Annotated[Index, Field(alias="from")]
    to: Index
    add: bool = False
    lung: Lung | None = None


class FillBetween(_Request):
    """Interpolate the slices between two that are right. lung: only in that lung."""

    tool: Literal["fill_between"]
    layer: Literal["lesions"] = "lesions"
    slices: Span
    lung: Lung | None = None


class Clear(_Request):
    """Remove a layer from a span of slices. label, lung: only that label, only in that lung."""

    tool: Literal["clear"]
    layer: Layer
    slices: Span
    label: Annotated[int, Field(ge=1, le=5)] | None = None
    lung: Lung | None = None


Edit = Paint | Component | KeepHu | Smooth | Copy | FillBetween | Clear

_EDIT: TypeAdapter[Edit] = TypeAdapter(Annotated[Edit, Field(discriminator="tool")])


def parse_edit(content: bytes) -> Edit:
    """The edit that ``content``, JSON, asks for. Raises InputError ``review-invalid``."""
    try:
        return _EDIT.validate_json(content)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(key) for key in problem["loc"]) or "the body"
        raise invalid(f"{where}: {problem['msg']}") from None
