"""Colors: conversions between RGB and HSV, contrast, hue, saturation."""

from __future__ import annotations

from tqconv.compose import color
from tqconv.importers.tf.registry import composed

composed(
    AdjustContrastv2=color.adjust_contrast,
    AdjustHue=color.adjust_hue,
    AdjustSaturation=color.adjust_saturation,
    HSVToRGB=color.hsv_to_rgb,
    RGBToHSV=color.rgb_to_hsv,
)
