"""Write N seeded random samples in -1..1, of images [N, 224, 224, 3], as a calibration archive.

A program of its own, so that the measuring process never holds the images (see measure.py).

    python make_images.py 100 images.npz
"""

import argparse
import pathlib

import numpy as np

SEED = 224


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--name", default="input", help="input array")
    parser.add_argument("--shape", default="224,224,3", help="of a sample")
    options = parser.parse_args()
    shape = map(int, options.shape.split(","))
    rng = np.random.default_rng(SEED)
    images = rng.random((options.count, *shape), dtype=np.float32) * 2 - 1
    np.savez(options.output, **{options.name: images})


if __name__ == "__main__":
    main()
