"""scikit-learn's 8x8 digits, split once: train, calibration (inside train), test.

Runs in a scratch environment with scikit-learn; the product and its tests never import it.
"""

import numpy as np
from cases import Labelled
from sklearn.datasets import load_digits

SEED = 7
TEST = 300
CALIBRATION = 100
DATA = (
    "The digits are from 'Optical Recognition of Handwritten Digits' (E. Alpaydin and C. Kaynak, "
    "UCI Machine Learning Repository, CC BY 4.0), as scikit-learn ships them."
)


def split(*, peak: int, mean: float, std: float) -> tuple[Labelled, Labelled, np.ndarray]:
    """(train, test, calibration reals [100, 8, 8, 1]); a pixel is 0..`peak` in uint8."""
    images, labels = load_digits(return_X_y=True)
    # The data set counts the dark pixels of 4x4 blocks: 0..16.
    pixels = np.round(images * (peak / 16)).astype(np.uint8).reshape(-1, 8, 8, 1)
    order = np.random.default_rng(SEED).permutation(len(labels))
    parts = np.split(order, [TEST])
    test, train = (Labelled(pixels[p], labels[p], mean, std) for p in parts)
    return train, test, train.reals[:CALIBRATION]
