"""DICOM: headers, the choice of a series, the stack of its slices, and their pixels."""
