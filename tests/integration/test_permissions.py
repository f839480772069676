"""Rights of each function: the AWS calls that it made, held against its policies in the template.

Too little fails: a call, item by item of a transaction, that no policy of the function allows. Too much fails as well:
a right that nothing here used and that `UNUSED_HERE` does not explain. Who adds a right adds what uses it to
`_exercise`, or says in that list what it takes to get there.
"""

from __future__ import annotations

import base64
import fnmatch
import io
import os
import re
import time
from dataclasses import dataclass
from typing import Any, Final

import jwt
import msgspec
import pytest
import urllib3
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from moto.cloudformation.models import cloudformation_backends
from moto.cloudformation.parsing import clean_json
from moto.sns.models import sns_backends
from PIL import Image

from functions import aws, clock, settings
from functions.accounts import due, push
from functions.accounts.due import Due
from functions.accounts.notices import Notice
from functions.accounts.table import PROFILE, ProfileItem, account_key
from functions.rooms.flood import REFUSALS_MAX
from local.deployment import ACCOUNT, REGION, STACK
from local.faults import Faults, FunctionFault, PostFault
from local.runtime import SeenCall
from local.stack import Stack, forget_containers
from local.testing import PASSWORD, Onair, wait_until
from media.relay.cmaf import AudioFormat, AudioSample, fragment, init_segment
from tests import push_service
from tests.integration.payout_moments import earn, exercise_audit, exercise_payouts
from tests.integration.room_moments import spend_an_evening

# Calls that carry their own proof (a password, a token) and take no permission of the caller.
UNSIGNED: Final = {
    ("cognito-idp", "SignUp"),
    ("cognito-idp", "InitiateAuth"),
    ("cognito-idp", "GlobalSignOut"),
    ("cognito-idp", "ChangePassword"),
    ("cognito-idp", "AssociateSoftwareToken"),
    ("cognito-idp", "VerifySoftwareToken"),
    # Never sent: botocore looks up a bucket's address as of this call when it signs a form for an upload.
    ("s3", "CreateBucket"),
}
# Used by the service on a function's behalf, never by its code: traces, its own log, and what its event source reads.
BY_THE_SERVICE: Final = {
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibility",
    "sqs:GetQueueAttributes",
    "sqs:GetQueueUrl",
    "dynamodb:DescribeStream",
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
    "dynamodb:ListStreams",
}
# (handler, action, resource's construct) → what it takes to get there. An entry that is used after all fails too.
UNUSED_HERE: Final = {
    ("accounts.picture", "s3:DeleteObject", "images/*"): "a newer upload was done while this one was made",
    ("accounts.work", "sqs:SendMessage", "AccountWorkWorkQueue"): "an erasure that takes longer than one run",
    ("streams.media", "sqs:SendMessage", "StreamsMediaQueue"): "a recording or a room too large for one run",
    ("streams.download", "sqs:SendMessage", "StreamsDownloadQueue"): "a recording too large for one run",
    ("streams.download", "s3:ListMultipartUploadParts", "replay/*"): "the same: what a run before has stored",
    ("accounts.reconcile", "sqs:SendMessage", "AccountWorkWorkQueue"): "an erasure whose message was lost",
    ("api.app", "s3:PutObject", "uploads/*"): "whoever holds a signed form uses this right, not the API",
    ("accounts.reconcile", "dynamodb:PutItem", "Accounts"): "more accounts than one run has time for",
    ("wallet.settle", "sqs:SendMessage", "WalletSettleQueue"): "more than 98 gifts wait for one creator",
}
# The same, where it hangs on who is faster: used in some runs.
AT_TIMES_UNUSED: Final = {
    ("accounts.keep", "dynamodb:GetItem", "Rooms"): "whom it shuts out is on screen, or the room was closed before",
    ("rooms.sequence", "dynamodb:UpdateItem", "Rooms"): "a comment is removed while the frame that holds it is made",
}


@dataclass(frozen=True)
class Right:
    """One action on one resource."""

    action: str
    resource: str


