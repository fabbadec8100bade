"""The quantization of TOCO: its ranges, its rules, its order."""
