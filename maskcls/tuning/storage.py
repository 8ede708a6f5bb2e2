"""Where trials are kept: a database that Optuna reads and writes, so that any number of processes share a study."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from maskcls.config.installed_extras import check_extra
from maskcls.errors import ResourceError, UsageError

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

SQLITE = "sqlite"
KINDS = (SQLITE, "postgresql+psycopg")
WITHOUT_DRIVER = ("postgresql", "postgres")
BEAT_S = 15  # between two signs of life of a trial in work
GRACE_S = 120  # without a sign of life, after which a worker on another host counts as dead
LOCKED_S = 120.0  # how long a worker waits for another one that takes a trial, or writes into the same SQLite file


def sqlite_url(database: Path) -> str:
    """Return the URL of a file of SQLite."""
    return f"sqlite:///{database.resolve()}"


def check_storage(url: str) -> None:
    """Raise UsageError for a storage that several workers cannot use, ResourceError for a package that is missing."""
    kind, separator, _ = url.partition("://")
    if kind in WITHOUT_DRIVER:
        fix = "write postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"
        raise UsageError("the database's driver is not named", where="--storage", got=without_password(url), fix=fix)
    if not separator or kind not in KINDS:
        expected = "postgresql+psycopg://USER:PASSWORD@HOST/DATABASE, or sqlite:///FILE"
        fix = "leave out --storage for a file in the study's folder; Optuna's journal file does not show dead workers"
        raise UsageError("not a storage", where="--storage", got=without_password(url), expected=expected, fix=fix)
    if kind != SQLITE:
        check_extra("postgresql", needed_by="--storage")


def without_password(url: str) -> str:
    """Return a URL as it may be shown.

    >>> without_password("postgresql+psycopg://me:secret@host/db")
    'postgresql+psycopg://me:***@host/db'
    """
    scheme, separator, rest = url.partition("://")
    user, at, host = rest.rpartition("@")
    name, colon, _ = user.partition(":")
    return f"{scheme}{separator}{name}{':***' if colon else ''}{at}{host}"


def open_storage(url: str) -> RDBStorage:
    """Open the storage, and make its tables where there are none; ResourceError when it does not answer."""
    from optuna.storages import RDBStorage

    if url.startswith(SQLITE):
        options: dict[str, object] = {"connect_args": {"timeout": LOCKED_S}}
    else:
        options = {"pool_pre_ping": True}
    with storage_errors(url), quiet_optuna():
        return RDBStorage(url, engine_kwargs=options, heartbeat_interval=BEAT_S, grace_period=GRACE_S)


@contextmanager
def storage_errors(url: str) -> Iterator[None]:
    """Raise ResourceError in place of the errors of the database."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (StorageInternalError, SQLAlchemyError) as error:
        cause = error.__cause__ or error
        lines = [line for line in str(cause).splitlines() if line.strip()]
        raise ResourceError(
            "the storage of the study cannot be used",
            where=without_password(url),
            got=(lines or [type(cause).__name__])[0][:300],
            fix="start the database or free disk space; then give the same command again",
        ) from None


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Keep Optuna from writing to the terminal: what it warns of is chosen here on purpose."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        warnings.filterwarnings("ignore", message="Heartbeat of storage is supposed")
        warnings.filterwarnings("ignore", message=".*is out of range of the parameter")
        yield
