"""Training logs: a plain CSV file, and the same for TensorBoard."""

import csv
import shutil
from io import StringIO
from pathlib import Path

from lungscore.files import atomic_write


def write_csv(path: Path, history: list[dict[str, float]]) -> None:
    """One line an epoch; ``history`` holds the same keys throughout."""
    text = StringIO()
    writer = csv.DictWriter(text, history[0].keys())
    writer.writeheader()
    writer.writerows(history)
    atomic_write(path, text.getvalue())


def write_tensorboard(folder: Path, history: list[dict[str, float]]) -> None:
    """All epochs anew in one event file, so that a resumed run shows one curve, not two."""
    from torch.utils.tensorboard import SummaryWriter

    shutil.rmtree(folder, ignore_errors=True)
    with SummaryWriter(folder) as writer:
        for row in history:
            for name, value in row.items():
                if name != "epoch":
                    writer.add_scalar(name, value, int(row["epoch"]))
