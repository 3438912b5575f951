"""The one exception of this package that is about the genome file itself."""


class GenomeError(ValueError):
    """A genome file that cannot be read as one; the text names the file, the place and what was expected."""
