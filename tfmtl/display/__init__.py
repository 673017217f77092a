"""How results show themselves: tables in a notebook, text in a terminal."""

from tfmtl.display.page import Displayed, DisplayTable, Page

__all__ = ["DisplayTable", "Displayed", "Page"]
