"""What can go wrong while data are fetched."""


class DataError(ValueError):
    """Data cannot be had, or are not what they should be; the message says which address and what to do."""
