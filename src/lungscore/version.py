"""The one place that says which version this is."""

__version__ = "0.1.0"

#: Stands on every report and in ``lungscore --version``.
RESEARCH_USE = "Research use only. Not a medical device."
