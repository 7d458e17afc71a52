"""The run-time checker of shapes and types that `conftest.py` puts under `toolkit`."""

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int is a float, as type checkers say
