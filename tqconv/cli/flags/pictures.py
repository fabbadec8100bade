"""What is said, drawn and checked about a run."""

from __future__ import annotations

from tqconv.cli import values
from tqconv.cli.flag import PICTURES, Flag, flag, switch

ROWS: tuple[Flag, ...] = (
    flag(
        "dump_graphviz_dir dump_graphviz", "write a picture after each stage into this folder",
        PICTURES, "dump_dir", metavar="DIR",
    ),
    switch("dump_graphviz_video", "write a picture after each pass, too", PICTURES, "dump_steps"),
    flag(
        "conversion_summary_dir", "write a description of the result as JSON into this folder",
        PICTURES, "summary_dir", metavar="DIR",
    ),
    flag(
        "report", "write a report that people can read and send: one HTML file", PICTURES, "report",
        read=values.html_file, metavar="FILE.html",
    ),
    flag(
        "model_checks",
        "fail where the result has other operators: {count_type:X,count_min:N,count_max:M}",
        PICTURES, "checks", read=values.counts, metavar="MAPS", many=True,
    ),
    flag(
        "target", "fail where this device does not run the result: tflm, edgetpu, ethos-u55, …",
        PICTURES, "device", metavar="NAME",
    ),
    switch(
        "allow_fallback", "list what does not run on --target, and write the result all the same",
        PICTURES, "allow_fallback",
    ),
    flag(
        "verbosity verbose v", "1: name the passes that changed something (or -v)", PICTURES,
        "verbosity",
        read=values.integer, metavar="N",
    ),
    switch("quiet q", "say nothing but errors", PICTURES, "quiet"),
    switch("json", "print the result, or the error, as JSON", PICTURES, "json"),
    switch("debug", "show the Python traceback of an error", PICTURES, "debug"),
)  # fmt: skip
