"""A small made-up case, complete with everything a report shows."""

import numpy as np

from lungscore.anatomy import outer_third, separate_lesions
from lungscore.anatomy.lungs import Lungs
from lungscore.errors import Notice
from lungscore.inference.lesions import EngineUsed, Lesions, ModelUsed
from lungscore.inference.readings import DENSE, Alternatives
from lungscore.labels import REGIONS
from lungscore.result import Analysis
from lungscore.scan.scan import Geometry, Scan
from lungscore.severity import Segmentation, measure

DEPTH, HEIGHT, WIDTH = 12, 40, 60
MODEL = ModelUsed("infnet-resnet18", "1.0", "ab" * 32, "COVID-SemiSeg: research, non-commercial")


def analysis_of_boxes(
    *,
    name: str = "case",
    depth: int = DEPTH,
    units: str = "hu",
    spacing: bool = True,
    sides: bool = True,
    codes: tuple[str, ...] = ("hu-split", "approximate-regions"),
    infected: bool = True,
    affine: np.ndarray | None = None,
    masks_only: bool = False,
    ranges: bool = False,
) -> Analysis:
    """An Analysis of two box-shaped lungs with some infection in the left one."""
    shape = (depth, HEIGHT, WIDTH)
    lungs = np.zeros(shape, dtype=np.uint8)
    lungs[:, 5:35, 5:25], lungs[:, 5:35, 35:55] = 1, 2
    lesions = np.zeros(shape, dtype=np.uint8)
    if infected:
        lesions[depth // 2 :, 20:30, 40:50] = 1
        lesions[depth // 2 :, 23:26, 43:46] = 2
    values = np.where(lungs > 0, -850, 40).astype(np.int16)
    values[lesions == 1], values[lesions == 2] = -500, 0
    if units == "grey":
        values = np.clip((values + 1350) / 6, 0, 255).astype(np.uint8)
    # Source order x, y, z with x to the left and z to the feet reversed, 0.9 litres of lung and up.
    if affine is None:
        affine = np.diag([-5.0, -5.0, 10.0, 1.0])
    geometry = Geometry((WIDTH, HEIGHT, depth), affine)
    scan = Scan(
        values,
        "grey" if units == "grey" else "hu",
        geometry,
        geometry.spacing_mm if spacing else None,
        sides,
        "slices" if units == "grey" else "dicom",
        name,
        series_uid=None if units == "grey" else "1.2.840.1",
    )
    lobes = regions = None
    if sides and depth > 1:
        lobes, regions = _lobes_and_regions(lungs)
    noted = [*codes, *(["no-ct"] if masks_only else [])]
    has_hu = units == "hu" and not masks_only
    alternatives = _alternatives(lesions, lungs) if ranges else None
    severity = measure(
        Segmentation(
            lungs if sides else (lungs > 0).astype(np.uint8),
            lesions,
            lobes=lobes,
            regions=regions,
            dense=values >= -200 if has_hu else None,
            hu=values if has_hu else None,
            components=separate_lesions(lungs, lesions, lobes),
            peripheral=outer_third(lungs, scan.spacing_mm) if scan.spacing_mm else None,
            voxel_ml=scan.voxel_ml,
            sides_known=sides,
            notice_codes=noted,
            alternatives=alternatives,
        )
    )
    notices = (*(Notice(code, f"About {code}.") for code in noted), *severity.notices)
    return Analysis(
        scan,
        Lungs(lungs if sides else (lungs > 0).astype(np.uint8), sides),
        Lesions(
            lesions,
            () if masks_only else (MODEL,),
            None if masks_only else EngineUsed("openvino", "f32"),
            alternatives=alternatives,
        ),
        lobes,
        regions,
        severity,
        notices,
        {"read": 0.25, "segment": 1.5},
    )


def _alternatives(lesions: np.ndarray, lungs: np.ndarray) -> Alternatives:
    """The lesions; without their first column; and with one more, and one voxel on the right."""
    columns = np.flatnonzero((lesions > 0).any(axis=(0, 1)))
    reached = np.where(lesions > 0, 3, 0).astype(np.uint8)
    if len(columns):
        reached[:, :, columns[0]] = np.minimum(reached[:, :, columns[0]], 2)
        reached[:, :, columns[-1] + 1][reached[:, :, columns[-1]] > 0] = 1
        reached[-1, 10, 10] = 1
    codes = np.where(lesions == 2, np.uint8(DENSE), np.uint8(0)) | reached * np.uint8(0b010101)
    voxels = np.flatnonzero(reached)
    return Alternatives(voxels.astype(np.int32), codes.ravel()[voxels])


def _lobes_and_regions(lungs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lobes as slabs of slices, regions as rows within them."""
    depth, height, _ = lungs.shape
    z, y = np.arange(depth) / depth, np.arange(height) / height
    right = np.select([z < 1 / 3, z < 2 / 3], [3, 4], 5)
    left = np.where(z < 0.5, 1, 2)
    lobes = np.where(lungs == 1, right[:, None, None], left[:, None, None]) * (lungs > 0)
    regions = np.zeros_like(lungs)
    for value, code in ((1, "LUL"), (2, "LLL"), (3, "RUL"), (4, "RML"), (5, "RLL")):
        numbers = [number for number, (_, lobe) in enumerate(REGIONS, start=1) if lobe == code]
        row = np.clip((y - 0.125) / 0.75 * len(numbers), 0, len(numbers) - 1).astype(int)
        of_row = np.array(numbers, dtype=np.uint8)[row]
        regions = np.where(lobes == value, of_row[None, :, None], regions)
    return lobes.astype(np.uint8), regions.astype(np.uint8)
