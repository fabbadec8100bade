"""Whether a device runs a model: what `inspect --target` answers, and `convert --target` asks."""

from __future__ import annotations

from tqconv.config import LoadOptions
from tqconv.errors import VerificationError, counted
from tqconv.exporters.placement import KINDS, Placement, place, remedies, sentences
from tqconv.importers.source import SourceFile
from tqconv.ir.graph import Model
from tqconv.jobs.images import turn_images
from tqconv.passes.driver import Observer, Stage, run_stage, run_stages
from tqconv.passes.legal.older import older_forms
from tqconv.passes.pipeline import STAGES
from tqconv.targets.devices import device


def fit(model: Model, name: str, observe: Observer | None = None) -> None:
    """Rewrite what a device refuses and nothing else runs in forms that it takes, in place."""
    stage = Stage("target", (older_forms(device(name)),))
    count = sum(run_stage(stage, graph, observe) for graph in model.all_graphs())
    if count:
        model.notes.append(f"target {name}: {counted(count, 'operator')} in an older form")


def placement_of(source: SourceFile, model: Model, name: str, options: LoadOptions) -> Placement:
    """Return what a device runs of a model that was read from a file, as it is or is converted.

    It is optimized in place where the file is no .tflite. UsageError where there is no such device.
    """
    if source.kind != "tflite":
        turn_images(model, options)
        run_stages(model, STAGES)
        fit(model, name)
    return place(device(name), model)


def require(model: Model, name: str, *, allow_fallback: bool) -> list[str]:
    """Return notes about what falls off a device that is allowed to; VerificationError otherwise.

    What nothing else runs is a note, too, where it is allowed: a user may register a kernel.
    """
    found = place(device(name), model)
    about = [f"target {name}: {found.about_sizes()}"] if found.open_inputs else []
    if found.runs:
        return about
    mends = "; ".join(remedies(found))
    if allow_fallback:
        lines = (found.heading(), *sentences(found))
        return [*about, *(f"target {name}: {line}" for line in lines)]
    lines = (found.heading(), *sentences(found, KINDS))
    allow = "--allow_fallback writes the model all the same and lists what falls off"
    raise VerificationError(
        "\n  ".join([f"not all of the result runs on {name} ({found.title})", *lines]),
        hint=f"{mends}; {allow}" if mends else allow,
    )
