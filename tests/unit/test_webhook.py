"""Alerts posted to a real server: signed, repeated where it may help, and never to an address that is not allowed."""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path

import pytest

from tribrid.cloud.webhook import RETRIES, Message, deliver
from tribrid.config import Environment
from webhook_server import Receiver, webhook_receiver

MESSAGE = Message("alert_e1", 1_800_000_000, {"type": "evaluation.alert", "data": {"name": "größer"}})


def environment(**given: object) -> Environment:
    return Environment.model_validate({"data_dir": Path("/nowhere"), **given})


def send(receiver: Receiver, **given: object) -> str | None:
    return deliver(environment(**given), receiver.url, MESSAGE, first_wait_s=0.01)


@pytest.mark.parametrize("secret", ["some words", "whsec_c29tZSB3b3Jkcw==", "whsec_no base64"])
def test_it_is_signed_as_standard_webhooks_are(secret: str) -> None:
    with webhook_receiver() as receiver:
        assert send(receiver, cloud_keys={"alerts": secret}) is None
    (heard,) = receiver.heard
    assert heard.body == MESSAGE.body
    key = secret.encode() if secret == "whsec_no base64" else b"some words"
    signed = b"alert_e1.1800000000." + heard.content
    digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert heard.headers["webhook-id"] == "alert_e1"
    assert heard.headers["webhook-timestamp"] == "1800000000"
    assert heard.headers["webhook-signature"] == f"v1,{digest}"
    assert secret not in str(heard.headers)


def test_without_a_key_it_is_not_signed_and_is_sent_again_under_the_same_id() -> None:
    with webhook_receiver() as receiver:
        receiver.statuses += [503, 429, 200]
        assert send(receiver) is None
    assert [heard.headers["webhook-id"] for heard in receiver.heard] == ["alert_e1"] * 3
    assert "webhook-signature" not in receiver.heard[0].headers


@pytest.mark.parametrize(
    ("status", "asked", "said"),
    [(500, RETRIES + 1, "did not take it"), (410, 1, "refuses it with status 410"), (302, 1, "status 302")],
)
def test_what_is_not_taken_is_said_without_the_path(status: int, asked: int, said: str) -> None:
    with webhook_receiver() as receiver:
        receiver.statuses += [status] * 10
        why = send(receiver)
    assert len(receiver.heard) == asked
    assert why is not None
    assert said in why
    assert "secret-path" not in why


def test_nobody_there_and_an_address_that_is_not_allowed() -> None:
    with webhook_receiver() as receiver:
        assert "not among the hosts" in str(send(receiver, outbound_hosts="alerts.example.com"))
        assert "never asked" in str(deliver(environment(), "http://169.254.169.254/x", MESSAGE))
        assert receiver.heard == []
    assert "did not take it: ConnectError" in str(send(receiver))
