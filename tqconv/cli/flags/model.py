"""Where the model is, and what becomes of it."""

from __future__ import annotations

from tqconv.cli import values
from tqconv.cli.flag import MODEL, Flag, flag, switch
from tqconv.cli.values import Choice

FORMATS = {
    "TENSORFLOW_GRAPHDEF": "graphdef",
    "GRAPHDEF": "graphdef",
    "SAVED_MODEL": "saved_model",
    "KERAS": "keras",
    "ONNX": "onnx",
    "TFLITE": "tflite",
}

ROWS: tuple[Flag, ...] = (
    flag(
        "input_file graph_def_file saved_model_dir savedmodel_directory keras_model_file",
        "the model; also the bare argument",
        MODEL, "source", metavar="PATH",
    ),
    flag("output_file output o", "the file to write", MODEL, "target", metavar="PATH"),
    flag(
        "input_format",
        f"the model's format where its content does not tell: {', '.join(FORMATS)}",
        MODEL, "load.format", read=Choice(FORMATS), metavar="FORMAT",
    ),
    flag(
        "output_format", "TFLITE, or a picture of the result",
        MODEL, "target_format", metavar="TFLITE|GRAPHVIZ_DOT",
        read=Choice({"TFLITE": "tflite", "GRAPHVIZ_DOT": "dot", "TENSORFLOW_GRAPHDEF": "graphdef"}),
    ),
    flag(
        "saved_model_tag_set savedmodel_tagset saved_model_tags",
        "the MetaGraph of a SavedModel, by its tags", MODEL, "load.tags",
        read=values.names, metavar="TAG,TAG",
    ),
    flag(
        "saved_model_signature_key signature", "the signature of a SavedModel",
        MODEL, "load.signature", metavar="KEY",
    ),
    flag(
        "checkpoint", "where the variables of an unfrozen graph are",
        MODEL, "load.checkpoint", metavar="PREFIX",
    ),
    flag(
        "keras_config", "the architecture (JSON) of Keras weights that are apart",
        MODEL, "load.keras_config", metavar="JSON",
    ),
    switch(
        "allow_custom_ops", "keep operators that TFLite does not have", MODEL,
        "load.allow_custom_ops",
    ),
)  # fmt: skip
