"""Checks of arguments, and readers of the files that a user gives.

Each reader looks at the size and the header first, takes no more memory than the file deserves, and
names the file, the place in it and the cure in one ValueError.
"""

from ._arguments import (
    InputError as InputError,
    above as above,
    array_of as array_of,
    choice as choice,
    count as count,
    is_count as is_count,
    names_among as names_among,
    positive as positive,
    require as require,
    shape_of as shape_of,
)
from ._arrays import read_array as read_array, read_arrays as read_arrays
from ._bytes import (
    MOST_BYTES as MOST_BYTES,
    read_bytes as read_bytes,
    require_file as require_file,
)
from ._counts import (
    numbers_of as numbers_of,
    require_counts as require_counts,
    whole as whole,
    wholes as wholes,
)
from ._explained import explained as explained, of_kind as of_kind
from ._hdf5 import open_hdf5 as open_hdf5
from ._text import (
    parse_json as parse_json,
    read_header as read_header,
    read_json as read_json,
    read_lines as read_lines,
    read_text as read_text,
    read_toml as read_toml,
)
from ._wav import Sound as Sound, read_wav as read_wav
