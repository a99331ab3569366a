"""``svertka lab``: experiments that show how convolution works."""

from typing import Annotated

import typer

app = typer.Typer(help="Experiments: how convolution works, from the inside.", no_args_is_help=True)


@app.command()
def trace(
    bundle: Annotated[str, typer.Argument(help="Bundle, or run folder with one.")],
    image: Annotated[str, typer.Argument(help="Image file.")],
    layer: Annotated[str, typer.Option(help="Name of a layer [default: list them all].")] = "",
    at: Annotated[str, typer.Option(help="CHANNEL,ROW,COLUMN in its output, or FEATURE.")] = "",
) -> None:
    """Show the arithmetic of one number inside your own trained network."""
    from svertka.cli.lab.trace import trace as verb

    verb(bundle, image, layer, at)
