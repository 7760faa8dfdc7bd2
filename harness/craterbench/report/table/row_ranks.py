"""How stable the ranks of rows are, drawn: a bar for each row, cut into the shares of its ranks, and these in words."""

from __future__ import annotations

from html import escape

from craterbench.report.table.row_comparisons import Ranks

__all__ = ["rank_bars"]

#: Width and height of a bar, in pixels.
_WIDTH, _HEIGHT = 260, 14

#: The least share that is shown in words.
_SHOWN = 0.005


def rank_bars(ranks: Ranks) -> str:
    """Return HTML with a bar and a text for each row, the one that is first most often on top.

    A rank has the same shade in all bars, the first the darkest, so that a print without colours says the same.
    """
    rows = "".join(
        f'<tr><th scope="row">{escape(title)}</th><td>{_bar(shares)}</td><td>{_in_words(shares)}</td></tr>\n'
        for title, shares in zip(ranks.titles, ranks.shares.tolist(), strict=True)
    )
    return (
        '<h3>Ranks by balanced accuracy</h3><p class="dim">In what share of the draws of groups and seeds a row has '
        f"each rank: dark is the first, light the last of {len(ranks.titles)}.</p>"
        '<div class="scroll"><table class="ranks"><thead><tr><th>benchmark</th><th>shares</th><th>rank: share</th></tr>'
        f"</thead><tbody>\n{rows}</tbody></table></div>"
    )


def _bar(shares: list[float]) -> str:
    pieces, left = [], 0.0
    for rank, share in enumerate(shares):
        if share > 0:
            opacity = 0.08 + 0.92 * (1 - rank / (len(shares) - 1)) ** 2  # the first ranks differ the most
            pieces.append(
                f'<rect x="{left * _WIDTH:.1f}" width="{share * _WIDTH:.1f}" height="{_HEIGHT}" fill="#0072b2" '
                f'fill-opacity="{opacity:.2f}" stroke="#fff" stroke-width="0.5"/>'
            )
        left += share
    return f'<svg width="{_WIDTH}" height="{_HEIGHT}" aria-hidden="true">{"".join(pieces)}</svg>'


def _in_words(shares: list[float]) -> str:
    return ", ".join(f"{rank}:&nbsp;{share:.0%}" for rank, share in enumerate(shares, 1) if share >= _SHOWN)
