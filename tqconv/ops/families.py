"""Importing this module fills the operator table."""

from tqconv.ops import activation as activation
from tqconv.ops import arith as arith
from tqconv.ops import compare as compare
from tqconv.ops import complex as complex
from tqconv.ops import control as control
from tqconv.ops import conv as conv
from tqconv.ops import movement as movement
from tqconv.ops import parts as parts
from tqconv.ops import pool as pool
from tqconv.ops import products as products
from tqconv.ops import quantize as quantize
from tqconv.ops import recurrent as recurrent
from tqconv.ops import reduce as reduce
from tqconv.ops import resize as resize
from tqconv.ops import scatter as scatter
from tqconv.ops import slice as slice
from tqconv.ops import tensor as tensor
