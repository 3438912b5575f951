"""Text of files in a figure, as it is."""


def plain(text: str) -> str:
    """The text so that plotly, which reads some HTML and %{...} in labels, shows it letter by letter."""
    escaped = str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("%{", "%&#123;")