def _policies(onair: Onair) -> dict[str, list[dict[str, Any]]]:
    """Statements of every role, by the role's physical name."""
    stack: Any = cloudformation_backends[ACCOUNT][REGION].get_stack(STACK)
    found: dict[str, list[dict[str, Any]]] = {}
    for resource in onair.stack.options.template["Resources"].values():
        if resource["Type"] == "AWS::IAM::Policy":
            properties: dict[str, Any] = clean_json(resource["Properties"], stack.resource_map)
            for role in properties["Roles"]:
                found.setdefault(str(role), []).extend(properties["PolicyDocument"]["Statement"])
    return found


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _granted(onair: Onair) -> dict[str, set[Right]]:
    """What each function of ours may do, by its name."""
    policies = _policies(onair)
    return {
        name: {
            Right(action, resource)
            for statement in policies.get(function.role.rpartition("/")[2], [])
            if statement["Effect"] == "Allow"
            for action in _listed(statement["Action"])
            for resource in _listed(statement["Resource"])
        }
        for name, function in onair.stack.declared.functions.items()
        if function.handler.startswith("functions.")
    }


def _needed(onair: Onair, call: SeenCall) -> Right | None:
    """The right that one call takes; `None` for a call that takes none."""
    if (call.service, call.operation) in UNSIGNED:
        return None
    base = f"{REGION}:{ACCOUNT}"
    if call.service == "dynamodb":
        return Right(f"dynamodb:{call.operation}", f"arn:aws:dynamodb:{base}:table/{call.resource}")
    if call.service == "sqs":
        queue = call.resource.rpartition("/")[2]
        return Right(f"sqs:{call.operation.removesuffix('Batch')}", f"arn:aws:sqs:{base}:{queue}")
    if call.service == "secretsmanager":
        return Right(f"secretsmanager:{call.operation}", call.resource)
    if call.service == "s3":
        if call.operation == "ListObjectsV2":
            return Right("s3:ListBucket", f"arn:aws:s3:::{call.resource}")
        if call.operation == "DeleteObjects":  # which objects, the call's body says: of a recording, or an account's
            folder = "images" if "pictures" in call.resource else "replay"
            return Right("s3:DeleteObject", f"arn:aws:s3:::{call.resource}/{folder}/*")
        if call.operation in ("CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"):
            return Right("s3:PutObject", f"arn:aws:s3:::{call.resource}")
        return Right(f"s3:{call.operation}", f"arn:aws:s3:::{call.resource}")
    if call.service == "kms":
        return Right(f"kms:{call.operation}", call.resource)
    if call.service == "lambda":
        name = call.resource.rpartition(":function:")[2] or call.resource
        return Right("lambda:InvokeFunction", f"arn:aws:lambda:{base}:function:{name}")
    if call.service == "cognito-idp":
        return Right(f"cognito-idp:{call.operation}", f"arn:aws:cognito-idp:{base}:userpool/{call.resource}")
    if call.service == "ses":
        return Right(f"ses:{call.operation}", f"arn:aws:ses:{base}:identity/onair@example.org")
    if call.service == "sns":
        return Right(f"sns:{call.operation}", call.resource or "*")
    if call.service == "s3":
        # Of what it deletes, uploads: pictures only where a newer upload was faster.
        folder = "images" if call.operation == "PutObject" else "uploads"
        return Right(f"s3:{call.operation}", f"arn:aws:s3:::{call.resource}/{folder}/*")
    if call.service == "execute-api":
        # Posting to connections: the policy names the API, its stage and the path below it.
        api = onair.stack.declared.socket.api_id
        return Right("execute-api:ManageConnections", f"arn:aws:execute-api:{base}:{api}/live/POST/@connections/*")
    raise AssertionError(f"teach this test what {call.service}:{call.operation} needs")


def _covers(granted: Right, needed: Right) -> bool:
    return fnmatch.fnmatchcase(needed.action.lower(), granted.action.lower()) and fnmatch.fnmatchcase(
        needed.resource, granted.resource
    )


def _used(onair: Onair) -> dict[str, set[Right]]:
    return {
        name: {right for call in calls if (right := _needed(onair, call)) is not None}
        for name, calls in onair.stack.runtime.seen.items()
    }


