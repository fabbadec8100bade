"""What the files beside a sample model say, whatever framework made it."""

from dataclasses import dataclass

import numpy as np

OUTPUT = "probabilities"
SHOWN = 4  # samples in inputs.npz


@dataclass(frozen=True)
class Labelled:
    """Samples as the sensor gives them: a real input is (features - mean) / std."""

    features: np.ndarray
    labels: np.ndarray
    mean: float
    std: float

    @property
    def reals(self) -> np.ndarray:
        """What the network sees, float32."""
        return ((self.features - np.float32(self.mean)) / np.float32(self.std)).astype(np.float32)


@dataclass(frozen=True)
class Case:
    """What `case.json` and `README.md` of one sample model say."""

    name: str
    task: str
    made_by: str
    how: str
    data: str
    input_name: str
    shape: tuple[int | None, ...]
    tqconv_flags: tuple[str, ...] = ()
    format: str = "frozen_graphdef"
    model: str = "graph.pb"


def case_facts(case: Case, test: Labelled, accuracy: float) -> dict[str, object]:
    return {
        "name": case.name,
        "format": case.format,
        "model": case.model,
        "task": case.task,
        "made_by": case.made_by,
        "how": case.how,
        "data": case.data,
        "license": "CC0-1.0 (the model); see data for the samples",
        "inputs": [{"name": case.input_name, "dtype": "float32", "shape": case.shape}],
        "outputs": [OUTPUT],
        "dynamic": None in case.shape,
        "samples_axis": 0,
        "tqconv_flags": case.tqconv_flags,
        "labelled": {
            "file": "labels.npz",
            "real": "(features - mean) / std",
            "dtype": test.features.dtype.name,
            "mean": test.mean,
            "std": test.std,
            "count": len(test.labels),
        },
        "accuracy_float": accuracy,
    }


def readme(case: Case, accuracy: float, count: int) -> str:
    flags = " ".join(case.tqconv_flags)
    extra = f"\nExtra `tqconv` flags: `{flags}`.\n" if flags else ""
    return f"""# {case.name}

{case.task}.

{case.how}

Input `{case.input_name}`, output `{OUTPUT}`; {accuracy:.2%} of {count} held-out samples in float.
{extra}
Made by `../{case.made_by}`. The model is dedicated to the public domain (CC0-1.0). {case.data}
"""
