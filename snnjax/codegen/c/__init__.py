"""A quantised network as portable C99."""

from ._audio3 import FrontEnd as FrontEnd
from ._footprint import Footprint as Footprint
from ._generate import Program as Program, export as export, generate as generate
