"""The scans that lung masks are judged on, and who is held out from which network."""

#: name -> path below the data folder
PATHS = {
    "lidc767": "wild-ct/lidc767.nii.gz",
    "fnndsc": "wild-ct/fnndsc.nii.gz",
    "dxa1b": "wild-ct/dxa1b.nii.gz",
    "dxa1l": "wild-ct/dxa1l.nii.gz",
    "lungfcp": "wild-ct/lungfcp.nii.gz",
    "gomez": "wild-ct/gomez.nii.gz",
    "stecolon": "wild-ct/stecolon.nii.gz",
    "stesarc": "wild-ct/stesarc.nii.gz",
    "aitest": "wild-ct/aitest.nii.gz",
    "aitest2": "wild-ct/aitest2.nii.gz",
    "P002": "covid-ct-md/P002",
    "normal002": "covid-ct-md/normal002",
    "lung-pet-ct-dx": "lung-pet-ct-dx",
    "lungmask-testdata": "lungmask-testdata",
    "ct-64": "chest-imaging-platform/ct-64.nrrd",
    "ictcf-volume-jpg": "ictcf-volume-jpg",
}

#: Patients held out together; all other networks, and "all", learn from them.
FOLDS = {
    "a": ("lidc767", "aitest"),
    "b": ("fnndsc", "gomez", "lungmask-testdata"),
    "c": ("dxa1", "normal002"),
    "d": ("lungfcp", "stecolon", "ct-64"),
    "e": ("stesarc", "lung-pet-ct-dx", "ictcf-volume-jpg"),
}
