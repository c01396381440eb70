"""The hospital node: takes scans from a PACS or a folder, analyses them, returns the results.

One process, whose state lies in SQLite. docs/pacs.md explains it.
"""
