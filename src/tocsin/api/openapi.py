"""The schema of the API, with problem documents under their own media type and the token where there is one."""

from typing import Any

from fastapi import FastAPI

from tocsin.api.paths import LIVE
from tocsin.api.problems import MEDIA_TYPE

DESCRIPTION = """Watches metrics, notices what is wrong, says it once.

Every list answers `{items, total, next}`; every error is a problem document (RFC 9457) whose `detail` says in words
what is wrong. Durations are seconds, instants ISO 8601 with a zone."""


class Application(FastAPI):
    """FastAPI with a schema that says what is really answered."""

    needs_token = False

    def openapi(self) -> dict[str, Any]:
        """The schema, made once."""
        if self.openapi_schema is None:
            schema = super().openapi()
            for operations in schema["paths"].values():
                for operation in operations.values():
                    _name_problems(operation["responses"])
            if self.needs_token:
                _demand_token(schema)
        return super().openapi()


def _name_problems(responses: dict[str, Any]) -> None:
    for status, response in responses.items():
        content = response.get("content", {})
        if int(status) >= 400 and "application/json" in content:
            response["content"] = {MEDIA_TYPE: content["application/json"]}
        elif int(status) >= 400 and content:
            # A route without a JSON class documents its problems under that class's type.
            response["content"] = {MEDIA_TYPE: next(iter(content.values()))}


def _demand_token(schema: dict[str, Any]) -> None:
    schema["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    schema["security"] = [{"token": []}]
    for operation in schema["paths"][LIVE].values():
        operation["security"] = []
