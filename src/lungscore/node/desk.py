"""What people look at and decide, beside a node that may be running."""

import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from lungscore.errors import InputError, ResourceError
from lungscore.node.config import NodeConfig, read_config
from lungscore.node.retention import purge
from lungscore.node.state import Row, State
from lungscore.node.tables import FILE, OWN_USER
from lungscore.node.work import remove_outdated


def overview(path: Path) -> tuple[dict[str, int], list[Row]]:
    """Studies by state, and all of them. path: the settings of the node.

    Raises InputError as ``read_config`` does, and ``input-not-found`` where it has never run;
    ResourceError as ``State``, and ``output-not-writable`` where its folder is another user's.
    """
    with closing(_state(read_config(path))) as state:
        return state.counts(), state.studies()


def retry_studies(path: Path, studies: Sequence[str] | None) -> list[str]:
    """Try ``studies`` again, or all that failed; which are tried. Raises as ``overview``.

    Results that were not sent go to the destinations that the settings name today.
    """
    config = read_config(path)
    names = [destination.name for destination in config.destinations]
    with closing(_state(config)) as state:
        wanted = studies or [row.study for row in state.studies("failed")]
        tried = [study for study in wanted if state.retry(study, names, time.time())]
    for study in tried:
        remove_outdated(config, study)
    return tried


def purge_studies(path: Path, days: float) -> list[str]:
    """Remove what ended more than ``days`` days ago; which studies. Raises as ``overview``."""
    config = read_config(path)
    with closing(_state(config)) as state:
        return purge(config, state, days=days, failed_days=days)


def _state(config: NodeConfig) -> State:
    file = config.folder / FILE
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(
            "input-not-found", f"No node has run in {config.folder}", expected=f"its {FILE}"
        ) from None
    except OSError as error:  # only its own user may look into the folder
        raise ResourceError(
            "output-not-writable",
            f"{FILE} of the node in {config.folder} cannot be opened ({error.strerror})",
            hint=OWN_USER,
        ) from error
    return State(file)
