"""How much an input may hold. Generous for a chest CT, and far below what harms a computer."""

#: Voxels of one volume: 1024 slices of 1024×1024 (2 GiB as int16).
MAX_VOXELS = 2**30

#: Pixels of one slice.
MAX_SLICE_PIXELS = 4096 * 4096

#: Bytes before the voxels of a volume file: its header and what tools add to it.
MAX_HEADER_BYTES = 2**26

#: Files of one folder, or members of one archive.
MAX_FILES = 100_000

#: Levels of folders that are searched.
MAX_FOLDER_DEPTH = 32

#: Bytes of an archive once unpacked.
MAX_UNPACKED_BYTES = 16 * 2**30

#: Times an archive, or a member above 1 MiB, may grow when it is unpacked. CT grows 2–6 times.
MAX_UNPACK_RATIO = 200

#: Bytes of one inflated DICOM file (deflated transfer syntax): 4096×4096 pixels and a header.
MAX_DEFLATED_BYTES = 64 * 2**20

#: Accepted voxel size in mm: within the slice, and between slices.
PIXEL_MM = (0.1, 5.0)
SLICE_MM = (0.1, 20.0)

#: Values are clipped to this range; CT scanners write no others, padding lies below it.
HU_RANGE = (-1024, 3071)
