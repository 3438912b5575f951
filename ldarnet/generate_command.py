"""`ldarnet model generate`: sequences a causal model makes up."""

from typing import Annotated

import typer

from ldarnet.console import friendly_errors


def generate_command(
    model: Annotated[str, typer.Option(help="A causal model: a preset, a file or a hub id.", metavar="NAME|FILE|ID")],
    prompt: Annotated[str, typer.Option(help="How every sequence begins: bases, or text for a model of bytes.")],
    length: Annotated[int, typer.Option(min=1, help="Letters to add.", metavar="N")] = 200,
    num_sequences: Annotated[int, typer.Option(min=1, metavar="N")] = 1,
    temperature: Annotated[
        float, typer.Option(help="Below 1 likelier letters, above 1 more varied ones; 0 = the likeliest always.")
    ] = 1.0,
    top_p: Annotated[
        float, typer.Option(help="Only the likeliest letters that together reach this probability.", metavar="SHARE")
    ] = 1.0,
    seed: Annotated[int, typer.Option(metavar="N")] = 0,
    random_weights: Annotated[bool, typer.Option("--random-weights", help="A preset without weights.")] = False,
) -> None:
    """Letters that a causal model draws after a prompt, as FASTA (or plain text) on standard output.

    Made-up sequence: it says what the model has learned, not what any genome holds.
    """
    with friendly_errors():
        from ldarnet.checkpoint import load_model
        from ldarnet.generate import continuations

        network = load_model(model, random_weights=random_weights)
        texts = continuations(
            network,
            prompt,
            length,
            num_sequences=num_sequences,
            temperature=temperature,
            top_p=top_p,
            seed=seed,
        )
    is_text = network.config.vocabulary == "bytes"
    for number, text in enumerate(texts, start=1):
        typer.echo(
            text if is_text else f">made-up-{number} temperature={temperature:g} top_p={top_p:g} seed={seed}\n{text}"
        )