# --- what is done, so that each function makes its calls ------------------------------------------------------------


def _exercise(onair: Onair) -> None:
    host, viewer = onair.account("right_host", followers=1_200), onair.account("right_viewer", coins=14_000)
    silent = onair.account("silent_host", followers=1_200)
    _accounts(onair, viewer)
    with push_service.running() as service:
        # Its service asks to wait, and then says that the browser is gone.
        service.answers = [429, 410]
        _phones(viewer)
        viewer.call("PUT", "/me/devices/right_phone", push_service.Browser(service).subscription)
        assert viewer.call("GET", "/me/devices")["web_push_key"]
        # As in `_room`: a container of its own reads the secret when the first push comes.
        forget_containers()
        stream = onair.broadcast(host)
        _relay_reports(onair, stream["id"])
        wait_until(lambda: _seen(onair, "announce", "BatchWriteItem"), "followers to be told")
        wait_until(lambda: _seen(onair, "push", "DeleteItem"), "a push to be put off")
        notice = Notice("go_live", clock.now_ms(), stream["id"], "right", host.account_id, "right_host", "Right Host")
        order = msgspec.json.encode(push.Order(notice, [viewer.account_id])).decode()
        record = {"messageId": "right", "body": order}
        # Apps that are gone: SNS disables their endpoints.
        for arn in sns_backends[ACCOUNT][REGION].platform_endpoints:
            aws.client("sns").set_endpoint_attributes(EndpointArn=arn, Attributes={"Enabled": "false"})
        assert _run(onair, "accounts.push.handle", {"Records": [record]}) == {"batchItemFailures": []}
        assert viewer.call("GET", "/me/devices")["items"] == []
    _room(onair, viewer, stream["id"])
    spend_an_evening(onair, host, viewer, stream["id"])
    _floods(onair, viewer, stream["id"])
    _own_data(onair)
    wait_until(lambda: viewer.call("GET", f"/streams/{stream['id']}")["media"] == "flowing", "the relay's report")
    for path in ("/feed/for-you", "/feed/following", "/feed/upcoming", "/wallet/statement", "/me"):
        viewer.call("GET", path)
    viewer.call("GET", f"/streams/{stream['id']}/frames")
    earn(onair, viewer, host, stream["id"])
    exercise_audit(onair, viewer)
    _ballots(onair, host, viewer, stream["id"])
    _seats(onair, host, viewer, stream["id"])
    _match(onair, host, stream["id"])
    _moderation(onair, host, stream["id"])
    _big_room(onair, stream["id"])
    _stadium(onair, host, stream["id"])
    left = _left_undone(onair, stream["id"])
    onair.advance(61)
    wait_until(lambda: viewer.call("GET", f"/streams/{left}").get("end_reason") == "standing", "`Keep` to end it", 20)
    _reminded(host, viewer)
    _schedules(onair, viewer, stream["id"], onair.broadcast(silent)["id"])
    wait_until(lambda: not host.call("GET", f"/streams/{stream['id']}/seats")["items"], "the guest to be missed", 20)
    _operators(onair)
    host.call("POST", f"/streams/{stream['id']}/publish")
    host.call("POST", f"/streams/{stream['id']}/end")
    _recording(onair, host, stream["id"])
    exercise_payouts(onair, host)
    devices = {"camera": True, "microphone": True}
    made = host.call("POST", "/streams", {"title": "Never", "topics": [], "devices": devices})
    host.call("DELETE", f"/streams/{made['id']}")


def _phones(who: Any) -> None:
    """A phone of each kind, which is dropped and comes back."""
    for kind in ("ios", "android"):
        for method in ("PUT", "DELETE", "PUT"):
            body = {"kind": kind, "token": f"{who.handle}-{kind}-token"} if method == "PUT" else None
            who.call(method, f"/me/devices/right_{kind}", body)


