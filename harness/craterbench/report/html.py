"""What all pages for a browser have in common: their look, and how text and pictures stand in them.

A page needs no network and runs no scripts.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape

__all__ = ["bullets", "picture", "section", "sheet"]

_STYLE = """
:root { --ink: #1c1c1c; --dim: #666; --line: #ddd; --blue: #0072b2; --orange: #d55e00; }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: #fff; margin: 1.5rem auto;
  max-width: 1500px; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .3rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .4rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .2rem; overflow-wrap: anywhere; }
p, li { max-width: 75ch; } p { margin: .3rem 0; } ul { margin: .3rem 0; padding-left: 1.2rem; }
.verdict { font-size: 1.25rem; font-weight: 600; margin: .8rem 0; }
.dim { color: var(--dim); } .warning { color: var(--orange); }
.scroll { overflow-x: auto; } .scroll + .scroll { margin-top: .8rem; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .45rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
thead th { vertical-align: bottom; border-bottom: 2px solid var(--ink); font-weight: 600; }
th:first-child { position: sticky; left: 0; background: #fff; min-width: 7rem; max-width: 16rem;
  overflow-wrap: anywhere; z-index: 1; }
.number { text-align: right; } td.number { white-space: nowrap; }
.interval { display: block; color: var(--dim); font-size: .92em; }
.trials th:first-child { min-width: 3rem; } .trials td { white-space: nowrap; }
.trials td.long { white-space: normal; min-width: 18rem; }
.settings td { max-width: 75ch; overflow-wrap: anywhere; }
.ledger td { min-width: 6rem; } .ledger td.long { min-width: 18rem; }
svg { display: block; margin-left: auto; } svg text { font-size: 9px; fill: var(--dim); }
.worst th, .worst td { vertical-align: bottom; } .worst img { margin-left: auto; width: 96px;
  image-rendering: pixelated; }
img { max-width: 100%; height: auto; display: block; }
figure { margin: .3rem 0; } h3 .dim { font-weight: normal; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 540px), 1fr)); gap: 0 2rem; }
@media print { body { margin: 0; font-size: 9pt; max-width: none; } .scroll { overflow: visible; }
  table { font-size: 6.5pt; } th, td { padding: 2px 4px; } th:first-child { position: static; }
  .ledger td.long { min-width: 0; } .trials td.long { min-width: 7rem; } .trials td { white-space: normal; }
  tr, figure, h2, h3 { break-inside: avoid; } h2, h3 { break-after: avoid; }
  .figures { grid-template-columns: 1fr 1fr; } @page { size: landscape; margin: 12mm; } }
"""


def sheet(title: str, sections: Iterable[str]) -> str:
    """Return a page of sections in HTML; those that are empty are left out."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(section for section in sections if section)
        + "\n</body>\n</html>\n"
    )


def section(heading: str, lines: Iterable[str]) -> str:
    """Return lines under a heading, or nothing if there are none."""
    items = bullets(lines)
    return f"<h2>{escape(heading)}</h2>{items}" if items else ""


def bullets(lines: Iterable[str]) -> str:
    """Return lines as a list, or nothing if there are none."""
    items = "".join(f"<li>{escape(line)}</li>\n" for line in lines)
    return f"<ul>{items}</ul>" if items else ""


def picture(content: bytes, kind: str, alt: str) -> str:
    """Return a picture of a MIME type, held in the page itself."""
    data = base64.b64encode(content).decode()
    return f'<img alt="{escape(alt)}" src="data:{kind};base64,{data}">'
