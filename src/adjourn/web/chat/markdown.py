"""What a model writes, as HTML that is safe to show: Markdown, code in colours, tables, and formulas as MathML.

One sanitizer has the last word (nh3), so nothing that stands before it need be trusted. Raw HTML in the text is text.
"""

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from functools import cache, lru_cache
from html import escape
from itertools import pairwise
from typing import Any

import latex2mathml.converter
import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from mdit_py_plugins.dollarmath import dollarmath_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

HIGHLIGHTED = 50_000
"""Longer code, in characters, is shown in one colour: it would hold up everybody else."""
FORMULA = 4_000
"""A longer formula, in characters, is shown as it was written."""
KEPT_TEXTS = 4_096
"""So many texts stay rendered, so that a long conversation opens at once when it is opened again."""
KEPT_LENGTH = 20_000
"""Of at most so many characters each."""

# fmt: off
TAGS = frozenset({
    "a", "blockquote", "br", "code", "del", "div", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p",
    "pre", "s", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
    "math", "menclose", "mfrac", "mi", "mmultiscripts", "mn", "mo", "mover", "mpadded", "mphantom", "mprescripts",
    "mroot", "mrow", "mspace", "msqrt", "mstyle", "msub", "msubsup", "msup", "mtable", "mtd", "mtext", "mtr",
    "munder", "munderover",
})
# fmt: on
SIZES = ("width", "height", "depth", "lspace", "rspace", "voffset", "minsize", "maxsize")
ATTRIBUTES: Mapping[str, set[str]] = {
    "a": {"href", "title"},
    "code": {"class"},
    "div": {"class"},
    "ol": {"start"},
    "pre": {"data-language"},
    "span": {"class"},
    "td": {"class"},
    "th": {"class"},
    "math": {"display"},
    **{tag: {"mathvariant", "stretchy", "fence", "form", "accent", *SIZES} for tag in ("mi", "mn", "mo", "mover")},
    **{tag: set(SIZES) for tag in ("mspace", "mpadded")},
    "mfrac": {"linethickness"},
    "mstyle": {"displaystyle", "scriptlevel"},
    "mtable": {"columnalign", "rowspacing", "columnspacing"},
    "menclose": {"notation"},
}
SCHEMES = {"http", "https", "mailto"}
ALIGNED = {"text-align:center": "centred", "text-align:right": "at-end", "text-align:left": "at-start"}
"""The page's policy allows no style in the page itself, so what Markdown says about a column is said by a class."""

Options = MutableMapping[str, Any]


def html(text: str) -> str:
    """Return a whole text as safe HTML."""
    return _kept(text) if len(text) <= KEPT_LENGTH else _html(text)


def blocks(text: str) -> Iterator[tuple[int, str]]:
    """Yield the blocks of a text that still comes, each with the number of its first line, as safe HTML.

    What stands before the last of them does not change when more comes; references to links defined later aside.
    """
    markdown, env = _markdown(), dict[str, Any]()
    tokens = markdown.parse(text, env)
    starts = [at for at, token in enumerate(tokens) if token.level == 0 and token.nesting >= 0 and token.map]
    for start, end in pairwise([*starts, len(tokens)]):
        first = tokens[start].map or (0, 0)
        yield first[0], _safe(markdown.renderer.render(tokens[start:end], markdown.options, env))


def _html(text: str) -> str:
    return _safe(_markdown().render(text))


_kept = lru_cache(KEPT_TEXTS)(_html)


def _safe(html: str) -> str:
    """Return the HTML with nothing in it but what is listed above."""
    return nh3.clean(
        html,
        tags=set(TAGS),
        attributes={tag: set(names) for tag, names in ATTRIBUTES.items()},
        url_schemes=SCHEMES,
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )


@cache
def _markdown() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False, "breaks": True, "linkify": False})
    made.enable(["table", "strikethrough"])
    made.use(dollarmath_plugin, allow_space=False, allow_digits=True, double_inline=True, allow_labels=False)
    made.inline.ruler.before("escape", "brackets", _brackets)
    made.add_render_rule("math_inline", _inline_formula)
    made.add_render_rule("math_inline_double", _formula)
    for rule in ("math_block", "math_block_label"):
        made.add_render_rule(rule, _formula)
    for rule in ("fence", "code_block"):
        made.add_render_rule(rule, _code)
    for rule in ("td_open", "th_open"):
        made.add_render_rule(rule, _cell)
    made.add_render_rule("image", _image)
    made.add_render_rule("table_open", lambda *_: '<div class="table"><table>')
    made.add_render_rule("table_close", lambda *_: "</table></div>")
    return made


def _code(_: RendererHTML, tokens: Sequence[Token], at: int, __: Options, ___: Options) -> str:
    token = tokens[at]
    name = token.info.split(maxsplit=1)[0] if token.info.strip() else ""
    labelled = f' data-language="{escape(name)}"' if name else ""
    return f"<pre{labelled}><code>{_coloured(token.content, name)}</code></pre>\n"


def _coloured(code: str, language: str) -> str:
    if language and len(code) <= HIGHLIGHTED:
        try:
            lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
        except ClassNotFound:
            return escape(code)
        return str(highlight(code, lexer, HtmlFormatter(nowrap=True)))
    return escape(code)


def _cell(renderer: RendererHTML, tokens: Sequence[Token], at: int, options: OptionsDict, env: Options) -> str:
    token = tokens[at]
    aligned = ALIGNED.get(str(token.attrs.pop("style", "")))
    if aligned:
        token.attrSet("class", aligned)
    return renderer.renderToken(tokens, at, options, env)


def _image(_: RendererHTML, tokens: Sequence[Token], at: int, __: Options, ___: Options) -> str:
    """Show an image as a link: the page asks nothing of anybody else, so nobody learns who reads it."""
    token = tokens[at]
    source = str(token.attrs.get("src", ""))
    return f'<a href="{escape(source)}">{escape(token.content or source)}</a>'


BRACKETS = {r"\(": (r"\)", "math_inline"), r"\[": (r"\]", "math_inline_double")}
"""How formulas are marked beside dollars: what opens one, what closes it, and what it is."""


def _brackets(state: StateInline, silent: bool) -> bool:
    """Take a formula in brackets, in a line of its own or not."""
    closes, name = BRACKETS.get(state.src[state.pos : state.pos + 2], ("", ""))
    end = state.src.find(closes, state.pos + 2) if closes else -1
    if end < 0 or not state.src[state.pos + 2 : end].strip():
        return False
    if not silent:
        state.push(name, "math", 0).content = state.src[state.pos + 2 : end]
    state.pos = end + 2
    return True


def _inline_formula(_: RendererHTML, tokens: Sequence[Token], at: int, __: Options, ___: Options) -> str:
    return _mathml(tokens[at].content, "inline")


def _formula(_: RendererHTML, tokens: Sequence[Token], at: int, __: Options, ___: Options) -> str:
    return _mathml(tokens[at].content, "block")


def _mathml(formula: str, display: str) -> str:
    if len(formula) <= FORMULA:
        try:
            return latex2mathml.converter.convert(formula, display=display)
        except Exception:  # what is written as a formula need not be one, and the library's errors are of many kinds
            return f"<code>{escape(formula)}</code>"
    return f"<code>{escape(formula)}</code>"
