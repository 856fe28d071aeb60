"""Weights of torch's modules, without torch."""

from ._state import load_state_dict as load_state_dict
