"""Recipes, a file for each. One more is its file and its line in `RECIPES`."""

from collections.abc import Mapping
from types import MappingProxyType

from ..._checks import explained
from .._recipe import Recipe
from . import _find
from ._arrays import Arrays as Arrays
from ._digits import Digits as Digits
from ._dvs_gesture import DvsGesture as DvsGesture
from ._images import Images as Images
from ._nmnist import Nmnist as Nmnist
from ._shd import Shd as Shd
from ._speech import Speech as Speech

RECIPES: Mapping[str, type[Recipe]] = MappingProxyType(
    {
        "digits": Digits,
        "images": Images,
        "speech": Speech,
        "arrays": Arrays,
        "shd": Shd,
        "nmnist": Nmnist,
        "dvs_gesture": DvsGesture,
    }
)
"""By name, as `snnjax train` takes them; the first is the main job."""


@explained
def find_recipe(name: str) -> tuple[str, type[Recipe]]:
    """The recipe of a name, or one of a user's file: `FILE.py:CLASS`.

    Returns:
        The name as a run folder keeps it, with the whole path of a file, and the class.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if there is no such recipe, the file fails to run or the class is no recipe.
    """
    return _find.find_recipe(name, RECIPES)
