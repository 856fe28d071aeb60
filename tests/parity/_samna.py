"""A stub for the vendor's package samna, all of its modules, which Rockpool's chips import."""

import importlib.abc
import importlib.machinery
import sys
from unittest.mock import MagicMock

from _rockpool import torch as torch


class Samna(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """A stub for every module of the vendor's package, which the chips' modules import."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "samna":
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        stub = MagicMock(name=spec.name)
        stub.__path__ = []
        return stub

    def exec_module(self, module):
        pass


sys.modules.pop("samna", None)
sys.meta_path.insert(0, Samna())
