"""Reports: what a run, a sweep or an evaluation came to, as one HTML page that needs nothing else."""

from heurax.analysis.report.page import Code, Facts, Note, Page, Picture, Section, Table, render, write_page
from heurax.analysis.report.write import report

__all__ = ["Code", "Facts", "Note", "Page", "Picture", "Section", "Table", "render", "report", "write_page"]
