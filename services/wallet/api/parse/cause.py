"""Read on whose behalf an admin action is asked for, and why. No I/O."""

from wallet.api import fields
from wallet.api.form import Form
from wallet.domain.audit import Cause
from walletkit import principal, request

MAX_ACTOR_BYTES = 255
"""As OpenID Connect bounds a subject. A longer one is told by its begin."""


def cause(reason: str, form: Form) -> Cause:
    """Read the reason, and take whose call it is. A malformed reason has no value."""
    reason = form.read(fields.short_text, "reason", reason, fields.MAX_REASON_BYTES)
    return whose_call()._replace(reason=reason)


def whose_call() -> Cause:
    """Return whose call it is, without a reason: a reversal's transaction says its own."""
    actor = principal.current().actor
    if len(actor.encode()) > MAX_ACTOR_BYTES:
        actor = actor.encode()[:MAX_ACTOR_BYTES].decode(errors="ignore")
    return Cause(actor, request.current_id())
