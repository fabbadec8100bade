"""Make digits_forest: a random forest that classifies 8x8 digits, as skl2onnx exports it.

Runs in a scratch environment with scikit-learn, skl2onnx and onnxruntime:

    python make_digits_forest.py
"""

import json
import pathlib

import digits
import numpy as np
import onnxruntime
import skl2onnx
from cases import OUTPUT, SHOWN, Case, case_facts, readme
from sklearn.ensemble import RandomForestClassifier

INPUT = "pixels"
CASE = Case(
    name="digits_forest",
    task="Classify 8x8 handwritten digits with a random forest of scikit-learn",
    made_by="make_digits_forest.py",
    how="8 trees of up to 6 levels, exported by skl2onnx without ZipMap; the label, which is the "
    "class of the largest probability, is left out. Pixels are 0..16, the batch is open.",
    data=digits.DATA,
    input_name=INPUT,
    shape=(None, 64),
    format="onnx",
    model="model.onnx",
)


def main() -> None:
    training, test, calibration = digits.split(peak=16, mean=0, std=1)
    forest = RandomForestClassifier(8, max_depth=6, random_state=1)
    forest.fit(training.reals.reshape(-1, 64), training.labels)
    model = skl2onnx.to_onnx(
        forest,
        initial_types=[(INPUT, skl2onnx.common.data_types.FloatTensorType([None, 64]))],
        options={"zipmap": False},
        target_opset={"": 17, "ai.onnx.ml": 3},
    )
    del model.graph.output[0]
    content = model.SerializeToString(deterministic=True)
    session = onnxruntime.InferenceSession(content)
    reals = test.reals.reshape(-1, 64)
    (probabilities,) = session.run([OUTPUT], {INPUT: reals})
    accuracy = round(float(np.mean(probabilities.argmax(1) == test.labels)), 4)
    folder = pathlib.Path(__file__).parent / CASE.name
    folder.mkdir(exist_ok=True)
    (folder / "model.onnx").write_bytes(content)
    np.savez_compressed(folder / "inputs.npz", **{INPUT: reals[:SHOWN]})
    np.savez_compressed(folder / "expected.npz", **{OUTPUT: probabilities[:SHOWN]})
    np.savez_compressed(folder / "calibration.npz", **{INPUT: calibration.reshape(-1, 64)})
    features, labels = test.features.reshape(-1, 64), test.labels.astype(np.uint8)
    np.savez_compressed(folder / "labels.npz", features=features, labels=labels)
    facts = case_facts(CASE, test, accuracy)
    facts |= {"expected_from": f"onnxruntime {onnxruntime.__version__}"}
    (folder / "case.json").write_text(json.dumps(facts, indent=1) + "\n")
    (folder / "README.md").write_text(readme(CASE, accuracy, len(test.labels)))
    print(f"{CASE.name}: accuracy {accuracy}, {len(content)} bytes")


if __name__ == "__main__":
    main()
