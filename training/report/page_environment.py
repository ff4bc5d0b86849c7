"""The template environment of self-contained HTML pages: their own templates beside the style that all pages share."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def page_environment(folder: Path) -> Environment:
    """Build an environment with the templates of a folder, `parts/style.css`, and the filter `count` (12,345).

    A value that is missing is an error, and texts are escaped.
    """
    loader = FileSystemLoader([folder, Path(__file__).parent])
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["count"] = lambda value: f"{value:,}"
    return environment
