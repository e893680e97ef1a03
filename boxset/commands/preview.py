"""`boxset preview`."""

from pathlib import Path

import click

from boxset.errors import ParamsError, did_you_mean


@click.command()
@click.argument("category")
@click.option("--n", "most", default=24, show_default=True, help="Pictures a row at the most.")
def command(category: str, most: int) -> None:
    """Write a page with pictures of every source and query of CATEGORY."""
    from boxset.endpoints import open_world
    from boxset.params import read_params
    from boxset.web.preview import preview

    params = read_params()
    if category not in params.categories:
        raise ParamsError(f"there is no category {category}{did_you_mean(category, params.categories)}", where="params.yaml")
    with open_world(params) as endpoints:
        click.echo(f"wrote {preview(category, params, Path('preview'), endpoints=endpoints, most=most)}")
