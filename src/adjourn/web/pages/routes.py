"""Where the pages beside the chat are found."""

from starlette.routing import Route

from adjourn.web.pages.about import about_closing
from adjourn.web.pages.feedback import feedback
from adjourn.web.pages.help_lines import HELP_LINES, help_lines, help_lines_card
from adjourn.web.pages.settings import SETTINGS, settings, shortcuts

ROUTES = [
    Route("/about/closing", about_closing),
    Route(HELP_LINES, help_lines, methods=["GET", "POST"]),
    Route(f"{HELP_LINES}/card", help_lines_card),
    Route("/feedback", feedback, methods=["GET", "POST"]),
    Route(SETTINGS, settings, methods=["GET", "POST"]),
    Route("/shortcuts", shortcuts),
]
