"""Write ResNet50 (100 MB of random weights) as .h5, .keras and SavedModel.

Runs in a scratch environment with TensorFlow (Keras 3):

    scratch/bin/python make_keras_models.py FOLDER
"""

import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    keras.utils.set_random_seed(1)
    model = keras.applications.ResNet50(weights=None)
    rng = np.random.default_rng(1)
    for weight in model.weights:
        if weight.path.endswith(("moving_variance", "gamma")):  # as after training, not all ones
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    model.save(folder / "resnet50.h5", include_optimizer=False)
    model.save(folder / "resnet50.keras", include_optimizer=False)
    model.export(folder / "resnet50", verbose=False)


if __name__ == "__main__":
    main()
