"""The course of a fissure as a whole: of the borders that a lung may have, the likeliest."""

import numpy as np
from scipy import ndimage

#: Courses compared at once, how often, and how many of the best the next ones are drawn around.
COURSES, ROUNDS, BEST = 400, 5, 30
#: Of so many places of the surface one is looked at.
EVERY = 3
#: Beyond the lung there is neither fissure nor vessel: slightly worse than the average of the lung.
BEYOND = -0.2
#: Evidence is blurred over so many offsets, since a whole course meets no fissure exactly.
BLUR = 2.0
#: What a course one standard deviation off costs, in the mean evidence along it.
UNUSUAL = 0.03


def likeliest_course(
    evidence: np.ndarray, inside: np.ndarray, offsets: np.ndarray, modes: np.ndarray
) -> np.ndarray:
    """(A, B) the offset of the course along which the mean evidence is highest.

    evidence: (offsets, A, B) how much each place looks like a fissure; inside: bool, which of them
    lie in the lung. offsets: (n,) equally spaced. modes: (m, A, B) what one standard deviation
    along each of the ways in which a border may be off adds to the offset. Courses far from the
    expected one cost more. Drawn at random, then around the best ones (the cross-entropy method,
    Rubinstein 1999), with a fixed seed.
    """
    count, *plane = evidence.shape
    places = np.flatnonzero(inside.any(axis=0))[::EVERY]
    if not len(modes) or not len(places):
        return np.zeros(plane)
    usual = evidence[inside].mean()
    blurred = ndimage.gaussian_filter1d(np.where(inside, evidence - usual, BEYOND), BLUR, axis=0)
    values = blurred.reshape(count, -1)[:, places]
    ways = modes.reshape(len(modes), -1)[:, places]
    column = np.arange(len(places))
    step = offsets[1] - offsets[0]

    def worth(courses: np.ndarray) -> np.ndarray:
        index = np.rint((courses @ ways - offsets[0]) / step)
        met = values[index.clip(0, count - 1).astype(np.intp), column]
        met[(index < 0) | (index >= count)] = BEYOND
        worth: np.ndarray = met.mean(axis=1) - UNUSUAL * (courses**2).sum(axis=1)
        return worth

    rng = np.random.default_rng(0)
    middle, spread = np.zeros(len(modes)), np.eye(len(modes))
    for _ in range(ROUNDS):
        courses = middle + rng.standard_normal((COURSES, len(modes))) @ spread.T
        courses[0] = middle
        best = courses[np.argsort(-worth(courses), kind="stable")[:BEST]]
        middle = best.mean(axis=0)
        away = best - middle
        spread = np.linalg.cholesky(away.T @ away / BEST + 1e-6 * np.eye(len(modes)))
    course: np.ndarray = np.tensordot(best[0], modes, axes=1)
    return course
