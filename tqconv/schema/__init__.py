"""File formats as text: parse the IDL, then read and write by it. Knows no operator's meaning."""
