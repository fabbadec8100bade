"""Whether what is asked for can be carried out, as far as that is known before any work."""

from __future__ import annotations

from pathlib import Path

from tqconv.config import ConvertOptions, QuantizeOptions
from tqconv.errors import UsageError
from tqconv.output import STDOUT


def check_types(options: ConvertOptions, *, may_hold_integers: bool) -> None:
    """Raise UsageError for border types and a scaling of images that the mode does not use.

    may_hold_integers: the file may be quantized already, which only its content tells.
    """
    asked = options.quantize
    if asked.mode is None and {asked.input_type, asked.output_type} <= {None, "float32"}:
        return
    from tqconv.quant.evidence import inputs

    if asked.mode is not None or not may_hold_integers:
        inputs.check(asked)
    check_scaling(asked, options.verify)


def check_gate(options: ConvertOptions) -> None:
    """Raise UsageError where numbers are asked for, and nothing is there to measure them on."""
    if options.min_sqnr is None and options.min_agreement is None:
        return
    if options.quantize.mode is None:
        raise UsageError("--min_sqnr and --min_agreement need a quantization")
    if options.verify is None and options.quantize.calibration_data is None:
        raise UsageError(
            "--min_sqnr and --min_agreement are judged on samples, and there are none",
            hint="add --verify DATA",
        )


def check_device(options: ConvertOptions) -> None:
    """Raise UsageError for a target that does not exist, or a fallback from none."""
    if options.device is not None:
        from tqconv.targets.devices import device

        device(options.device)
    elif options.allow_fallback:
        raise UsageError("--allow_fallback needs --target", hint="say what runs the result")


def check_scaling(options: QuantizeOptions, *others: str | None) -> None:
    """Raise UsageError where pixels are to be scaled, and no image is read."""
    paths = [Path(p) for p in (options.calibration_data, *others) if p is not None]
    if options.mean is None and options.std is None:
        return
    from tqconv.runtime.samples import holds_images

    if paths and all(p.exists() for p in paths) and not any(map(holds_images, paths)):
        raise UsageError(
            f"--mean and --std scale images, and {paths[0]} holds none",
            hint="arrays are fed as they are: leave out --mean and --std",
        )


def check_picture(options: ConvertOptions, target: Path) -> None:
    """Raise UsageError where a picture is asked for under the name of something else."""
    if options.target_format == "dot" and target != STDOUT:
        from tqconv.exporters.graphviz import kind_of

        kind_of(target)
