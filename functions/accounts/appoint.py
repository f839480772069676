"""`make operator HANDLE=…`: puts an account into the group of operators, by AWS credentials rather than by a route.

In a new deployment nobody is operator, so the first cannot be named by another. It needs the stack's outputs and the
rights to read them, to read and write the Accounts table, and to add users of the pool to a group.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from functions import aws, settings
from functions.accounts import pool, table, trail
from functions.errors import OnairError
from functions.parse import Identity

STACK: Final = "Onair"
USAGE: Final = "make operator HANDLE=the_handle   (on a deployment, with its credentials: DEPLOYED=1)"


def appoint(handle: str, by: Identity) -> bool:
    """Make the account of ``handle`` an operator; False when it is one already.

    The trail is written first: nobody becomes an operator without an entry.

    Raises
    ------
    OnairError
        ``not_found`` when nobody has this handle.
    """
    account = table.by_handle(handle)
    if pool.is_operator(account.handle):
        return False
    trail.write(trail.entry(by, "operator.appoint", account.handle, "Named by the deployment's own credentials."))
    pool.add_operator(account.handle)
    return True


def _outputs() -> dict[str, str]:
    name = os.environ.get("STACK", STACK)
    found: dict[str, Any] = aws.client("cloudformation").describe_stacks(StackName=name)
    return {str(each["OutputKey"]): str(each["OutputValue"]) for each in found["Stacks"][0].get("Outputs", [])}


def _who() -> Identity:
    arn = str(aws.client("sts").get_caller_identity()["Arn"])
    return Identity(account=arn, handle=arn.rpartition(":")[2])


def main() -> int:
    """Appoint, and tell; the exit code is 0 when the account is an operator afterwards."""
    handle = os.environ.get("HANDLE", "").strip()
    if not handle:
        print(f"Whose? {USAGE}", file=sys.stderr)  # noqa: T201
        return 2
    try:
        outputs = _outputs()
        names = {"ACCOUNTS_TABLE": outputs["AccountsTable"], "USER_POOL_ID": outputs["UserPoolId"]}
        settings.environment.set({**os.environ, **names})
        new = appoint(handle, _who())
    except OnairError as error:
        text = f"Nobody has the handle {handle}. Sign up first." if error.code == "not_found" else error.message
        print(text, file=sys.stderr)  # noqa: T201
        return 1
    except (BotoCoreError, ClientError) as error:
        where = os.environ.get("AWS_ENDPOINT_URL", "AWS")
        print(f"{where} did not answer as hoped: {error}\n{USAGE}", file=sys.stderr)  # noqa: T201
        return 1
    done = "is an operator now; signing in anew brings the right" if new else "is an operator already"
    print(f"{handle} {done}.")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
