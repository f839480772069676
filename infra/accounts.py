"""Accounts: the table of profiles, handles and follows, and the Cognito pool that holds passwords and signs tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_cognito as cognito
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from functions.accounts.model import PASSWORD_LENGTH_MIN
from functions.security import OPERATORS
from infra import rules
from infra.handler import Handler, House
from infra.interfaces import interface
from infra.storage import table

if TYPE_CHECKING:
    from infra.rooms import Rooms
    from infra.streams import Streams


class Accounts(Construct):
    """Accounts table, user pool and the pool's one client."""

    def __init__(self, scope: Construct, name: str, *, house: House) -> None:
        super().__init__(scope, name)
        self._house = house
        # Keys only: whoever is told that a follow came or went reads what stands.
        self.table = table(self, "Accounts", house, stream=dynamodb.StreamViewType.KEYS_ONLY)
        self.pool = cognito.UserPool(
            self,
            "Pool",
            sign_in_aliases=cognito.SignInAliases(username=True),
            sign_in_case_sensitive=False,
            # Users come by POST /accounts alone, which asks what a sign-up needs (age, market) and how often one tries.
            self_sign_up_enabled=False,
            # Contact is optional, so there may be no way to reach a person: recovery is ours (POST /password-resets).
            account_recovery=cognito.AccountRecovery.NONE,
            mfa=cognito.Mfa.OPTIONAL,
            # No text messages: a number can be taken over.
            mfa_second_factor=cognito.MfaSecondFactor(otp=True, sms=False),
            password_policy=cognito.PasswordPolicy(
                min_length=PASSWORD_LENGTH_MIN,
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
            # By password only for who has the rights of POST /sessions: the client's id is in every token, and whoever
            # knows it could else try passwords at Cognito, where our counts of failures do not hold.
            auth_flows=cognito.AuthFlow(admin_user_password=True),
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
            "A second step is each person's choice: viewers sign up in seconds, and who loses it has recovery codes.",
        )
        rules.acknowledge(
            self.pool,
            "COG8",
            "Threat protection (the Plus plan) is billed per active user; an operator turns it on where that pays.",
        )

    def watch(self, streams: Streams, rooms: Rooms) -> None:
        """Add what keeps counts and standings right, which needs streams and rooms."""
        environment = {"ACCOUNTS_TABLE": self.table.table_name}
        counting = ["dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"]
        self.follower_count = Handler(
            self,
            "FollowerCount",
            house=self._house,
            entry="accounts.follower_count.handle",
            timeout_s=30,
            environment=environment,
        )
        self.follower_count.may(counting, on=[self.table.table_arn])
        stream = self.table.table_stream_arn
        assert stream is not None, "the Accounts table has a stream"
        # Granted one by one: the construct's own event source would let it list the streams of every table.
        reading = ["DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"]
        self.follower_count.may([f"dynamodb:{action}" for action in reading], on=[stream])
        self.follower_count.add_event_source_mapping(
            "Follows",
            event_source_arn=stream,
            starting_position=lambda_.StartingPosition.LATEST,
            batch_size=100,
            filters=[
                lambda_.FilterCriteria.filter(
                    {
                        "eventName": lambda_.FilterRule.or_("INSERT", "REMOVE"),
                        "dynamodb": {"Keys": {"sk": {"S": lambda_.FilterRule.begins_with("follower#")}}},
                    }
                )
            ],
            # One account's trouble must not stop the counts of all: halves are tried by themselves, then left behind.
            bisect_batch_on_error=True,
            retry_attempts=5,
        )

        self.keep = Handler(
            self,
            "Keep",
            house=self._house,
            entry="accounts.keep.handle",
            timeout_s=55,  # it starts each minute
            environment={
                **environment,
                "STREAMS_TABLE": streams.table.table_name,
                "USER_POOL_ID": self.pool.user_pool_id,
                **rooms.writer_environment(),
            },
        )
        self.keep.may([*counting, "dynamodb:Query"], on=[self.table.table_arn])
        self.keep.may(["dynamodb:GetItem", "dynamodb:UpdateItem"], on=[streams.table.table_arn])
        self.keep.may(["cognito-idp:AdminUserGlobalSignOut"], on=[self.pool.user_pool_arn])
        rooms.let_bar(self.keep)
        rooms.let_close(self.keep)
        events.Rule(
            self,
            "EachMinute",
            description="Does for accounts what is due: standings that change, followers that come of age",
            schedule=events.Schedule.rate(cdk.Duration.minutes(1)),
            targets=[
                interface(targets.LambdaFunction(interface(self.keep), retry_attempts=0))
            ],  # the next minute is the retry
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
