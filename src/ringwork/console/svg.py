"""Writes SVG elements with every attribute and text escaped: data can never become markup."""

from __future__ import annotations

from markupsafe import Markup, escape


def element(name: str, *children: str | Markup, **attributes: str | float) -> Markup:
    """``<name attr="...">children</name>``; plain children are escaped, Markup is taken as it is.

    Attributes are named with ``_`` for ``-`` and a trailing ``_`` where Python owns the word.

    >>> element("text", "a < b", class_="ink", text_anchor="end")
    Markup('<text class="ink" text-anchor="end">a &lt; b</text>')
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(plain(value))}"'
        for key, value in attributes.items()
    )
    inner = "".join(escape(child) for child in children)
    return Markup(f"<{name}{written}>{inner}</{name}>")  # noqa: S704  # every piece is escaped above


def plain(value: str | float) -> str:
    """A number without noise: two digits at most and no trailing zeros."""
    if isinstance(value, float):
        text = f"{value:.2f}".rstrip("0").rstrip(".")
        return "0" if text == "-0" else text
    return str(value)
