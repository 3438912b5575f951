"""What mkdocs adds while it builds: all commands, the model card, and guides that the navigation leaves out."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

COMMANDS_HERE = "<!-- commands -->"
CARD = "ldarnet/weights/README.md"
GUIDES = "Guides"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put pages that the navigation does not name among the guides."""
    named = re.findall(r"[\w-]+\.md", str(config.nav))
    (guides,) = (entry[GUIDES] for entry in config.nav or [] if isinstance(entry, dict) and GUIDES in entry)
    guides += sorted(page.name for page in Path(config.docs_dir).glob("*.md") if page.name not in named)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the model card, which lies with the weights; its links are made to start from docs/."""
    text = (Path(config.config_file_path).parent / CARD).read_text(encoding="utf-8")
    files.append(File.generated(config, "model-card.md", content=text.replace("](../../docs/", "](")))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:  # noqa: ANN401 - mkdocs passes page, config and files
    """Put the commands in the place of their mark."""
    return markdown.replace(COMMANDS_HERE, reference()) if COMMANDS_HERE in markdown else markdown


def reference() -> str:
    """Every command as the program itself describes it, in Markdown."""
    from ldarnet.cli import app

    return "\n\n".join(_sections(typer.main.get_command(app), "ldarnet"))


def _sections(command: Any, path: str) -> Iterator[str]:  # noqa: ANN401 - typer's commands
    children = getattr(command, "commands", {})
    for name in sorted(children):
        yield from _sections(children[name], f"{path} {name}")
    if not children:
        yield _section(command, path)


def _section(command: Any, path: str) -> str:  # noqa: ANN401
    context = command.make_context(path, [], resilient_parsing=True)
    lines = [f"## {path}", "", _prose(command.help or ""), "", "| option | |", "|---|---|"]
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is None:  # an argument without help
            record = parameter.make_metavar(context), ""
        lines.append(f"| `{record[0].replace('|', chr(0x2502))}` | {_cell(record[1])} |")
    return "\n".join(lines)


def _prose(text: str) -> str:
    """A docstring as paragraphs."""
    paragraphs = re.split(r"\n\s*\n", text.strip().replace("\b\n", ""))
    return "\n\n".join(_escaped(" ".join(each.split())) for each in paragraphs)


def _cell(text: str) -> str:
    return _escaped(" ".join(text.split())).replace("|", "\\|")


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is; what stands between backticks stays code."""
    pieces = re.split(r"(`[^`]*`)", text)
    return "".join(piece if piece.startswith("`") else re.sub(r"([<>*_\[\]])", r"\\\1", piece) for piece in pieces)