def _reminded(host: Any, viewer: Any) -> None:
    """A broadcast that is about to start once `_schedules` has moved the clock and `Sweep` comes by."""
    soon = clock.rfc3339(clock.now_ms() + 720_000)
    planned = {"title": "Soon", "topics": [], "devices": {"camera": True, "microphone": True}, "scheduled_for": soon}
    made = host.call("POST", "/streams", planned)
    viewer.call("PUT", f"/streams/{made['id']}/reminder")
    viewer.call("DELETE", f"/streams/{made['id']}/reminder")
    viewer.call("PUT", f"/streams/{made['id']}/reminder")


def _accounts(onair: Onair, viewer: Any) -> None:
    viewer.call("PUT", "/accounts/right_host/follow")
    viewer.call("GET", "/accounts/right_host/followers")
    viewer.call("DELETE", "/accounts/right_host/follow")
    viewer.call("PUT", "/accounts/right_host/follow")
    viewer.call("PATCH", "/me", {"display_name": "Right Viewer"})
    _social(onair, viewer)
    assert onair.client().request("POST", "/accounts", {"handle": "right_viewer"}).status == 400


def _social(onair: Onair, viewer: Any) -> None:
    shy = onair.account("right_shy")
    shy.call("PATCH", "/me", {"private": True})
    viewer.call("PUT", "/accounts/right_shy/follow")
    shy.call("PUT", "/me/follow-requests/right_viewer")
    shy.call("PUT", "/accounts/right_viewer/block")
    shy.call("DELETE", "/accounts/right_viewer/block")
    aws.client("dynamodb").update_item(
        TableName=onair.stack.declared.outputs["AccountsTable"],
        Key={"pk": {"S": f"account#{viewer.account_id}"}, "sk": {"S": "profile#following"}},
        UpdateExpression="SET following = :wrong",
        ExpressionAttributeValues={":wrong": {"N": "7"}},
    )
    assert _run(onair, "accounts.reconcile.handle")["repaired"] >= 1
    assert viewer.call("GET", "/me")["following"] == 1


def _own_data(onair: Onair) -> None:
    """A contact, a password and a second step; a picture; and all of it taken away again."""
    going = onair.account("right_going", followers=1_200)
    going.call("PUT", "/me/contact", {"contact": "going@example.org"})
    going.call("PUT", "/me/contact", {"contact": "+491701234567"})
    secret = going.call("POST", "/me/totp")["secret"]
    key = base64.b32decode(secret + "=" * (-len(secret) % 8), casefold=True)
    code = TOTP(key, 6, SHA1(), 30, enforce_key_length=False).generate(int(time.time())).decode()
    going.call("POST", "/me/totp/confirm", {"code": code})
    onair.client().call("POST", "/sessions", {"handle": "right_going", "password": PASSWORD, "code": code})
    going.call("POST", "/me/totp/disable", {"password": PASSWORD})
    onair.client().call("POST", "/password-resets", {"handle": "right_going"})
    stream_id = onair.broadcast(going)["id"]
    on_stage = onair.socket(going, stream_id)
    on_stage.join()
    for path in ("/me/avatar", f"/streams/{stream_id}/cover"):
        form = going.call("POST", path)
        picture = io.BytesIO()
        Image.new("RGB", (600, 600)).save(picture, "PNG")
        fields = {**form["fields"], "file": ("face.png", picture.getvalue())}
        assert urllib3.request("POST", form["url"], fields=fields).status in (200, 204)
        wait_until(lambda path=path: going.call("GET", path)["state"] == "ready", "the picture to be made")
    cursor = ""
    while True:
        page = going.call("GET", f"/me/export?limit=100{cursor}")
        if "cursor" not in page:
            break
        cursor = f"&cursor={page['cursor']}"
    _phones(going)
    going.call("PUT", "/me/password", {"password": PASSWORD, "new_password": "Another-pass-1"})
    going.call("DELETE", "/me")
    again = {"handle": "right_going", "password": "Another-pass-1"}
    wait_until(lambda: onair.client().request("POST", "/sessions", again).status == 401, "the account to be erased")
    wait_until(lambda: _seen(onair, "work", "AdminDeleteUser"), "the user to be deleted")


