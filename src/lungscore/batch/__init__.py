"""Many scans: one after the other or in several processes, each isolated from the others."""

from lungscore.batch.case import Case
from lungscore.batch.executors import run
from lungscore.batch.one_case import Options, Outcome

__all__ = ["Case", "Options", "Outcome", "run"]
