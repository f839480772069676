"""Payouts: the queue of those due, the handler that asks a provider to pay, and the key of tax numbers."""

from __future__ import annotations

import json

from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda_event_sources as sources
from constructs import Construct

from infra.accounts import Accounts
from infra.handler import Handler, House
from infra.storage import index_arn, work_queue
from infra.wallet import STATEMENT_INDEX, UNSETTLED_INDEX, Wallet

# Two payouts of three calls of at most 8 s each (functions/wallet/stripe_transfers.py), and what DynamoDB takes.
BATCH = 2
TIMEOUT_S = 60


class Payouts(Construct):
    """Queue, handler and key."""

    def __init__(self, scope: Construct, name: str, *, house: House, accounts: Accounts, wallet: Wallet) -> None:
        super().__init__(scope, name)
        self._settings = house.settings
        self._wallet = wallet
        self.key = kms.Key(
            self,
            "TaxKey",
            description="Onair: tax identifiers of creators",
            enable_key_rotation=True,
            removal_policy=house.removal,
        )
        self.waiting = work_queue(self, "Payouts", visibility_s=TIMEOUT_S + 30, retention_s=4 * 24 * 3600)
        self.pay_out = Handler(
            self,
            "PayOut",
            house=house,
            entry="wallet.pay_out.handle",
            timeout_s=TIMEOUT_S,
            environment={
                "LEDGER_TABLE": wallet.table.table_name,
                "ACCOUNTS_TABLE": accounts.table.table_name,
                **self._provider(),
            },
        )
        self.pay_out.may(["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"], on=[wallet.table.table_arn])
        self.pay_out.may(["dynamodb:Query"], on=[index_arn(wallet.table, STATEMENT_INDEX)])
        self.pay_out.may(["dynamodb:Query"], on=[accounts.table.table_arn])
        self._let_ask_provider(self.pay_out)
        self.pay_out.add_event_source(
            sources.SqsEventSource(self.waiting.queue, batch_size=BATCH, report_batch_item_failures=True)
        )
        self._let_ring(wallet.ring_unsettled)
        wallet.ring_unsettled.may(["dynamodb:Query"], on=[index_arn(wallet.table, UNSETTLED_INDEX)])

    def let_ask(self, handler: Handler) -> None:
        """Let ``handler`` serve creators and operators: keep a payee's number, ask the provider, ring, read the queue.

        It may encrypt and not decrypt: nobody here reads a tax number.
        """
        self._let_ring(handler)
        handler.add_environment("TAX_KEY_ARN", self.key.key_arn)
        handler.may(["kms:Encrypt"], on=[self.key.key_arn])
        handler.may(["dynamodb:Query"], on=[index_arn(self._wallet.table, UNSETTLED_INDEX)])
        for variable, value in self._provider().items():
            handler.add_environment(variable, value)
        self._let_ask_provider(handler)
        if self._settings.tax:
            handler.add_environment("TAX", json.dumps(self._settings.tax, sort_keys=True))

    def _let_ring(self, handler: Handler) -> None:
        handler.add_environment("PAYOUTS_QUEUE_URL", self.waiting.queue.queue_url)
        handler.may(["sqs:SendMessage"], on=[self.waiting.queue.queue_arn])

    def _provider(self) -> dict[str, str]:
        secret = self._settings.payouts_secret_arn
        return {
            "SANDBOX_PURCHASES": "true" if self._settings.sandbox_purchases else "false",
            **({"PAYOUTS_SECRET_ARN": secret} if secret else {}),
        }

    def _let_ask_provider(self, handler: Handler) -> None:
        if self._settings.payouts_secret_arn:
            handler.may(["secretsmanager:GetSecretValue"], on=[self._settings.payouts_secret_arn])
