"""Why a code brings no credit, in the order of checking."""

from __future__ import annotations

from tollkeeper.base.errors import NotFound, TollkeeperError


class CodeUnknown(NotFound):
    """There is no such code"""

    code = "code_unknown"


class CodeAlreadyRedeemed(TollkeeperError):
    """This organization has redeemed the code before"""

    code = "code_already_redeemed"
    status = 409


class CodeNotYetValid(TollkeeperError):
    """The code cannot be redeemed yet"""

    code = "code_not_yet_valid"
    status = 409


class CodeExpired(TollkeeperError):
    """The code can no longer be redeemed"""

    code = "code_expired"
    status = 409


class CodeForNewOrganizations(TollkeeperError):
    """The code is for new organizations"""

    code = "code_for_new_organizations"
    status = 409


class CodeUsedUp(TollkeeperError):
    """The code has been redeemed as often as it may be"""

    code = "code_used_up"
    status = 409


class CodeTaken(TollkeeperError):
    """There is a campaign with this code already"""

    code = "code_taken"
    status = 409
