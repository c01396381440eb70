"""What people look at and decide, beside a node that may be running."""

import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from lungscore.errors import InputError
from lungscore.node.config import NodeConfig, read_config
from lungscore.node.retention import purge
from lungscore.node.state import Row, State
from lungscore.node.tables import FILE


def overview(path: Path) -> tuple[dict[str, int], list[Row]]:
    """Studies by state, and all of them. path: the settings of the node.

    Raises InputError as ``read_config`` does, and ``input-not-found`` where it has never run.
    """
    with closing(_state(read_config(path))) as state:
        return state.counts(), state.studies()


def retry_studies(path: Path, studies: Sequence[str] | None) -> list[str]:
    """Try ``studies`` again, or all that failed; which are tried. Raises as ``overview``."""
    with closing(_state(read_config(path))) as state:
        wanted = studies or [row.study for row in state.studies("failed")]
        return [study for study in wanted if state.retry(study, time.time())]


def purge_studies(path: Path, days: float) -> list[str]:
    """Remove what ended more than ``days`` days ago; which studies. Raises as ``overview``."""
    config = read_config(path)
    with closing(_state(config)) as state:
        return purge(config, state, days=days, failed_days=days)


def _state(config: NodeConfig) -> State:
    file = config.folder / FILE
    if not file.is_file():
        raise InputError(
            "input-not-found", f"No node has run in {config.folder}", expected=f"its {FILE}"
        )
    return State(file)
