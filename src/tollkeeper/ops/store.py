"""What `doctor` asks the database about itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tollkeeper.db import Connection


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """`may_rewrite` names tables of written-once rows that the application could change."""

    version: int
    now: datetime
    role: str
    is_superuser: bool
    max_connections: int
    used_connections: int
    size_bytes: int
    durable: bool
    is_standby: bool
    may_rewrite: list[str]


_FACTS: Final = """
SELECT current_setting('server_version_num')::integer,
       clock_timestamp(),
       current_user::text,
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
       current_setting('max_connections')::integer
           - current_setting('superuser_reserved_connections')::integer,
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::integer,
       pg_database_size(current_database()),
       current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on',
       pg_is_in_recovery(),
       coalesce((
           SELECT array_agg(c.relname::text ORDER BY c.relname)
           FROM pg_class AS c
           WHERE c.relnamespace = 'public'::regnamespace
             AND c.relname IN ('entry', 'lot', 'usage_record', 'audit_log', 'price_version')
             AND has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE')
       ), '{}')
"""


async def read_facts(connection: Connection) -> DatabaseFacts:
    (row,) = await (await connection.execute(_FACTS)).fetchall()
    return DatabaseFacts(*row)
