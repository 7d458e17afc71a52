"""The run-time checker of shapes and types that `conftest.py` puts under `toolkit`."""

from beartype import BeartypeConf, beartype

# as for type checkers, an int will do where a float is asked for
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
