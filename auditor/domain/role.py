"""Who acts, where no key says so: a role of the house, as entries name it."""

from __future__ import annotations

from auditor.domain.kind import is_token
from auditor.errors import MisuseError


def require_role(role: str) -> str:
    """See that a role can stand in an entry, before anything is kept for that entry.

    Raises:
        MisuseError: it can't; the message doesn't repeat it, as it may be a name.
    """
    if not is_token(role):
        raise MisuseError(
            "whoever acts is named by a role, never by a name: letters a to z, digits and . _ - "
            "without blanks, as in dpo or privacy-office"
        )
    return role
