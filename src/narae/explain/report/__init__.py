"""The report of a run: one HTML page that needs nothing beside itself."""

from .page import report_page, write_report

__all__ = ["report_page", "write_report"]
