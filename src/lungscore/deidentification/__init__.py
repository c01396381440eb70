"""Images without their patients: the basic profile of DICOM PS3.15 as a list of what may stay."""
