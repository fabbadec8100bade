"""Claims about the default passes: what equals something else."""

from __future__ import annotations

CASES = {
    "zero times anything is zero": (
        """x: f32[2,3], y: f32[2,3] -> z
        m = MUL(x, zeros[2,3])
        a = ADD(m, y)
        z = EXP(a)""",
        ["EXP"],
    ),
    "equal operators run once": (
        """x: f32[2,3] -> z
        a = EXP(x)
        b = EXP(x)
        z = ADD(a, b)""",
        ["EXP", "ADD"],
    ),
    "along others it stays": (
        """x: f32[3,2,5] -> z
        m = REDUCE_MAX(x, [1]) {keep_dims=True}
        d = SUB(x, m)
        e = EXP(d)
        s = SUM(e, [1]) {keep_dims=True}
        l = LOG(s)
        t = ADD(m, l)
        r = SUB(x, t)
        z = EXP(r)""",
        ["REDUCE_MAX", "SUB", "EXP", "SUM", "LOG", "ADD", "SUB", "EXP"],
    ),
    "operators whose short constants are equal run once": (
        """x: f32[3,5] -> z
        a = SUM(x, [1]) {keep_dims=True}
        b = SUM(x, [1]) {keep_dims=True}
        z = CONCATENATION(a, b) {axis=1}""",
        ["SUM", "CONCATENATION"],
    ),
}
