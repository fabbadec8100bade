"""Claims about the default passes: sizes, reshapes and copies."""

from __future__ import annotations

CASES = {
    "a copy of what a clamp leaves is no unit vector": (
        """x: f32[2,5] -> z
        q = SQUARE(x)
        s = SUM(q, [1]) {keep_dims=True}
        m = MAXIMUM(s, 1e-12)
        r = RSQRT(m)
        z = MUL(x, r) {fused_activation_function=RELU}""",
        ["SQUARE", "SUM", "MAXIMUM", "RSQRT", "MUL"],
    ),
    "an element that lies before the first is the first": (
        """x: f32[?,3] -> z
        n = SHAPE(x) {out_type=INT32}
        a = STRIDED_SLICE(n, [0], [1], [1]) {shrink_axis_mask=1}
        v = PACK(a, 7) {values_count=2}
        s = STRIDED_SLICE(v, [-5], [1], [1])
        z = CAST(s) {in_data_type=INT32, out_data_type=FLOAT32}""",
        ["SHAPE", "STRIDED_SLICE", "RESHAPE", "CAST"],
    ),
    "an element of what was packed is read before": (
        """x: f32[?,8] -> z, w
        n = SHAPE(x) {out_type=INT32}
        a = STRIDED_SLICE(n, [0], [1], [1]) {shrink_axis_mask=1}
        v = PACK(a, 8) {values_count=2}
        e = STRIDED_SLICE(v, [0], [1], [1]) {shrink_axis_mask=1}
        z = NEG(e)
        w = NEG(v)""",
        ["SHAPE", "STRIDED_SLICE", "PACK", "NEG", "NEG"],
    ),
    "a size that was joined into a shape is read before": (
        """x: f32[?,8] -> z, w
        n = SHAPE(x) {out_type=INT32}
        a = STRIDED_SLICE(n, [0], [1], [1])
        v = CONCATENATION(a, [8,3]) {axis=0}
        e = STRIDED_SLICE(v, [0], [1], [1]) {shrink_axis_mask=1}
        z = NEG(e)
        w = NEG(v)""",
        ["SHAPE", "STRIDED_SLICE", "CONCATENATION", "RESHAPE", "NEG", "NEG"],
    ),
    "a copy along an axis of open rows is left to the operator": (
        """x: f32[2,5], s: f32[2,1] -> z
        m = GREATER(s, 0.0)
        t = TILE(m, [1,5])
        z = SELECT_V2(t, x, 0.0)""",
        ["GREATER", "SELECT_V2"],
    ),
    "statistics over few elements, and averages that are no statistics, are taken at once": (
        """x: f32[1,60,60,2], w: f32[1,80,60,2] -> y, z
        m = MEAN(x, [1,2]) {keep_dims=true}
        y = SUB(x, m)
        z = MEAN(w, [1,2]) {keep_dims=true}""",
        ["MEAN", "SUB", "MEAN"],
    ),
    "biases and scales of heads go into the layer that makes them": (
        """x: f32[2,5,8] -> z
        y = FULLY_CONNECTED(x, f32[6,8]) {keep_num_dims=true}
        r = RESHAPE(y, [2,5,3,2])
        a = ADD(r, f32[3,2])
        s = MUL(a, f32[3,1])
        z = TRANSPOSE(s, [0,2,1,3])""",
        ["FULLY_CONNECTED", "RESHAPE", "TRANSPOSE"],
    ),
    "a sum of five dimensions, one of them 1, is computed in fewer": (
        """x: f32[1,4,6,5] -> z
        r = RESHAPE(x, [1,1,4,6,5])
        a = ADD(r, f32[1,1,4,1,5])
        b = MUL(a, f32[1,1,1,1,1])
        y = RESHAPE(b, [1,4,6,5])
        z = NEG(y)""",
        ["ADD", "MUL", "NEG"],
    ),
    "neighbours of an open batch are merged for a product of six dimensions": (
        """x: f32[?,4,6] -> z
        r = RESHAPE(x, [-1,2,2,3,1,2])
        y = MUL(r, f32[2,2,3,1,1])
        z = RESHAPE(y, [-1,24])""",
        ["RESHAPE", "MUL", "RESHAPE"],
    ),
    "a sum of five dimensions that are all different stays": (
        """x: f32[2,12,10] -> z
        r = RESHAPE(x, [2,3,4,2,5])
        z = ADD(r, f32[2,1,4,1,5])""",
        ["RESHAPE", "ADD"],
    ),
    "a selection of everything is a reshape": (
        """x: f32[1,8] -> z
        y = RESHAPE(x, [1,1,8])
        s = STRIDED_SLICE(y, [0,0,0], [1,1,8], [1,1,1]) {shrink_axis_mask=2}
        z = NEG(s)""",
        ["NEG"],
    ),
    "a selection of everything in an open batch is a reshape": (
        """x: f32[?,1,8] -> z
        s = STRIDED_SLICE(x, [0,0,0],[0,1,8],[1,1,1]) {begin_mask=1, end_mask=1, shrink_axis_mask=2}
        z = NEG(s)""",
        ["RESHAPE", "NEG"],
    ),
    "the first row of an open batch is no reshape": (
        """x: f32[?,1,8] -> z
        s = STRIDED_SLICE(x, [0,0,0], [1,1,8], [1,1,1]) {shrink_axis_mask=1}
        z = NEG(s)""",
        ["STRIDED_SLICE", "NEG"],
    ),
    "a slice that turns an axis around stays": (
        """x: f32[2,8] -> z
        s = STRIDED_SLICE(x, [0,-1], [2,-9], [1,-1])
        z = NEG(s)""",
        ["STRIDED_SLICE", "NEG"],
    ),
    "the only row is taken by a reshape": (
        """x: f32[1,2,8] -> z
        s = GATHER(x, 0) {axis=0}
        z = NEG(s)""",
        ["RESHAPE", "NEG"],
    ),
    "one of two operands gives the rank": (
        """x: f32[1,8], s: f32[1,8] -> z
        a = RESHAPE(x, [1,1,8])
        b = RESHAPE(s, [1,1,8])
        y = SQUARED_DIFFERENCE(a, b)
        z = SUM(y, [2])""",
        ["RESHAPE", "SQUARED_DIFFERENCE", "SUM"],
    ),
    "two reshapes are one": (
        """x: f32[1,2,2,3] -> z
        a = RESHAPE(x, [4,3])
        b = RESHAPE(a, [1,12])
        z = FULLY_CONNECTED(b, f32[5,12], f32[5])""",
        ["RESHAPE", "FULLY_CONNECTED"],
    ),
    "bias and activation behind the squeeze of a 1-D convolution are the convolution's": (
        """x: f32[1,8,3] -> z
        e = EXPAND_DIMS(x, 1)
        c = CONV_2D(e, f32[4,1,3,3], zeros[4]) {padding=SAME, stride_h=1, stride_w=1}
        s = SQUEEZE(c) {squeeze_dims=[1]}
        a = ADD(s, f32[4])
        z = RELU(a)""",
        ["RESHAPE", "CONV_2D", "RESHAPE"],
    ),
    "a shift by position behind a reshape stays": (
        """x: f32[1,8,3] -> z
        e = EXPAND_DIMS(x, 1)
        c = CONV_2D(e, f32[4,1,3,3], zeros[4]) {padding=SAME, stride_h=1, stride_w=1}
        s = SQUEEZE(c) {squeeze_dims=[1]}
        z = ADD(s, f32[8,4])""",
        ["RESHAPE", "CONV_2D", "RESHAPE", "ADD"],
    ),
    "a mean over one element is a reshape": (
        """x: f32[1,6] -> z
        m = MEAN(x, [0])
        z = EXP(m)""",
        ["RESHAPE", "EXP"],
    ),
    "a gate behind two squeezes is one squeeze": (
        """x: f32[1,1,8,3] -> z
        a = CONV_2D(x, f32[4,1,1,3], f32[4]) {padding=SAME, stride_h=1, stride_w=1}
        b = CONV_2D(x, f32[4,1,1,3], f32[4]) {padding=SAME, stride_h=1, stride_w=1}
        t = TANH(a)
        l = RESHAPE(t, [1,8,4])
        s = RESHAPE(b, [1,8,4])
        g = LOGISTIC(s)
        z = MUL(l, g)""",
        ["CONV_2D", "CONV_2D", "TANH", "LOGISTIC", "MUL", "RESHAPE"],
    ),
    "an operand is extended by the operator itself": (
        """x: f32[1,6,6,4], s: f32[1,4] -> z
        r = RESHAPE(s, [1,1,1,4])
        z = MUL(x, r)""",
        ["MUL"],
    ),
    "an operand that is spread over the batch is still reshaped": (
        """x: f32[2,6,6,4], s: f32[2,4] -> z
        r = RESHAPE(s, [2,1,1,4])
        z = MUL(x, r)""",
        ["RESHAPE", "MUL"],
    ),
    "an operand is repeated by the operator itself": (
        """x: f32[2,5,4], s: f32[2,1,4] -> z
        t = TILE(s, [1,5,1])
        z = SUB(t, x)""",
        ["SUB"],
    ),
    "copies that make the result larger stay": (
        """x: f32[2,1,4], s: f32[2,1,4] -> z
        t = TILE(s, [1,5,1])
        z = ADD(x, t)""",
        ["TILE", "ADD"],
    ),
    "an operator that does not repeat its operands keeps the copies": (
        """x: f32[2,5,4], s: f32[2,1,4] -> z
        t = TILE(s, [1,5,1])
        z = ATAN2(t, x)""",
        ["TILE", "ATAN2"],
    ),
}
