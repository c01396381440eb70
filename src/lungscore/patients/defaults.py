"""What is used where a user names nothing. It imports nothing: ``--help`` shows these."""

DETECTION_FEATURES = ("infection_percent", "peak_slice_percent", "lobes_infected", "bilateral")
CLINICAL_FEATURES = ("infection_percent", "consolidation_percent", "ct_ss")
#: Clinical classes, mildest first.
CLASSES = ("none", "mild", "moderate", "severe", "critical")
