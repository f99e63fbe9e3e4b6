"""Translating: fluorescence from transmitted light."""
