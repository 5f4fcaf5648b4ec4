"""What can go wrong here, each in one sentence for the customer."""

from __future__ import annotations

from tollkeeper.base.errors import NotFound, TollkeeperError, Unauthenticated


class AdminKeyRequired(Unauthenticated):
    """This endpoint takes an ADMIN key"""

    # 401 like a key that is wrong, as Venice answers INFERENCE keys on billing endpoints.
    code = "admin_key_required"


class DuplicateOrganization(TollkeeperError):
    """This organization was made before"""

    code = "duplicate_organization"
    status = 409


class ProjectNotFound(NotFound):
    """There is no such project in this organization"""

    code = "project_not_found"


class DuplicateProject(TollkeeperError):
    """A project of this name exists already"""

    code = "duplicate_project"
    status = 409


class DuplicateMember(TollkeeperError):
    """A member with this email address exists already"""

    code = "duplicate_member"
    status = 409


class LastOwner(TollkeeperError):
    """An organization that has an owner keeps one"""

    code = "last_owner"
    status = 409
