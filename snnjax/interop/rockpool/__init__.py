"""Rockpool: networks in the files of its `Module.save`, and the specifications of its mapper."""

from ._load import load as load
from ._save import save as save
from ._specification import from_specification as from_specification
