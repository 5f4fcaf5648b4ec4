"""PostgreSQL: connections in the application's role, migrations, and the embedded server."""

from tollkeeper.db.embedded import EmbeddedServer, EmbeddedServerError
from tollkeeper.db.migrate import MigrationError, migrate
from tollkeeper.db.pool import Connection, Database, unavailable

__all__ = [
    "Connection",
    "Database",
    "EmbeddedServer",
    "EmbeddedServerError",
    "MigrationError",
    "migrate",
    "unavailable",
]
