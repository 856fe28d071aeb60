"""Networks from the modules of other tools, as they are in memory. No tool is imported."""

from ._build import from_modules as from_modules
