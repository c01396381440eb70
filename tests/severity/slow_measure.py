"""Every number of a severity by plain loops over voxels, written from the papers' tables alone.

It shares no code with the package: the independent answer that tests compare with.
"""

from collections.abc import Callable

import numpy as np

LOBES = {"LUL": 1, "LLL": 2, "RUL": 3, "RML": 4, "RLL": 5}
ORDER = ("RUL", "RML", "RLL", "LUL", "LLL")


def quarters(percent: float) -> int:
    """TSS, LSS, LHOS, MosMed, zones: 0, 1–25, 26–50, 51–75, 76–100 %."""
    if percent < 1:
        return 0
    if percent <= 25:
        return 1
    if percent <= 50:
        return 2
    return 3 if percent <= 75 else 4


def halves(percent: float) -> int:
    """CT-SS: 0 %, below 50 %, 50 % and more."""
    if percent < 1:
        return 0
    return 1 if percent < 50 else 2


def sixths(percent: float) -> int:
    """CTSI: 0, below 5, 5–25, 26–49, 50–75, above 75 %."""
    if percent < 1:
        return 0
    if percent < 5:
        return 1
    if percent <= 25:
        return 2
    if percent < 50:
        return 3
    return 4 if percent <= 75 else 5


def band_of(hu: float) -> str:
    if hu < -900:
        return "over_inflated"
    if hu < -500:
        return "well_aerated"
    if hu < -100:
        return "poorly_aerated"
    return "not_aerated" if hu < 100 else "denser"


