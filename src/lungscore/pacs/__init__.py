"""Results as objects of other systems: DICOM for a PACS, FHIR, BIDS. docs/pacs.md explains them.

highdicom is loaded here and nowhere else (extra ``dicom``).
"""
