"""The devices that a model can be judged for, by the words of `--target`."""

from __future__ import annotations

from tqconv.errors import UsageError, suggestion
from tqconv.targets import delegates, edgetpu, ethos, gpu, releases, small
from tqconv.targets.device import Device

DEVICES: dict[str, Device] = {
    device.name: device
    for device in (
        small.TFLM,
        edgetpu.EDGETPU,
        ethos.U55,
        ethos.U65,
        ethos.U85,
        gpu.GPU,
        delegates.XNNPACK,
    )
}
"""By name; releases of the runtime are named by their number, see `device`."""


def device(name: str) -> Device:
    """Return the device of a name; UsageError where there is none."""
    found = DEVICES.get(name) or releases.parse(name)
    if found is None:
        words = [*DEVICES, f"{releases.TENSORFLOW}2.4", f"{releases.LITERT}2.0"]
        raise UsageError(
            f"there is no target `{name}`{suggestion(name, words)}",
            hint=f"targets are {', '.join(DEVICES)} and {releases.TENSORFLOW}VERSION (of "
            f"TensorFlow) and {releases.LITERT}VERSION",
        )
    return found