class SlowMeasure:
    """Counts by loops. maps: lungs, lesions, lobes, regions, hu (and dense), all (D, H, W)."""

    def __init__(self, maps: dict[str, np.ndarray], voxel_ml: float = 1.0) -> None:
        self.maps, self.voxel_ml = maps, voxel_ml
        self.voxels = [
            {"at": index, **{name: values[index].item() for name, values in maps.items()}}
            for index in np.ndindex(maps["lungs"].shape)
            if maps["lungs"][index] > 0
        ]
        self.infected = [voxel for voxel in self.voxels if voxel["lesions"] in (1, 2)]

    def percent(
        self, among: Callable[[dict], bool], kinds: tuple[int, ...] = (1, 2), dense: bool = False
    ) -> float | None:
        among_voxels = [voxel for voxel in self.voxels if among(voxel)]
        if not among_voxels:
            return None
        hit = [v for v in among_voxels if v["lesions"] in kinds and (not dense or v["dense"])]
        return 100 * len(hit) / len(among_voxels)

    def lungs(self, **more) -> float | None:
        return self.percent(lambda v: True, **more)

    def lung(self, side: int) -> float | None:
        return self.percent(lambda v: v["lungs"] == side)

    def lobe(self, name: str, **more) -> float | None:
        return self.percent(lambda v: v["lobes"] == LOBES[name], **more)

    def region(self, number: int) -> float | None:
        return self.percent(lambda v: v["regions"] == number)

    def zones(self) -> list[float | None]:
        """Right upper, middle, lower, left upper, middle, lower."""
        percents: list[float | None] = []
        for side in (1, 2):
            heights = sorted({v["at"][0] for v in self.voxels if v["lungs"] == side})
            for third in range(3):
                if len(heights) < 3:
                    percents.append(None)
                    continue
                low, high = self.third(heights, third), self.third(heights, third + 1)
                percents.append(
                    self.percent(
                        lambda v, side=side, low=low, high=high: (
                            v["lungs"] == side and low <= v["at"][0] < high
                        )
                    )
                )
        return percents

    @staticmethod
    def third(heights: list[int], number: int) -> int:
        return round(heights[0] + (heights[-1] + 1 - heights[0]) * number / 3)

    @staticmethod
    def total(percents: list[float | None], points: Callable[[float], int]) -> int | None:
        if any(percent is None for percent in percents):
            return None
        return sum(points(percent) for percent in percents if percent is not None)

    def scores(self) -> dict[str, int | None]:
        lobes = [self.lobe(name) for name in ORDER]
        return {
            "ct_ss": self.total([self.region(n) for n in range(1, 21)], halves),
            "tss": self.total(lobes, quarters),
            "lss": self.total(lobes, quarters),
            "lhos": self.total([self.lobe(name, dense=True) for name in ORDER], quarters),
            "ctsi": self.total(lobes, sixths),
            "zones": self.total(self.zones(), quarters),
        }

    def mosmed(self) -> str | None:
        percent = self.lungs()
        return None if percent is None else f"CT-{quarters(percent)}"

    def bands(self) -> dict[str, int]:
        """Voxels in each band."""
        counts = dict.fromkeys(
            ("over_inflated", "well_aerated", "poorly_aerated", "not_aerated", "denser"), 0
        )
        for voxel in self.voxels:
            counts[band_of(voxel["hu"])] += 1
        return counts

    def well_aerated(self, lobe: str) -> float | None:
        of_lobe = [v for v in self.voxels if v["lobes"] == LOBES[lobe]]
        well = [v for v in of_lobe if band_of(v["hu"]) == "well_aerated"]
        return 100 * len(well) / len(of_lobe) if of_lobe else None

    def components(self) -> list[list[dict]]:
        """Flood fill over 26 neighbours, never from one lung to the other."""
        left = {voxel["at"]: voxel for voxel in self.infected}
        components = []
        while left:
            _, first = left.popitem()
            grown, front = [first], [first]
            while front:
                here = front.pop()
                for step in np.ndindex(3, 3, 3):
                    neighbour = tuple(a + b - 1 for a, b in zip(here["at"], step, strict=True))
                    if neighbour in left and left[neighbour]["lungs"] == here["lungs"]:
                        front.append(left.pop(neighbour))
                        grown.append(front[-1])
            components.append(grown)
        return components

    def lesion_sizes(self, speck_ml: float) -> dict[str, object]:
        volumes = [(len(lesion) * self.voxel_ml, lesion) for lesion in self.components()]
        large = sorted(ml for ml, _ in volumes if ml >= speck_ml)
        by_lobe = dict.fromkeys(ORDER, 0)
        for ml, lesion in volumes:
            counts = {name: sum(v["lobes"] == LOBES[name] for v in lesion) for name in ORDER}
            if ml >= speck_ml and any(counts.values()):
                by_lobe[max(ORDER, key=lambda name: counts[name])] += 1
        half = len(large) // 2
        median = None
        if large:
            median = large[half] if len(large) % 2 else (large[half - 1] + large[half]) / 2
        return {
            "count": len(large),
            "largest_ml": max(large, default=None),
            "median_ml": median,
            "by_lobe": by_lobe,
            "specks": len(volumes) - len(large),
            "specks_ml": sum(ml for ml, _ in volumes if ml < speck_ml),
        }

    def share(self, inside: Callable[[dict], bool]) -> tuple[float | None, float | None]:
        """Of the infection and of the lungs."""
        infected = [v for v in self.infected if inside(v)]
        lung = [v for v in self.voxels if inside(v)]
        return (
            100 * len(infected) / len(self.infected) if self.infected else None,
            100 * len(lung) / len(self.voxels) if self.voxels else None,
        )

    def posterior(self) -> tuple[float | None, float | None]:
        middle = {}
        for side in (1, 2):
            rows = [v["at"][1] for v in self.voxels if v["lungs"] == side]
            middle[side] = (min(rows) + max(rows)) / 2 if rows else 0
        return self.share(lambda v: v["at"][1] >= middle[v["lungs"]])

    def lower(self) -> tuple[float | None, float | None]:
        start = {}
        for side in (1, 2):
            heights = sorted({v["at"][0] for v in self.voxels if v["lungs"] == side})
            if heights and len(heights) < 3:
                return None, None
            start[side] = self.third(heights, 2) if heights else 0
        return self.share(lambda v: v["at"][0] >= start[v["lungs"]])
