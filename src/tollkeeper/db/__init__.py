"""PostgreSQL: connections in the application's role, migrations, and the embedded server."""

from tollkeeper.db.backup import BackupError, dump_database, restore_database
from tollkeeper.db.embedded import EmbeddedServer, EmbeddedServerError
from tollkeeper.db.migrate import MigrationError, migrate, pending_migrations, pending_on
from tollkeeper.db.pool import Connection, Database, unavailable

__all__ = [
    "BackupError",
    "Connection",
    "Database",
    "EmbeddedServer",
    "EmbeddedServerError",
    "MigrationError",
    "dump_database",
    "migrate",
    "pending_migrations",
    "pending_on",
    "restore_database",
    "unavailable",
]
