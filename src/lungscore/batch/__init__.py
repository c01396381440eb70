"""Many scans: one after the other or in several processes, each isolated from the others."""

from lungscore.batch.case import Case
from lungscore.batch.executors import run
from lungscore.batch.one_case import Outcome
from lungscore.batch.settings import AnalyzeSettings

__all__ = ["AnalyzeSettings", "Case", "Outcome", "run"]
