"""The toolbox's measures written out threshold by threshold and pixel by pixel, as an oracle.

From the definitions of the two measures and of the toolbox; nothing is shared with the package.
"""

import numpy as np

EPSILON = 2.0**-52


def stretch(grey: np.ndarray) -> np.ndarray:
    """Grey levels 0–255 to 0…1; a constant map is only divided by 255."""
    values = grey.astype(float) / 255
    if values.max() > values.min():
        values = (values - values.min()) / (values.max() - values.min())
    return values


def thresholded(grey: np.ndarray) -> list[np.ndarray]:
    """The 256 binary maps, strictest first."""
    # In whole numbers, so that ties at a grey level are ties: (g − low) / (high − low) ≥ t / 255.
    whole, low, high = grey.astype(int), int(grey.min()), int(grey.max())
    if low == high:
        return [whole >= t for t in range(255, -1, -1)]
    return [(whole - low) * 255 >= t * (high - low) for t in range(255, -1, -1)]


def overlap(predicted: np.ndarray, truth: np.ndarray) -> tuple[float, float, float]:
    """Dice, sensitivity, specificity; all 0 without a true positive."""
    tp, fp = int((predicted & truth).sum()), int((predicted & ~truth).sum())
    fn, tn = int((~predicted & truth).sum()), int((~predicted & ~truth).sum())
    if tp == 0:
        return 0.0, 0.0, 0.0
    return 2 * tp / (2 * tp + fp + fn), tp / (tp + fn), tn / (tn + fp) if tn + fp else 0.0


def e_measure(predicted: np.ndarray, truth: np.ndarray) -> float:
    p, g = predicted.astype(float), truth.astype(float)
    if not truth.any():
        enhanced = 1 - p
    elif truth.all():
        enhanced = p
    else:
        a, b = g - g.mean(), p - p.mean()
        enhanced = (2 * a * b / (a**2 + b**2 + EPSILON) + 1) ** 2 / 4
    return float(enhanced.sum() / (truth.size - 1 + EPSILON))


def s_measure(grey: np.ndarray, truth: np.ndarray) -> float:
    m, g = stretch(grey), truth.astype(float)
    u = g.mean()
    if u == 0:
        return float(1 - m.mean())
    if u == 1:
        return float(m.mean())
    score = 0.5 * (u * brightness(m[truth]) + (1 - u) * brightness((1 - m)[~truth]))
    score += 0.5 * blocks(m, g)
    return max(float(score), 0.0)


def brightness(values: np.ndarray) -> float:
    n, mean = len(values), sum(values) / len(values)
    sd = (sum((v - mean) ** 2 for v in values) / (n - 1)) ** 0.5 if n > 1 else 0.0
    return 2 * mean / (mean**2 + 1 + sd + EPSILON)


def blocks(m: np.ndarray, g: np.ndarray) -> float:
    height, width = g.shape
    columns, rows = np.meshgrid(np.arange(1, width + 1), np.arange(1, height + 1))
    x = int((columns * g).sum() / g.sum() + 0.5)  # both counted from 1, rounded half up
    y = int((rows * g).sum() / g.sum() + 0.5)
    area = height * width
    weights = [x * y, (width - x) * y, x * (height - y), (width - x) * (height - y)]
    parts = [
        (m[:y, :x], g[:y, :x]),
        (m[:y, x:], g[:y, x:]),
        (m[y:, :x], g[y:, :x]),
        (m[y:, x:], g[y:, x:]),
    ]
    return sum(
        w / area * similarity(a.ravel(), b.ravel())
        for w, (a, b) in zip(weights, parts, strict=True)
        if w
    )


def similarity(a: np.ndarray, b: np.ndarray) -> float:
    n, x, y = len(a), a.mean(), b.mean()
    below = n - 1 + EPSILON
    variance_a, variance_b = ((a - x) ** 2).sum() / below, ((b - y) ** 2).sum() / below
    upper = 4 * x * y * (((a - x) * (b - y)).sum() / below)
    lower = (x**2 + y**2) * (variance_a + variance_b)
    if upper != 0:
        return upper / (lower + EPSILON)
    return 1.0 if lower == 0 else 0.0


def scores(grey: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """All of the toolbox's figures of a slice: grey levels 0–255 against a bool truth."""
    maps = thresholded(grey)
    triples = [overlap(predicted, truth) for predicted in maps]
    dice, sensitivity, specificity = np.mean(triples, axis=0)
    return {
        "toolbox_dice": float(dice),
        "toolbox_sensitivity": float(sensitivity),
        "toolbox_specificity": float(specificity),
        "toolbox_e_measure": float(np.mean([e_measure(p, truth) for p in maps])),
        "toolbox_s_measure": s_measure(grey, truth),
        "toolbox_mae": float(np.abs(stretch(grey) - truth).mean()),
    }
