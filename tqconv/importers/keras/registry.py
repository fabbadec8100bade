"""The registry of Keras layers and operations, and the builder that handlers get.

A handler is `handler(b, x, *, units, activation="linear")`: tensors are positional, the keys of the
layer's configuration and of its call are keyword-only. Weights are `b.weights["kernel"]`.
Operations of Keras 3 are registered as `ops.Add`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.errors import UnsupportedError
from tqconv.importers.keras.model import Layer
from tqconv.importers.registry import Handler, Registry
from tqconv.ir.graph import Graph, Tensor
from tqconv.ir.types import Source

if TYPE_CHECKING:
    from tqconv.importers.keras.walk import Walk

BOOKKEEPING = frozenset(
    {
        *("name", "trainable", "dtype", "batch_input_shape", "batch_shape", "build_config"),
        *("implementation", "seed", "rng_type", "input_length", "synchronized"),
        *("momentum", "renorm_clipping", "renorm_momentum", "unit_forget_bias", "autocast"),
        *("dropout", "recurrent_dropout", "input_dim", "quantization_config", "input_shape"),
        *("power_iterations", "optional", "renorm", "flash_attention", "lora_alpha"),
        *(
            "batch_size",
            "query_shape",
            "lora_rank",
            "key_shape",
            "value_shape",
            "softmax_robust_masking",
        ),
    }
)
"""Keys without effect on what a layer computes when it is used."""
BOOKKEEPING_ENDS = ("_initializer", "_regularizer", "_constraint")
EFFECTLESS = frozenset({"training", "sparse", "ragged", "time_major", "mask", "use_legacy_format"})
"""Keys that say nothing while they are false. While it is null, no key says anything."""


def _is_bookkeeping(name: str, value: Any) -> bool:
    idle = value is None or (name in EFFECTLESS and value is False)
    return idle or name in BOOKKEEPING or name.endswith(BOOKKEEPING_ENDS)


KERAS = Registry("Keras", _is_bookkeeping)
handles = KERAS.handles


def operations(**told: Any) -> Callable[[Handler], Handler]:
    """Register a function for these operations; what each is told comes behind the builder."""
    named: dict[str, Any] = {f"ops.{name}": argument for name, argument in told.items()}
    return KERAS.handles(**named)


class KerasBuilder(Builder):
    """A builder that also knows the layer, the masks of its inputs, and how to call others.

    masks: one for each input, None where there is none. mask: that of the result; None by default,
    or for layers that pass masks on that of the first input. mask_inside: that of what the layer
    inside made last. is_mask_said: whether the call names the first of the masks, which else was
    handed on.
    """

    def __init__(
        self,
        graph: Graph,
        source: Source,
        name: str,
        layer: Layer,
        walk: Walk,
        masks: Sequence[Tensor | None] = (),
    ) -> None:
        super().__init__(graph, source, name)
        self.layer = layer
        self.walk = walk
        self.masks = list(masks)
        self.mask: Tensor | None = None
        self.mask_inside: Tensor | None = None
        self.is_mask_said = False

    @property
    def major(self) -> int:
        """The generation of Keras whose meanings hold: 2 or 3."""
        return self.walk.major

    def mask_beside(self, states: Sequence[Tensor]) -> Tensor | None:
        """Return the mask by which a layer computes that may be called with states, too.

        Keras 3 hands none on to a layer that is called with more than one argument of tensors.
        """
        if not self.masks or (self.major >= 3 and states and not self.is_mask_said):
            return None
        return self.masks[0]

    @property
    def weights(self) -> Mapping[str, Tensor]:
        """The weights of the layer, as constants that all its calls share."""
        return self.weights_of(self.layer)

    def weights_of(self, layer: Layer) -> Mapping[str, Tensor]:
        """Return the weights of a layer inside this one."""
        return {
            name: self.walk.constant(self.graph, f"{layer.place}/{name}", array)
            for name, array in layer.weights.items()
        }

    def weight(self, name: str) -> Tensor:
        """Return one weight; UnsupportedError where the file lacks it."""
        found = self.weights.get(name)
        if found is None:
            raise UnsupportedError(f"the file holds no `{name}` for {self.layer.op}")
        return found

    def inner(
        self,
        layer: Layer,
        args: Sequence[Tensor],
        masks: Sequence[Tensor | None],
        name: str,
        call: Mapping[str, Any],
    ) -> list[Tensor]:
        """Return what a layer inside this one makes of these tensors."""
        return self.walk.inner(self, layer, args, masks, f"{self.name}/{name}", call)

    def real(self, x: Tensor) -> Tensor:
        """Return numbers as float32, in which layers compute."""
        return x if x.dtype == np.float32 else self.cast(x, np.float32)
