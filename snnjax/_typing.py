"""Shape aliases that several modules share; a shape that one function needs is written there."""

from typing import Any, TypeAlias

from jaxtyping import Array, Float, PRNGKeyArray

FloatArray: TypeAlias = Float[Array, "..."]
Key: TypeAlias = PRNGKeyArray
PyTree: TypeAlias = Any
