"""A quantised network as source code, for boards that no vendor's driver reaches."""

from . import c as c
