"""The application: routes, problem documents and the guard around them."""

from anyio import CapacityLimiter
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from tocsin.api import (
    routes_alerts,
    routes_analysis,
    routes_backtest,
    routes_control,
    routes_datasources,
    routes_events,
    routes_feedback,
    routes_health,
    routes_proposals,
    routes_targets,
)
from tocsin.api.docs import add_docs
from tocsin.api.guard import Guard
from tocsin.api.openapi import DESCRIPTION, Application
from tocsin.api.problems import on_error
from tocsin.api.routing import COMMON_PROBLEMS, Doors
from tocsin.api.services import Services
from tocsin.api.stream import Slots
from tocsin.domain.errors import TocsinError


def create_app(services: Services) -> Application:
    """The API over `services`; it starts and stops nothing itself."""
    app = Application(
        title="Tocsin",
        version=services.version,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    security = services.security
    app.needs_token = bool(security.token)
    app.state.doors = Doors(services, Slots(security.limits.streams), CapacityLimiter(security.limits.analyses))
    for module in (routes_control, routes_targets, routes_alerts, routes_feedback, routes_proposals, routes_events):
        app.include_router(module.router, responses=COMMON_PROBLEMS)
    for module in (routes_datasources, routes_analysis, routes_backtest, routes_health):
        app.include_router(module.router, responses=COMMON_PROBLEMS)
    for kind in (TocsinError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, on_error)
    app.add_middleware(Guard, security=security, stopping=services.stopping)
    add_docs(app)
    return app
