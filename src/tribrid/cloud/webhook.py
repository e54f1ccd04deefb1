"""An alert posted to the operator's address, by the conventions of Standard Webhooks: an id that stays the same however
often it is sent, and a signature where TRIBRID_ALERT_KEY is set.

References:
    https://www.standardwebhooks.com (headers, what is signed, how a secret is written).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tribrid.cloud.allowed import check_address
from tribrid.cloud.line import GaveUp, Later, Line, Refused, Unusable
from tribrid.config import Environment
from tribrid.errors import InvalidInput

SECTION, SETTING = "evaluation", "alert_url"
TIMEOUT_S = 10.0
RETRIES = 4
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 30.0
_ANSWER_BYTES = 100_000
_SECRET = "whsec_"


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent. `message_id`: tells a repetition from another message; `sent_s`: seconds since 1970."""

    message_id: str
    sent_s: int
    body: Mapping[str, object]


def deliver(environment: Environment, url: str, message: Message, *, first_wait_s: float = FIRST_WAIT_S) -> str | None:
    """Send it, again after a while where the address cannot take it.

    Args:
        first_wait_s: before the second attempt; doubled for each further one.

    Returns:
        Why it was not taken; None where it was. The address's own words are not repeated, nor is its path: it may hold
        a token.
    """
    try:
        check_address(environment, SECTION, SETTING, url)
        line = Line(url, None, "the time for an alert")
    except InvalidInput as error:
        return error.detail
    except ValueError:
        return f"{SECTION}.{SETTING} is no address."
    sign = _signing(message, environment.cloud_keys.get("alerts"))

    def ask() -> bytes:
        return line.post(message.body, timeout_s=TIMEOUT_S, max_bytes=_ANSWER_BYTES, sign=sign)

    def wait_s(later: Later, attempt: int) -> float | None:
        return min(first_wait_s * 2**attempt if later.wait_s is None else later.wait_s, LONGEST_WAIT_S)

    try:
        line.patiently(ask, RETRIES, wait_s)
    except Refused as refused:
        return f"{line.host} refuses it with status {refused.status}."
    except (GaveUp, Unusable) as error:
        return f"{line.host} {error}." if isinstance(error, Unusable) else f"{line.host} did not take it: {error}."
    finally:
        line.close()
    return None


def _signing(message: Message, secret: str | None) -> Callable[[bytes], Mapping[str, str]]:
    def headers(content: bytes) -> Mapping[str, str]:
        named = {"webhook-id": message.message_id, "webhook-timestamp": str(message.sent_s)}
        if secret is None:
            return named
        signed = f"{message.message_id}.{message.sent_s}.".encode() + content
        digest = hmac.new(_key(secret), signed, hashlib.sha256).digest()
        return {**named, "webhook-signature": f"v1,{base64.b64encode(digest).decode()}"}

    return headers


def _key(secret: str) -> bytes:
    """The bytes of a secret: base64 after `whsec_`, as Standard Webhooks writes it, else the text itself."""
    if secret.startswith(_SECRET):
        try:
            return base64.b64decode(secret.removeprefix(_SECRET), validate=True)
        except binascii.Error:
            pass  # somebody's own text that begins so
    return secret.encode()
