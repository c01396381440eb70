"""What is removed: studies whose time is up, and what a killed node left of others."""

import os
import re
import secrets
import shutil
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

from lungscore.batch.leftovers import clear_leftovers
from lungscore.errors import InputError, ResourceError
from lungscore.node.config import NodeConfig
from lungscore.node.intake import Intake
from lungscore.node.journal import Journal
from lungscore.node.names import case_of
from lungscore.node.state import State
from lungscore.node.watch import image_in
from lungscore.node.work import remove_dead

_CASE = re.compile(r"([0-9a-f]{24})(?:-[0-9]{1,9})?")
_TEMPORARY = ".tmp-"
_DAY_S = 86400.0


def purge(config: NodeConfig, state: State, *, days: float, failed_days: float) -> list[str]:
    """Remove the studies that were sent, or failed, so many days ago; which these were."""
    now, removed = time.time(), []
    for ending, kept in (("sent", days), ("failed", failed_days)):
        for study in state.ended(ending, now - kept * _DAY_S):
            aside = config.incoming / f"{_TEMPORARY}{secrets.token_hex(6)}"
            if state.forget(study, ending, partial(_set_aside, config.incoming / study, aside)):
                shutil.rmtree(aside, ignore_errors=True)
                _remove_results(config, study)
                removed.append(study)
    _remove_refused(config, now - failed_days * _DAY_S)
    return removed


def _set_aside(folder: Path, aside: Path) -> None:
    """Move the images of a study aside: new ones of it may arrive from now on."""
    with suppress(FileNotFoundError):
        os.rename(folder, aside)


def expire(config: NodeConfig, state: State, journal: Journal) -> None:
    """Remove what the settings keep no longer."""
    days = config.retention
    for study in purge(config, state, days=days.days, failed_days=days.failed_days):
        journal.say("purged", study=study)


def _remove_results(config: NodeConfig, study: str) -> None:
    """Remove results and dead letters of a study."""
    remove_dead(config, study)
    for name in _names(config.results):
        match = _CASE.fullmatch(name)
        if match and match[1] == study:
            shutil.rmtree(config.results / name, ignore_errors=True)


def _remove_refused(config: NodeConfig, before: float) -> None:
    """Remove the files that were refused before a moment."""
    for name in _names(config.refused):
        with suppress(OSError):
            if (config.refused / name).stat().st_mtime <= before:
                (config.refused / name).unlink()


def adopt(config: NodeConfig, state: State, intake: Intake) -> int:
    """Take the images on the disk that the state does not know; how many.

    Of a killed store; or of all studies, where the state is a new one or an old backup: their
    senders were told that they are safe. Only before the node takes others.
    """
    adopted = 0
    for study in filter(_CASE.fullmatch, _names(config.incoming)):
        known = state.names_of_images(study)
        for path in sorted((config.incoming / study).glob("*.dcm")):
            if path.stem in known or path.name.startswith(_TEMPORARY):
                continue
            try:
                own = intake.take(image_in(path, config.limits.image_mib * 2**20))
            except InputError:  # no image, of which nobody was told anything
                path.unlink()
                continue
            except ResourceError:  # no room: at the next start
                continue
            _remove_results(config, own)  # they may be of fewer images
            if own != study:  # under a new key
                path.unlink()
            adopted += 1
    return adopted


def clear_up(config: NodeConfig, state: State) -> int:
    """Remove what belongs to no study: of killed stores, purges and void analyses; how much.

    Only before the node takes images, and after ``adopt``.
    """
    clear_leftovers(config.results)
    rows = {row.study: row for row in state.studies()}
    removed = 0
    for name in _names(config.results):
        match = _CASE.fullmatch(name)
        row = rows.get(match[1]) if match else None
        if match and (row is None or name != case_of(row.study, row.revision)):
            removed += _remove(config.results / name)
    removed += sum(_remove(config.dead / n) for n in _names(config.dead) if n not in rows)
    for study in _names(config.incoming):
        if study.startswith(_TEMPORARY):  # of a purge
            removed += _remove(config.incoming / study)
            continue
        for name in _names(config.incoming / study):
            if name.startswith(_TEMPORARY):
                removed += _remove(config.incoming / study / name)
        if study not in rows:
            with suppress(OSError):  # images for which there was no room
                (config.incoming / study).rmdir()
    return removed


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _remove(path: Path) -> int:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
    return 1
