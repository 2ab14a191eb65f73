"""What the environment says: the variables that begin with TOCSIN_, typed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from tocsin.config.model import Problem

FILE = "environment"
_PREFIX = "TOCSIN_"


def _unset(value: object) -> object:
    """An empty variable is an unset one, as in Compose files and unit files."""
    return None if value == "" else value


_Text = Annotated[str | None, BeforeValidator(_unset)]
_Path = Annotated[Path | None, BeforeValidator(_unset)]
_Hidden = Annotated[SecretStr | None, BeforeValidator(_unset)]
_Port = Annotated[Annotated[int, Field(ge=0, le=65535)] | None, BeforeValidator(_unset)]


class _Variables(PydanticBaseSettingsSource):
    """Reads a mapping that is handed in, not the process' own environment: tests own theirs."""

    def __init__(self, settings: type[BaseSettings], env: Mapping[str, str]) -> None:
        super().__init__(settings)
        self._env = env

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[str | None, str, bool]:  # noqa: ARG002
        """The variable of a field."""
        return self._env.get(_PREFIX + field_name.upper()), field_name, False

    def __call__(self) -> dict[str, object]:
        """All variables that are set."""
        values = {name: self._env.get(_PREFIX + name.upper()) for name in self.settings_cls.model_fields}
        return {name: value for name, value in values.items() if value is not None}


class Environment(BaseSettings):
    """The variables Tocsin's server knows. `datasources` is a YAML or JSON list like that of the file."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    state_dir: _Path = None
    config: _Path = None
    prometheus_url: _Text = None
    loki_url: _Text = None
    api_token: _Hidden = None
    api_token_file: _Path = None
    database_url: _Hidden = None
    host: _Text = None
    port: _Port = None
    datasources: _Text = None


def read_environment(env: Mapping[str, str]) -> tuple[Environment, tuple[Problem, ...]]:
    """The variables in `env`; a variable that cannot be is a problem and counts as unset."""

    class Given(Environment):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,  # noqa: ARG003
            env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return (_Variables(settings_cls, env),)

    try:
        return Given(), ()
    except ValidationError as error:
        wrong = {str(each["loc"][0]): each["msg"] for each in error.errors(include_input=False)}
        problems = tuple(
            Problem(FILE, None, _PREFIX + name.upper(), _lower(message)) for name, message in wrong.items()
        )
        rest, _ = read_environment({k: v for k, v in env.items() if k.removeprefix(_PREFIX).lower() not in wrong})
        return rest, problems


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]
