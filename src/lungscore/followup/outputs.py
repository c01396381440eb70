"""OUT/<name>/ of a comparison: written whole or not at all."""

from pathlib import Path

from lungscore.files import atomic_write
from lungscore.followup import FollowUp
from lungscore.followup.charts import height_chart, lobe_chart
from lungscore.followup.page import render_comparison
from lungscore.followup.pictures import pairs, side_by_side
from lungscore.report.case_folder import appearing, refuse_existing
from lungscore.report.outputs import png_bytes

#: All files that the folder of a comparison may hold. One with anything else is never replaced.
OUTPUTS = frozenset(
    {
        "comparison.json",
        "report.html",
        *(f"figures/{name}.png" for name in ("side_by_side", "lobes", "infection_by_height")),
    }
)


def write_comparison(follow_up: FollowUp, out_dir: Path, *, overwrite: bool = False) -> Path:
    """Write a comparison into ``out_dir``/<name>/ and return that folder.

    The folder appears when all of it is written; on any failure ``out_dir`` is as it was. Raises
    UsageError ``output-exists``, ResourceError ``disk-full`` or ``output-not-writable``.
    """
    comparison = follow_up.comparison
    folder = refuse_existing(out_dir, comparison.case, overwrite=overwrite, known=OUTPUTS)
    shown = pairs(follow_up)
    charts = {
        "lobes": lobe_chart(comparison),
        "infection_by_height": height_chart(follow_up),
    }
    with appearing(folder, overwrite=overwrite) as staging:
        figures = staging / "figures"
        if shown:
            atomic_write(figures / "side_by_side.png", png_bytes(side_by_side(shown)))
        for name, chart in charts.items():
            if chart is not None:
                atomic_write(figures / f"{name}.png", chart)
        page = render_comparison(follow_up, pairs=shown, charts=charts)
        atomic_write(staging / "report.html", page)
        atomic_write(staging / "comparison.json", comparison.to_json())
    return folder
