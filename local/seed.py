"""The demo accounts and the demo broadcast, made through the HTTPS API like any client's.

One thing is written straight into the table: the followers of the accounts that may go live. A thousand of them by API
would be 3,000 requests and a minute; the counter on the profile is what eligibility reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from functions import aws, clock
from functions.security import OPERATORS
from local.addresses import DEMO_ACCOUNTS, PASSWORD, Addresses
from local.client import Client
from local.declared import Declared
from local.ports import LOOPBACK

FOLLOWERS: Final = 1_250
# The two packs that come nearest to the 10,000 coins a tester wants.
PACKS: Final = ("coins_7000", "coins_3500")
NEWCOMER_AGE_YEARS: Final = 15
NAMES: Final[Mapping[str, str]] = {
    "demo_host": "Demo Host",
    "demo_viewer": "Demo Viewer",
    "demo_viewer2": "Demo Viewer Two",
    "demo_newcomer": "Demo Newcomer",
    "demo_studio": "Onair Studio",
    "demo_operator": "Demo Operator",
}


@dataclass(frozen=True)
class Demo:
    """The demo broadcast: where its test source publishes, and with which key."""

    stream_id: str
    whip_url: str
    stream_key: str


class Seed:
    """Fills an empty stack."""

    def __init__(self, addresses: Addresses, declared: Declared) -> None:
        self._addresses = addresses
        self._declared = declared

    def run(self) -> Demo:
        """Make accounts, follows, coins and the demo broadcast; returns what its test source needs."""
        clients = {handle: Client(self._addresses.own_api_url) for handle in DEMO_ACCOUNTS}
        # Beside each other: most of a sign-up is waiting for Cognito's RSA keys and the password's hash.
        with ThreadPoolExecutor(len(clients)) as pool:
            list(pool.map(self._sign_up, clients.keys(), clients.values()))
            list(pool.map(self._equip, clients.values()))
        return self._broadcast(clients["demo_studio"])

    def _sign_up(self, handle: str, client: Client) -> None:
        year = clock.today_utc(clock.now_ms()).year - NEWCOMER_AGE_YEARS
        birth_date = f"{year}-01-01" if handle == "demo_newcomer" else "1990-05-17"
        client.sign_up(handle, PASSWORD, name=NAMES[handle], birth_date=birth_date)
        if handle == "demo_operator":
            aws.client("cognito-idp").admin_add_user_to_group(
                UserPoolId=self._declared.user_pool, Username=handle, GroupName=OPERATORS
            )

    def _equip(self, client: Client) -> None:
        if client.handle in ("demo_host", "demo_studio"):
            give_followers(self._declared, str(client.account_id), FOLLOWERS)
        if client.handle in ("demo_viewer", "demo_viewer2"):
            for pack in PACKS:
                client.buy(pack)
            for followed in ("demo_host", "demo_studio"):
                client.call("PUT", f"/accounts/{followed}/follow")

    def _broadcast(self, studio: Client) -> Demo:
        devices = {"encoder": True}
        made: Any = studio.call(
            "POST", "/streams", {"title": "Onair test card", "topics": ["demo"], "devices": devices}
        )
        started: Any = studio.call("POST", f"/streams/{made['id']}/start", {"devices": devices})
        # By loopback even where clients go over the home network: the source runs on this machine.
        whip_url = f"http://{LOOPBACK}:{self._addresses.ports.relay}/whip/{made['id']}"
        return Demo(str(made["id"]), whip_url, str(started["publish"]["stream_key"]))


def give_followers(declared: Declared, account_id: str, count: int) -> None:
    """Set an account's follower counts (no follow items stand behind them: eligibility reads the count alone)."""
    table = declared.outputs["AccountsTable"]
    aws.client("dynamodb").update_item(
        TableName=table,
        Key={"pk": {"S": f"account#{account_id}"}, "sk": {"S": "profile"}},
        UpdateExpression="SET followers = :count, followers_counted = :count",
        ConditionExpression="attribute_exists(pk)",
        ExpressionAttributeValues={":count": {"N": str(count)}},
    )


def make_older(declared: Declared, account_id: str, days: int) -> None:
    """Move the day of an account's sign-up back, as no route can: followers count from a week of age."""
    aws.client("dynamodb").update_item(
        TableName=declared.outputs["AccountsTable"],
        Key={"pk": {"S": f"account#{account_id}"}, "sk": {"S": "profile"}},
        UpdateExpression="SET created_ms = created_ms - :time",
        ConditionExpression="attribute_exists(pk)",
        ExpressionAttributeValues={":time": {"N": str(days * 86_400_000)}},
    )