def _run(onair: Onair, handler: str, event: Any = None) -> Any:
    """Call a function as its schedule would."""
    (name,) = (name for name, one in onair.stack.declared.functions.items() if one.handler == f"functions.{handler}")
    outcome = onair.stack.runtime.call_and_wait(name, event or {})
    assert not outcome.failed, outcome.message
    return outcome.payload


def _operators(onair: Onair) -> None:
    """A host is struck while live, appeals and is let off; a follower's standing moves what it counts for."""
    olga, struck = onair.operator("right_olga"), onair.account("right_struck", followers=1_200)
    onair.broadcast(struck)
    struck.call("PUT", "/accounts/right_host/follow")
    reason = {"reason": "A test of rights"}
    entry = olga.call("POST", "/operator/accounts/right_struck/strikes", {"rule": "minor_safety", **reason})
    struck.sign_in("right_struck", PASSWORD)
    struck.call("POST", "/me/standing/appeals", {"entry_id": entry["id"], "text": "No"})
    (waiting,) = olga.call("GET", "/operator/appeals")["items"]
    olga.call("PUT", f"/operator/appeals/{waiting['id']}", {"decision": "overturned", **reason})
    until = clock.rfc3339(clock.now_ms() + 3_600_000)
    olga.call("PUT", "/operator/accounts/right_struck/live-access", {"until": until, **reason})
    _followers(onair)


def _followers(onair: Onair) -> None:
    """Follows that count come and go; one of a young account counts later."""
    old, young = onair.account("right_old", days_old=8), onair.account("right_young")
    for fan in (old, young):
        fan.call("PUT", "/accounts/right_host/follow")
    wait_until(lambda: _seen(onair, "follower_count", "UpdateItem"), "a follow to count")
    old.call("DELETE", "/accounts/right_host/follow")
    wait_until(lambda: _seen(onair, "follower_count", "DeleteItem"), "an unfollow to count")


def _left_undone(onair: Onair, stream_id: str) -> str:
    """What a route leaves that dies right after a suspension: a live broadcast, and a socket in another room."""
    left = onair.account("right_left", followers=1_200)
    opened = onair.socket(left, stream_id)
    opened.join()
    live = onair.broadcast(left)["id"]
    left.call("PUT", "/accounts/right_host/follow")
    token = settings.environment.set({**os.environ, "ACCOUNTS_TABLE": onair.stack.declared.outputs["AccountsTable"]})
    try:
        account = str(left.account_id)
        ProfileItem(account_key(account), PROFILE).update([ProfileItem.standing.set("suspended")])
        due.put(Due(account, clock.now_ms()))
    finally:
        settings.environment.reset(token)
    return str(live)


def _room(onair: Onair, viewer: Any, stream_id: str) -> None:
    url = str(viewer.call("POST", f"/streams/{stream_id}/ticket")["socket_url"])
    # In one process the API has read the secret for all; a container of its own reads it when the first ticket comes.
    forget_containers()
    sockets = [onair.open_socket(url), *(onair.socket(viewer, stream_id) for _ in range(3))]
    for opened in sockets:
        opened.join()  # of four connections of one account, the oldest makes way
    sockets[0].wait_closed()
    opened = sockets[-1]
    opened.chat("hello")
    for _ in range(2):
        opened.react({"❤️": 3})
    opened.wait_for(lambda message: message.get("code") == "rate_limited", "too many reactions to be refused")
    opened.gift("rose", 10)
    opened.send({"action": "ping"})
    opened.send({"action": "nothing-of-ours"})
    opened.wait_for(lambda message: message.get("type") == "pong", "pong")
    opened.wait_for_event("gift", gift_id="rose")
    # Somebody gone is noticed by the sequencer, which rings for the smaller number of viewers.
    onair.stack.faults.order(Faults(posts=PostFault(410, 1)))
    opened.chat("is anybody gone?")
    wait_until(lambda: _seen(onair, "sequence", "SendMessage"), "the sequencer to ring for who is gone")
    opened.close()


