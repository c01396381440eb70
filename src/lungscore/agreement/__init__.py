"""The agreement of raters as people read and keep it."""

from lungscore.agreement.outputs import refuse_existing_agreement, write_agreement
from lungscore.agreement.text import text_table

__all__ = ["refuse_existing_agreement", "text_table", "write_agreement"]
