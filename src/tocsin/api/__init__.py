"""The HTTP API: JSON at the door, no rules of its own."""

from tocsin.api.factory import create_app
from tocsin.api.services import Limits, MonitorPort, Readiness, Security, Services, Wake

__all__ = ["Limits", "MonitorPort", "Readiness", "Security", "Services", "Wake", "create_app"]