def _ballots(onair: Onair, host: Any, viewer: Any, stream_id: str) -> None:
    on_stage, opened = onair.socket(host, stream_id), onair.socket(viewer, stream_id)
    on_stage.join()
    opened.join()

    def act(by: Any, **message: Any) -> Any:
        wanted = message["id"] = by.new_id()
        answer = by.request(message, lambda got: got.get("type") == "ack" and got.get("id") == wanted)
        assert answer["type"] == "ack", answer
        return answer

    question = act(opened, action="ask", text="How long did this take?")["event_id"]
    act(on_stage, action="upvote", question_id=question)
    act(on_stage, action="answer", question_id=question, state="showing")
    # A comment that is to be shown like a question is looked for in the frames.
    comment = on_stage.chat("worth a look")["event_id"]
    on_stage.wait_for_event("chat", text="worth a look")
    act(on_stage, action="answer", question_id=comment, state="showing")


def _floods(onair: Onair, viewer: Any, stream_id: str) -> None:
    """Each of the socket's routes closes a socket that goes on sending what it refuses."""
    wrong: dict[str, dict[str, Any]] = {
        **{action: {} for action in ("chat", "react", "gift", "ask", "upvote", "answer", "poll", "vote")},
        "join": {"after": -1},
        "ping": {},  # nobody joined
        "nothing-of-ours": {},
    }
    for action, fields in wrong.items():
        opened = onair.socket(viewer, stream_id)
        for _ in range(REFUSALS_MAX):
            opened.send({"action": action, **fields})
        opened.wait_for(lambda message: message.get("type") == "bye", f"a flood of {action} to be sent away")
        opened.wait_closed()


def _moderation(onair: Onair, host: Any, stream_id: str) -> None:
    loud = onair.account("right_loud")
    host.call("PATCH", f"/streams/{stream_id}/room", {"followers_only": True})
    opened = onair.socket(loud, stream_id)
    opened.join()
    assert opened.chat("may I?")["code"] == "followers_only"
    asked = {"action": "ask", "id": "ask-1", "text": "And now?"}
    assert opened.request(asked, lambda got: got.get("type") == "ack")["code"] == "followers_only"
    host.call("PATCH", f"/streams/{stream_id}/room", {"followers_only": False})
    host.call("PUT", f"/streams/{stream_id}/members/right_loud", {"mute_s": 0})
    on_stage = onair.socket(host, stream_id)
    on_stage.join()
    held = [opened.chat(text) for text in ("call +49 170 1234567", "me@example.com")]
    assert all(one["held"] for one in held)
    on_stage.wait_for(lambda message: message.get("type") == "held", "the host to be told that something waits")
    for ack, state in zip(held, ("released", "rejected"), strict=True):
        host.call("PUT", f"/streams/{stream_id}/held/{ack['event_id']}", {"state": state})
    opened.wait_for_event("chat", text="call +49 170 1234567")
    host.call("PUT", f"/streams/{stream_id}/members/right_loud", {"moderator": True})
    opened.wait_for(lambda message: message.get("type") == "me", "the new role")
    host.call("PUT", f"/streams/{stream_id}/members/right_loud", {"banned": True})
    opened.wait_closed()


def _seats(onair: Onair, host: Any, guest: Any, stream_id: str) -> None:
    """A guest who leaves, and one who holds a seat though nobody has seen them in the room."""
    seat = guest.call("POST", f"/streams/{stream_id}/seats", {})["seat"]
    host.call("PATCH", f"/streams/{stream_id}/seats/{seat}", {"state": "accepted"})
    assert "publish" in guest.call("GET", f"/streams/{stream_id}/seats")["mine"]
    host.call("DELETE", f"/streams/{stream_id}/seats/{seat}")
    seat = onair.account("right_guest").call("POST", f"/streams/{stream_id}/seats", {})["seat"]
    host.call("PATCH", f"/streams/{stream_id}/seats/{seat}", {"state": "accepted"})


def _match(onair: Onair, host: Any, stream_id: str) -> None:
    """A match that the sweep looks at each minute, until the rival's broadcast, which never sends a picture, ends."""
    rival = onair.account("right_rival", followers=1_200)
    other = onair.broadcast(rival)["id"]
    host.call("POST", f"/streams/{stream_id}/match", {"handle": "right_rival"})
    rival.call("PATCH", f"/streams/{other}/match", {"state": "accepted"})
    assert host.call("GET", f"/streams/{stream_id}/match")["match"]["state"] == "accepted"


