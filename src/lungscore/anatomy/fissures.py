"""Where the fissures lie in a lung of average shape: the fitted weights behind ``find_lobes``.

Printed by ``python experiments/evaluate_lobes.py FOLDER -o OUT --fit``, which fits them to the
manual lobe masks of 26 LUNA16 scans (Tang et al. 2019, data under CC BY-NC-SA 4.0).
"""

from lungscore.labels import LEFT_LUNG, RIGHT_LUNG

#: One row for each lobe in the order of lobes.LUNG_LOBES, relative to the first: weights of
#: (1, z, y, x, zz, zy, zx, yy, yx, xx), coordinates as in lobes.lung_coordinates.
FISSURES: dict[int, tuple[tuple[float, ...], ...]] = {
    RIGHT_LUNG: (
        (0.000, 0.000, 0.000, 0.000, 0.000, 0.000, 0.000, 0.000, 0.000, 0.000),
        (0.344, 6.064, -2.399, 0.051, -3.240, -3.462, 0.722, -1.646, 0.758, -0.152),
        (0.979, 10.613, 5.134, 0.371, -0.785, -1.840, 0.211, 0.402, 1.193, 0.044),
    ),
    LEFT_LUNG: (
        (0.000, 0.000, 0.000, 0.000, 0.000, 0.000, 0.000, 0.000, 0.000, 0.000),
        (-0.093, 6.976, 6.721, -0.836, -0.546, 0.456, -1.116, 1.007, -1.160, 0.755),
    ),
}
