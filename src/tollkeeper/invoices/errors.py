from __future__ import annotations

from tollkeeper.base.errors import TollkeeperError


class CauseReused(TollkeeperError):
    """This cause has already issued another document"""

    code = "invoice_cause_reused"
    status = 422


class CreditNoteRefused(TollkeeperError):
    """This document cannot be credited like that"""

    code = "credit_note_refused"
    status = 409


class StatementWrong(TollkeeperError):
    """The statement does not add up with the ledger"""

    code = "statement_does_not_add_up"
    status = 500