def _seen(onair: Onair, handler: str, operation: str) -> bool:
    return any(
        call.operation == operation
        for name, function in onair.stack.declared.functions.items()
        if f".{handler}." in function.handler
        for call in onair.stack.runtime.seen[name].copy()
    )


def _relay_reports(onair: Onair, stream_id: str) -> None:
    body = {"stream": stream_id, "generation": 1, "state": "flowing", "at_ms": clock.now_ms(), "preview": False}
    aws.client("sqs").send_message(
        QueueUrl=str(onair.stack.declared.relay_environment["MEDIA_QUEUE_URL"]),
        MessageBody=msgspec.json.encode(body).decode(),
        MessageGroupId=stream_id,
        MessageDeduplicationId=f"{stream_id}-flowing",
    )


def _recording(onair: Onair, host: Any, stream_id: str) -> None:
    """A recording whose relay died before it told that all is stored: the sweep has the replay made."""
    bucket = onair.stack.declared.outputs["MediaBucket"]
    sound = AudioFormat(b"\x11\x90", 48_000, 2, 128_000)
    media = {
        "init-0123abcd-0.mp4": init_segment(None, sound),
        "001700000000-0123abcd-0-1700000000000-180000-0.m4s": fragment(1, [], [AudioSample(0, 1024, b"aac")], 0),
    }
    for name, body in media.items():
        aws.client("s3").put_object(Bucket=bucket, Key=f"replay/{stream_id}/{name}", Body=body)
    onair.advance(91)
    wait_until(lambda: host.call("GET", f"/streams/{stream_id}")["state"] == "replay", "the sweep", 20)
    assert host.call("GET", f"/streams/{stream_id}/replay")["duration_s"] == 2.0
    assert [each["stream"]["id"] for each in host.call("GET", "/me/replays")["items"]] == [stream_id]
    handle = host.call("GET", "/me")["handle"]
    listed = onair.account().call("GET", f"/accounts/{handle}/replays")["items"]
    assert [(each["stream"]["id"], each["duration_s"]) for each in listed] == [(stream_id, 2.0)]
    path = f"/streams/{stream_id}/replay/download"
    (file,) = wait_until(lambda: host.call("POST", path)["files"], "the recording as a file", 20)
    assert file["bytes"] == sum(map(len, media.values())) + 20, "map and segment, and how long it plays"
    host.call("DELETE", f"/streams/{stream_id}")
    wait_until(lambda: _seen(onair, "streams.media", "DeleteObjects"), "the recording to be deleted", 20)
    wait_until(lambda: _seen(onair, "streams.media", "BatchWriteItem"), "the room to be deleted", 20)


def _big_room(onair: Onair, stream_id: str) -> None:
    """A room into which so many came already that the next opens a second shard; one post meets someone gone."""
    table = next(one.name for one in onair.stack.declared.tables if "Rooms" in one.name)
    aws.client("dynamodb").update_item(
        TableName=table,
        Key={"pk": {"S": f"room#{stream_id}"}, "sk": {"S": "room"}},
        UpdateExpression="SET joins = :many",
        ExpressionAttributeValues={":many": {"N": "1000"}},
    )
    speaker, gone = (onair.socket(onair.account(), stream_id) for _ in range(2))
    gone.join()
    speaker.join()
    onair.stack.faults.order(Faults(posts=PostFault(410, 1)))
    assert speaker.chat("to all shards")["type"] == "ack"
    wait_until(lambda: _seen(onair, "deliver", "BatchWriteItem"), "the one who is gone to be forgotten")


