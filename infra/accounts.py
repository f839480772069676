"""Accounts: the table of profiles, handles and follows, and the Cognito pool that holds passwords and signs tokens."""

from __future__ import annotations

from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_cognito as cognito
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from functions.security import OPERATORS
from infra import rules
from infra.handler import Handler, House
from infra.interfaces import interface
from infra.storage import table

RECONCILE_S: Final = 600  # a run that does not come to the end is gone on with the next night


class Accounts(Construct):
    """Accounts table, user pool and the pool's one client."""

    def __init__(self, scope: Construct, name: str, *, house: House) -> None:
        super().__init__(scope, name)
        self.table = table(self, "Accounts", house)
        self.pool = cognito.UserPool(
            self,
            "Pool",
            sign_in_aliases=cognito.SignInAliases(username=True),
            sign_in_case_sensitive=False,
            # POST /accounts signs up with Cognito's open SignUp and confirms; a user made past it has no account here.
            self_sign_up_enabled=True,
            # Contact is optional, so there may be no way to reach a person: recovery is ours (POST /password-resets).
            account_recovery=cognito.AccountRecovery.NONE,
            mfa=cognito.Mfa.OFF,  # a person with a second step could not answer it yet: POST /sessions takes none
            password_policy=cognito.PasswordPolicy(
                min_length=10,
                require_lowercase=True,
                require_uppercase=True,
                require_digits=True,
                require_symbols=False,
            ),
            deletion_protection=house.settings.deletion_protection,
            removal_policy=house.removal,
        )
        self.client = self.pool.add_client(
            "Client",
            generate_secret=False,
            auth_flows=cognito.AuthFlow(user_password=True),
            disable_o_auth=True,
            access_token_validity=cdk.Duration.hours(1),
            id_token_validity=cdk.Duration.hours(1),
            refresh_token_validity=cdk.Duration.days(30),
            enable_token_revocation=True,
            prevent_user_existence_errors=True,
        )
        # Who decides about others. Nobody is in it at first: `make operator HANDLE=…` names the first.
        cognito.CfnUserPoolGroup(
            self,
            "Operators",
            user_pool_id=self.pool.user_pool_id,
            group_name=OPERATORS,
            description="May use the /operator/ routes",
        )
        rules.acknowledge(
            self.pool,
            "COG1",
            "Ten characters of three classes: a symbol adds less than length, and phones make symbols hard to type.",
        )
        rules.acknowledge(
            self.pool,
            "COG2",
            "One-time codes come with the sessions route that asks for them; before that they would lock people out.",
        )
        rules.acknowledge(
            self.pool,
            "COG8",
            "Threat protection (the Plus plan) is billed per active user; an operator turns it on where that pays.",
        )

        self._reconcile(house)

    def _reconcile(self, house: House) -> None:
        """Prove the counts of follows each night."""
        self.reconcile = Handler(
            self,
            "Reconcile",
            house=house,
            entry="accounts.reconcile.handle",
            timeout_s=RECONCILE_S,
            environment={"ACCOUNTS_TABLE": self.table.table_name},
        )
        self.reconcile.may(
            [f"dynamodb:{verb}" for verb in ("Scan", "Query", "GetItem", "PutItem", "UpdateItem", "DeleteItem")],
            on=[self.table.table_arn],
        )
        events.Rule(
            self,
            "EachNight",
            description="Proves that counts of follows are the number of their entries, and repairs them",
            schedule=events.Schedule.cron(hour="3", minute="20"),
            targets=[interface(targets.LambdaFunction(interface(self.reconcile), retry_attempts=0))],
        )

    @property
    def issuer(self) -> str:
        """What the ``iss`` of the pool's tokens says."""
        stack = cdk.Stack.of(self)
        return f"https://cognito-idp.{stack.region}.{stack.url_suffix}/{self.pool.user_pool_id}"

    @property
    def keys_url(self) -> str:
        """Where the pool publishes the keys that its tokens are signed with."""
        return f"{self.issuer}/.well-known/jwks.json"
