"""The stack: puts the capabilities together, names the addresses for clients, and writes the template."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import aws_cdk as cdk
from constructs import Construct

from infra import bundling, rules, settings
from infra.account_work import AccountWork
from infra.accounts import Accounts
from infra.alarms import Alarms, functions_of
from infra.api import Api
from infra.audit import Audit
from infra.handler import House
from infra.notices import Notices
from infra.payouts import Payouts
from infra.relay import Relay
from infra.rooms import Rooms
from infra.storage import secret
from infra.streams import Streams
from infra.wallet import Wallet
from infra.web import Web

NAME: Final = "Onair"
PROTOCOL: Final = 1


class OnairStack(cdk.Stack):
    """Everything that a deployment of Onair is made of; account and region stay open."""

    def __init__(self, scope: Construct, name: str) -> None:
        super().__init__(scope, name, description="Onair: live broadcasting in an account of one's own")
        house = House(settings=settings.read(self), code=bundling.code())
        signing = secret(self, "Signing", "Onair: signs tickets and stream keys", house)
        playback = secret(self, "Playback", "Onair: signs rights to watch; CloudFront checks with it", house)
        origin = secret(self, "Origin", "Onair: what CloudFront shows the relay's balancer", house)

        self.accounts = Accounts(self, "Accounts", house=house)
        self.streams = Streams(self, "Streams", house=house)
        self.wallet = Wallet(self, "Wallet", house=house)
        self.payouts = Payouts(self, "Payouts", house=house, accounts=self.accounts, wallet=self.wallet)
        self.rooms = Rooms(
            self,
            "Rooms",
            house=house,
            accounts=self.accounts,
            streams=self.streams,
            wallet=self.wallet,
            signing=signing,
        )
        self.streams.watch(self.rooms, self.accounts)
        self.accounts.watch(self.streams, self.rooms)
        self.web = Web(self, "Web", house=house)
        self.notices = Notices(self, "Notices", house=house, accounts=self.accounts, streams=self.streams, web=self.web)
        self.account_work = AccountWork(
            self,
            "AccountWork",
            house=house,
            accounts=self.accounts,
            streams=self.streams,
            rooms=self.rooms,
            web=self.web,
        )
        self.relay = Relay(
            self,
            "Relay",
            house=house,
            streams=self.streams,
            rooms=self.rooms,
            web=self.web,
            signing=signing,
            playback=playback,
            origin=origin,
        )
        self.streams.record(self.relay.bucket)
        self.streams.let_forget(self.account_work.work)
        self.api = Api(
            self,
            "Api",
            house=house,
            accounts=self.accounts,
            work=self.account_work,
            streams=self.streams,
            rooms=self.rooms,
            wallet=self.wallet,
            relay=self.relay,
            web=self.web,
            signing=signing,
            playback=playback,
        )
        self.payouts.let_ask(self.api.handler)
        self.notices.let_register(self.api.handler)
        self.notices.let_reach_phones(self.account_work.work, "DeleteEndpoint")
        for handler in (
            self.api.handler,
            self.accounts.follower_count,
            self.payouts.pay_out,
            self.rooms.insights,
            self.streams.sweep,
        ):
            self.notices.let_announce(handler)
        self.streams.let_forget(self.api.handler)
        self.streams.let_download(self.api.handler)
        self.audit = Audit(self, "Audit", house=house, wallet=self.wallet)
        self.audit.let_read(self.api.handler)
        # Both APIs write access logs through the account's one role, which must be set first.
        account = next(node for node in self.api.node.find_all() if isinstance(node, cdk.aws_apigateway.CfnAccount))
        self.rooms.stage.node.add_dependency(account)
        self._alarm(house)
        config = self._addresses()
        self.web.publish({**config, "protocol": PROTOCOL, "min_client_protocol": PROTOCOL})
        self._tell(config)

    def _addresses(self) -> dict[str, str]:
        return {
            "api_url": self.api.url,
            "socket_url": self.api.socket_url,
            "relay_url": self.web.url,
            "rtmp_url": self.relay.rtmp_url,
            "web_url": self.web.url,
        }

    def _alarm(self, house: House) -> None:
        self.alarms = Alarms(self, "Alarms", house=house)
        self.alarms.watch_queues(
            {
                "Ring": self.rooms.ring,
                "Later": self.rooms.later,
                "Settle": self.wallet.settlements,
                "Media": self.streams.media,
                "Download": self.streams.downloads,
                "Payouts": self.payouts.waiting,
                "Work": self.account_work.queue,
                "Notices": self.notices.queue,
                "Push": self.notices.pushes,
            }
        )
        self.alarms.watch_ring(self.rooms.ring)
        self.alarms.watch_functions(functions_of(self))
        self.alarms.watch_api(self.api.api.metric_server_error(period=cdk.Duration.minutes(1), statistic="sum"))
        self.alarms.watch_tables(
            {
                "Accounts": self.accounts.table,
                "Streams": self.streams.table,
                "Rooms": self.rooms.table,
                "Ledger": self.wallet.table,
            }
        )
        self.alarms.watch_relay(self.relay)
        self.alarms.watch_recordings(self.relay.recording_losses)
        self.alarms.watch_ledger()

    def _tell(self, config: Mapping[str, str]) -> None:
        # Outputs are named as in config.json, in CloudFormation's capitals: api_url is ApiUrl.
        outputs = {
            **{"".join(word.capitalize() for word in name.split("_")): value for name, value in config.items()},
            "SocketCallbackUrl": self.rooms.stage.callback_url,
            "AccountsTable": self.accounts.table.table_name,
            "StreamsTable": self.streams.table.table_name,
            "RoomsTable": self.rooms.table.table_name,
            "LedgerTable": self.wallet.table.table_name,
            "RingQueueUrl": self.rooms.ring.queue.queue_url,
            "SettleQueueUrl": self.wallet.settlements.queue.queue_url,
            "AuditBucket": self.audit.bucket.bucket_name,
            "PayoutsQueueUrl": self.payouts.waiting.queue.queue_url,
            "MediaQueueUrl": self.streams.media.queue.queue_url,
            "UserPoolId": self.accounts.pool.user_pool_id,
            "UserPoolClientId": self.accounts.client.user_pool_client_id,
            "MediaBucket": self.relay.bucket.bucket_name,
            "WorkQueueUrl": self.account_work.queue.queue.queue_url,
            "NoticesQueueUrl": self.notices.queue.queue.queue_url,
            "PushQueueUrl": self.notices.pushes.queue.queue_url,
            "PicturesBucket": self.account_work.bucket.bucket_name,
            "PageBucket": self.web.bucket.bucket_name,
            "DistributionDomain": self.web.distribution.distribution_domain_name,
            "AlarmTopic": self.alarms.topic.topic_arn,
        }
        for name, value in outputs.items():
            cdk.CfnOutput(self, name, value=value).override_logical_id(name)


def build(outdir: Path | None = None, context: Mapping[str, Any] | None = None) -> tuple[cdk.App, OnairStack]:
    """The app and its stack, not yet written.

    Parameters
    ----------
    outdir : Path | None
        Where the template and the assets go; ``None`` leaves it to the CDK command line.
    context : Mapping[str, Any] | None
        Keys that replace those of cdk.json.
    """
    app = cdk.App(
        outdir=str(outdir) if outdir is not None else None,
        context={**settings.context_of_cdk_json(), **(context or {})},
        analytics_reporting=False,
    )
    stack = OnairStack(app, NAME)
    rules.enforce(app)
    return app, stack


def synthesize(outdir: Path, context: Mapping[str, Any] | None = None) -> Path:
    """Write the template and its assets to ``outdir``; needs neither credentials nor Docker.

    Parameters
    ----------
    outdir : Path
        Made when missing.
    context : Mapping[str, Any] | None
        Keys that replace those of cdk.json, for example ``{"relay_image": "…"}``.

    Returns
    -------
    Path
        The template. Beside it ``Onair.assets.json`` names the assets.

    Raises
    ------
    RuntimeError
        When a rule of `infra.rules` has a finding that nobody acknowledged.
    """
    app, _ = build(outdir, context)
    assembly = app.synth()
    return Path(assembly.directory) / f"{NAME}.template.json"


if __name__ == "__main__":
    # For callers that want the 0.5 GB of CDK out of their process: python -m infra.stack OUTDIR [JSON context]
    print(synthesize(Path(sys.argv[1]), json.loads(sys.argv[2]) if len(sys.argv) > 2 else None))  # noqa: T201