def _stadium(onair: Onair, host: Any, stream_id: str) -> None:
    """The threshold is far below the viewers: the relay is told, and enters."""
    sequence = next(each for each in onair.stack.declared.functions.values() if ".sequence." in each.handler)
    sequence.environment["STADIUM_VIEWERS"] = "1"
    on_stage = onair.socket(host, stream_id)
    on_stage.join()
    on_stage.chat("so many of you")
    wait_until(lambda: _seen(onair, "sequence", "UpdateItem"), "the relay to be told of the stadium")
    told = onair.stack.declared.relay_environment
    claims = {"sub": "relay", "stream": stream_id, "host": "", "role": "relay", "jti": "once", "aud": "socket"}
    ticket = jwt.encode({**claims, "exp": clock.now_ms() // 1000 + 60}, told["SIGNING_SECRET"], "HS256")
    relay = onair.open_socket(f"{told['SOCKET_URL']}?ticket={ticket}")
    assert relay.join()["me"]["role"] == "visitor"
    assert relay.chat("may I?")["code"] == "forbidden"
    on_stage.chat("only to the relay, and to me")
    relay.wait_for_event("chat", text="only to the relay, and to me")
    on_stage.join(frames="socket")
    del sequence.environment["STADIUM_VIEWERS"]


def _schedules(onair: Onair, viewer: Any, stream_id: str, silent_id: str) -> None:
    """A gift whose settlement failed, and a broadcast that never sent a picture: the minute's schedules find both."""
    onair.stack.faults.order(Faults({"WalletSettle": FunctionFault(errors=1)}))
    giver = onair.socket(viewer, stream_id)
    giver.join()
    giver.gift("rose", 1)
    onair.advance(6 * 60)
    wait_until(lambda: _seen(onair, "ring_unsettled", "SendMessage"), "the settler to be rung", 20)
    wait_until(lambda: viewer.call("GET", f"/streams/{silent_id}")["state"] == "ended", "the sweep", 20)
    schedules = {schedule.function for schedule in onair.stack.declared.schedules}
    wait_until(lambda: all(onair.stack.runtime.seen[name] for name in schedules), "the minute's schedules", 20)


@pytest.fixture(scope="module")
def exercised(onair_stack: Stack) -> Onair:
    onair_stack.reset()
    onair = Onair(onair_stack)
    _exercise(onair)
    onair.close()
    return onair


def test_no_function_calls_what_its_policy_does_not_allow(exercised: Onair) -> None:
    granted = _granted(exercised)
    missing = [
        f"{exercised.stack.declared.functions[name].logical} may not {right.action} on {right.resource}"
        for name, rights in _used(exercised).items()
        for right in rights
        if not any(_covers(one, right) for one in granted.get(name, set()))
    ]
    assert not missing, "\n".join(sorted(missing))


def test_no_function_may_do_what_nothing_here_uses(exercised: Onair) -> None:
    used = _used(exercised)
    unused: set[tuple[str, str, str]] = set()
    for name, rights in _granted(exercised).items():
        for right in rights:
            if right.action in BY_THE_SERVICE or any(_covers(right, one) for one in used[name]):
                continue
            handler = exercised.stack.declared.functions[name].handler.removeprefix("functions.")
            unused.add((handler.removesuffix(".handle"), right.action, _construct(right.resource)))
    too_much = sorted(unused - set(UNUSED_HERE) - set(AT_TIMES_UNUSED))
    assert not too_much, "granted, but used by nothing here:\n" + "\n".join(map(str, too_much))
    used_after_all = sorted(set(UNUSED_HERE) - unused)
    assert not used_after_all, "no longer to be explained:\n" + "\n".join(map(str, used_after_all))


def _construct(resource: str) -> str:
    """A resource's construct: its name without what the deployment adds, so that the list above can name it."""
    name = re.split(r"[:/]", resource.split(":", 5)[-1], maxsplit=1)[-1]
    return re.sub(r"^Onair-|[0-9A-F]{8}(-[A-Za-z0-9-]+)?(\.fifo)?(?=/|$)", "", name)


def test_every_function_of_the_path_was_seen(exercised: Onair) -> None:
    silent = [
        exercised.stack.declared.functions[name].handler
        for name, calls in exercised.stack.runtime.seen.items()
        if not calls and exercised.stack.declared.functions[name].handler.startswith("functions.")
    ]
    # unknown stores nothing, authorize has read its secret before.
    assert [handler for handler in silent if handler.split(".")[-2] not in {"unknown", "authorize"}] == []
