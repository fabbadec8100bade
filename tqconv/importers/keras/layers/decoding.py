"""Operations of Keras 3 that decode what a network says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tqconv.compose import ctc
from tqconv.errors import UnsupportedError
from tqconv.importers.keras.layers.selection import in_order
from tqconv.importers.keras.registry import KerasBuilder, handles
from tqconv.importers.keras.values import tensor
from tqconv.ir.graph import Tensor


@handles("ops.CTCDecode")
def ctc_decode(
    b: KerasBuilder,
    *xs: Tensor,
    strategy: str = "greedy",
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool = True,
    mask_index: int = 0,
    args: Any = None,
) -> Sequence[Tensor]:
    """Classes that are said: [1, n, steps], -1 behind the last, and negative scores of rows."""
    if strategy != "greedy":
        raise UnsupportedError(f"CTC decoding by `{strategy}`")
    x, lengths = in_order(b, xs, args)
    scores = b.transpose(b.real(x), [1, 0, 2])
    lengths = tensor(b, lengths, np.int32, "sequence_lengths")
    said, score = ctc.rows(b, scores, lengths, mask_index, merges=merge_repeated)
    said = b("EXPAND_DIMS", b.cast(said, np.int32), np.array(0, np.int32))
    return [said, score]
