"""Faults from outside: processes that are killed, devices that are full, bits that flip."""
