"""Accounts: the table of profiles, handles and follows, and the Cognito pool that holds passwords and signs tokens."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_cognito as cognito
from constructs import Construct

from functions.accounts.model import PASSWORD_LENGTH_MIN
from functions.security import OPERATORS
from infra import rules
from infra.handler import House
from infra.storage import table


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
            "A second step is each person's choice: viewers sign up in seconds, and who loses it has recovery codes.",
        )
        rules.acknowledge(
            self.pool,
            "COG8",
            "Threat protection (the Plus plan) is billed per active user; an operator turns it on where that pays.",
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
