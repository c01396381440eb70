"""What a person reads and keeps: masks, result.json, figures and the report."""

from lungscore.report.outputs import refuse_existing, write_outputs
from lungscore.report.run_record import run_record
from lungscore.report.text import text_table

__all__ = ["refuse_existing", "run_record", "text_table", "write_outputs"]
