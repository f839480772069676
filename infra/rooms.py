"""Rooms: the socket API and its routes, the room table, and the queue on which one sequencer a room makes frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_apigatewayv2 as sockets
from aws_cdk import aws_apigatewayv2_authorizers as authorizers
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra import rules
from infra.accounts import Accounts
from infra.handler import Handler, House
from infra.interfaces import interface
from infra.storage import delay_queue, index_arn, table, work_queue
from infra.streams import FEED_INDEX, Streams
from infra.wallet import Wallet

STAGE: Final = "live"
RING_VISIBILITY_S: Final = 5  # a sequencer that dies blocks its room this long
LATER_VISIBILITY_S: Final = 15
LATER_TIMEOUT_S: Final = 10
SEQUENCE_TIMEOUT_S: Final = 4  # below it, or a message would come again while its first reader still works
WHOLE_CORE_MIB: Final = 1792

READ: Final = ("dynamodb:GetItem", "dynamodb:Query")


class Rooms(Construct):
    """Rooms table, Ring queue, WebSocket API with one handler a route, sequencer and delivery."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        house: House,
        accounts: Accounts,
        streams: Streams,
        wallet: Wallet,
        signing: secretsmanager.Secret,
    ) -> None:
        super().__init__(scope, name)
        self._house = house
        self.table = table(self, "Rooms", house, stream=dynamodb.StreamViewType.NEW_IMAGE)
        self.ring = work_queue(self, "Ring", visibility_s=RING_VISIBILITY_S, retention_s=3600)
        self.later = delay_queue(self, "Later", visibility_s=LATER_VISIBILITY_S, retention_s=3600)
        self.routes: dict[str, Handler] = {}

        self.authorize = Handler(
            self,
            "Authorize",
            house=house,
            entry="rooms.authorize.handle",
            timeout_s=5,
            environment={"SIGNING_SECRET_ARN": signing.secret_arn},
        )
        self.authorize.may(["secretsmanager:GetSecretValue"], on=[signing.secret_arn])
        self.api = sockets.WebSocketApi(
            self, "Sockets", description="Onair rooms", route_selection_expression="$request.body.action"
        )
        self._add_stage()
        self._add_routes(accounts, wallet)
        self._connect_routes()
        self._add_sequencer(streams)
        self._add_insights(accounts)
        self._add_ring_live(streams)
        self._add_ring_later()

    def writer_environment(self) -> dict[str, str]:
        """What a function needs to put an event into a room and ring."""
        return {**self._reader_environment(), "RING_QUEUE_URL": self.ring.queue.queue_url}

    def let_tell_media(self, handler: Handler) -> None:
        """Let ``handler`` tell a live room how its picture is, and ring."""
        handler.may(["dynamodb:UpdateItem"], on=[self.table.table_arn])
        self.let_ring(handler)

    def let_clear(self, handler: Handler) -> None:
        """Let ``handler`` delete what is stored of a room."""
        handler.may(["dynamodb:Query", "dynamodb:BatchWriteItem"], on=[self.table.table_arn])

    def let_close(self, handler: Handler) -> None:
        """Let ``handler`` close rooms (event ``ended``, room no longer live) and read their totals."""
        handler.may([*READ, "dynamodb:PutItem", "dynamodb:UpdateItem"], on=[self.table.table_arn])
        self.let_ring(handler)

    def let_bar(self, handler: Handler) -> None:
        """Let ``handler`` shut accounts out of all rooms, and let them in again."""
        handler.may([*READ, "dynamodb:PutItem", "dynamodb:DeleteItem"], on=[self.table.table_arn])
        self.let_ring(handler)

    def let_ring(self, handler: Handler) -> None:
        """Let ``handler`` wake a room's sequencer."""
        handler.may(["sqs:SendMessage"], on=[self.ring.queue.queue_arn])

    def let_post(self, handler: Handler) -> None:
        """Let ``handler`` post to, and close, open sockets."""
        handler.may(["execute-api:ManageConnections"], on=[self.connections_arn])
        api = self.api.node.default_child
        assert isinstance(api, sockets.CfnApi)
        service = "arn:<AWS::Partition>:execute-api:<AWS::Region>:<AWS::AccountId>"
        rules.acknowledge(
            handler.role or handler,
            f"IAM5[Resource::{service}:<{cdk.Stack.of(self).get_logical_id(api)}>/{STAGE}/*/@connections/*]",
            "Connection ids are made by API Gateway at connect, so the stage's connections are named by pattern.",
        )

    @property
    def connections_arn(self) -> str:
        """All connections of this API's stage: their ids are made by the service, so none can be named."""
        return cdk.Stack.of(self).format_arn(
            service="execute-api", resource=self.api.api_id, resource_name=f"{STAGE}/*/@connections/*"
        )

    def _callback(self) -> dict[str, str]:
        """Where posts to sockets go."""
        return {"SOCKET_CALLBACK_URL": self.stage.callback_url}

    def _reader_environment(self) -> dict[str, str]:
        return {"ROOMS_TABLE": self.table.table_name, **self._house.settings.limits.environment()}

    def _route(
        self,
        action: str,
        environment: Mapping[str, str],
        *actions: str,
        rings: bool,
        entry: str = "",
        answers: bool = True,
    ) -> Handler:
        handler = Handler(
            self,
            action.capitalize(),
            house=self._house,
            entry=f"rooms.{entry or action}.handle",
            timeout_s=10,
            memory_mib=512,
            environment={**environment, **self._callback()} if answers else environment,
        )
        if actions:
            handler.may(actions, on=[self.table.table_arn])
        if rings:
            self.let_ring(handler)
        if answers:
            self.let_post(handler)  # closes a socket that floods it
        self.routes[action] = handler
        return handler

    def _add_routes(self, accounts: Accounts, wallet: Wallet) -> None:
        reader, writer = self._reader_environment(), self.writer_environment()
        put, update, delete = "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"
        many = "dynamodb:BatchGetItem"
        check = "dynamodb:ConditionCheckItem"
        self._route("join", writer, *READ, put, update, delete, check, rings=True)
        speaker = {**writer, "ACCOUNTS_TABLE": accounts.table.table_name}
        for action in ("chat", "ask"):
            handler = self._route(action, speaker, many, put, update, rings=True)
            # Whether someone follows the host, where only followers may comment.
            handler.may(["dynamodb:GetItem"], on=[accounts.table.table_arn])
        for action in ("upvote", "vote"):
            self._route(action, writer, many, "dynamodb:GetItem", put, update, rings=True)
        later = {**writer, "LATER_QUEUE_URL": self.later.queue.queue_url}
        poll = self._route("poll", later, many, "dynamodb:Query", put, update, rings=True)
        poll.may(["sqs:SendMessage"], on=[self.later.queue.queue_arn])
        # functions/rooms/answer.py is how all routes answer.
        self._route("answer", writer, many, "dynamodb:Query", put, update, rings=True, entry="answer_question")
        self._route("react", writer, "dynamodb:Query", update, rings=True)
        gift = self._route(
            "gift",
            {
                **writer,
                "LEDGER_TABLE": wallet.table.table_name,
                "SETTLE_QUEUE_URL": wallet.settlements.queue.queue_url,
                "CREATOR_SHARE_PERMILLE": str(self._house.settings.creator_share_permille),
                **self._house.settings.markets_environment(),
            },
            many,
            put,
            rings=True,
        )
        gift.may(["dynamodb:GetItem", put, update], on=[wallet.table.table_arn])
        gift.may(["sqs:SendMessage"], on=[wallet.settlements.queue.queue_arn])
        self._route("ping", reader, "dynamodb:Query", update, rings=False)
        self._route("disconnect", writer, "dynamodb:Query", "dynamodb:BatchWriteItem", rings=True, answers=False)
        self._route("unknown", {"ROOMS_TABLE": self.table.table_name}, rings=False)

    def _add_stage(self) -> None:
        logs = self._house.log_group(self, "SocketLogs")
        self.stage = sockets.WebSocketStage(
            self,
            "Live",
            web_socket_api=self.api,
            stage_name=STAGE,
            auto_deploy=True,
            detailed_metrics_enabled=True,
            throttle=sockets.ThrottleSettings(
                rate_limit=self._house.settings.socket_rate, burst_limit=self._house.settings.socket_burst
            ),
        )
        stage = self.stage.node.default_child
        assert isinstance(stage, sockets.CfnStage)
        # Never the query string: it holds the ticket.
        stage.access_log_settings = sockets.CfnStage.AccessLogSettingsProperty(
            destination_arn=logs.log_group_arn,
            format=cdk.Stack.of(self).to_json_string(
                {
                    "at": "$context.requestTimeEpoch",
                    "connection": "$context.connectionId",
                    "event": "$context.eventType",
                    "route": "$context.routeKey",
                    "status": "$context.status",
                    "error": "$context.error.message",
                    "integration": "$context.integrationErrorMessage",
                }
            ),
        )

    def _connect_routes(self) -> None:
        connect = self.api.add_route(
            "$connect",
            # Nothing is left to do at connect once the ticket is checked, so no function runs: `join` registers.
            integration=integrations.WebSocketMockIntegration(
                "Connect",
                request_templates={"$default": '{"statusCode": 200}'},
                template_selection_expression="\\$default",
            ),
            authorizer=authorizers.WebSocketLambdaAuthorizer(
                "Ticket",
                self.authorize.called_by_clients(),
                identity_source=["route.request.querystring.ticket"],
            ),
            return_response=True,
        )
        self._answer_connect(connect)
        for action, handler in self.routes.items():
            key = {"disconnect": "$disconnect", "unknown": "$default"}.get(action, action)
            self.api.add_route(
                key,
                integration=integrations.WebSocketLambdaIntegration(action.capitalize(), handler.called_by_clients()),
                # Nobody is there any more to read an answer to $disconnect.
                return_response=None if action == "disconnect" else True,
            )
        for route in ("$disconnect", "$default", *(key for key in self.routes if key not in ("disconnect", "unknown"))):
            rules.acknowledge(
                self.api,
                "APIG4",
                f"A socket is authorized once, when it opens; {route} runs on that connection's verified context.",
            )

    def _answer_connect(self, connect: sockets.WebSocketRoute) -> None:
        # A mock answers only through an integration response, which the construct does not make.
        found = [node for node in connect.node.find_all() if isinstance(node, sockets.CfnIntegration)]
        assert len(found) == 1, "the $connect route has one integration"
        found[0].passthrough_behavior = "WHEN_NO_MATCH"
        sockets.CfnIntegrationResponse(
            connect,
            "Accepted",
            api_id=self.api.api_id,
            integration_id=found[0].ref,
            integration_response_key="$default",
        )

    def _add_sequencer(self, streams: Streams) -> None:
        callback = self._callback()
        self.deliver = Handler(
            self,
            "Deliver",
            house=self._house,
            entry="rooms.deliver.handle",
            timeout_s=30,
            memory_mib=WHOLE_CORE_MIB,
            environment={**self._reader_environment(), **callback},
        )
        self.deliver.may(["dynamodb:Query", "dynamodb:PutItem", "dynamodb:BatchWriteItem"], on=[self.table.table_arn])
        self.let_post(self.deliver)
        # A frame that could not be delivered is made good by resume; delivering it again late would only confuse.
        self.deliver.configure_async_invoke(retry_attempts=0, max_event_age=cdk.Duration.minutes(1))

        self.sequence = Handler(
            self,
            "Sequence",
            house=self._house,
            entry="rooms.sequence.handle",
            timeout_s=SEQUENCE_TIMEOUT_S,
            memory_mib=WHOLE_CORE_MIB,
            environment={
                **self.writer_environment(),
                **callback,
                "DELIVER_FUNCTION": self.deliver.function_name,
                "STREAMS_TABLE": streams.table.table_name,
            },
        )
        self.sequence.may(
            [
                "dynamodb:Query",
                "dynamodb:PutItem",
                "dynamodb:BatchWriteItem",
                "dynamodb:BatchGetItem",  # questions whose upvotes rose
                "dynamodb:UpdateItem",  # what was removed leaves its frame
            ],
            on=[self.table.table_arn],
        )
        self.sequence.may(["dynamodb:UpdateItem"], on=[streams.table.table_arn])  # tells the relay of a stadium
        self.sequence.may(["lambda:InvokeFunction"], on=[self.deliver.function_arn])
        self.let_post(self.sequence)
        self.let_ring(self.sequence)
        self.sequence.add_event_source(
            sources.SqsEventSource(self.ring.queue, batch_size=1, report_batch_item_failures=True)
        )

    def _add_insights(self, accounts: Accounts) -> None:
        self.insights = Handler(
            self,
            "Insights",
            house=self._house,
            entry="rooms.insights.handle",
            timeout_s=20,
            memory_mib=512,
            environment={
                **self._reader_environment(),
                "ACCOUNTS_TABLE": accounts.table.table_name,
                **self._callback(),
            },
        )
        self.insights.may(["dynamodb:GetItem", "dynamodb:Query", "dynamodb:UpdateItem"], on=[self.table.table_arn])
        self.insights.may(["dynamodb:GetItem"], on=[accounts.table.table_arn])  # whose a handle is
        self.let_post(self.insights)
        stream = self.table.table_stream_arn
        assert stream is not None, "the Rooms table has a stream"
        # Granted one by one: the construct's own event source would let it list the streams of every table.
        reading = ["DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"]
        self.insights.may([f"dynamodb:{action}" for action in reading], on=[stream])
        self.insights.add_event_source_mapping(
            "Frames",
            event_source_arn=stream,
            starting_position=lambda_.StartingPosition.LATEST,
            batch_size=100,
            max_batching_window=cdk.Duration.seconds(1),
            filters=[
                lambda_.FilterCriteria.filter(
                    {
                        "eventName": lambda_.FilterRule.is_equal("INSERT"),
                        "dynamodb": {"Keys": {"sk": {"S": lambda_.FilterRule.begins_with("frame#")}}},
                    }
                ),
                lambda_.FilterCriteria.filter(
                    {
                        "eventName": lambda_.FilterRule.is_equal("INSERT"),
                        "dynamodb": {"Keys": {"sk": {"S": lambda_.FilterRule.begins_with("held#")}}},
                    }
                ),
            ],
            # A pulse of two minutes ago is none: what fails twice is left behind.
            retry_attempts=1,
            max_record_age=cdk.Duration.minutes(2),
        )

    def _add_ring_live(self, streams: Streams) -> None:
        self.ring_live = Handler(
            self,
            "RingLive",
            house=self._house,
            entry="rooms.ring_live.handle",
            timeout_s=55,  # it starts each minute
            environment={
                "STREAMS_TABLE": streams.table.table_name,
                **self.writer_environment(),
            },
        )
        self.ring_live.may(["dynamodb:Query"], on=[index_arn(streams.table, FEED_INDEX)])
        # A guest who is gone: found by their sockets, and taken off the stage and off what the relay reads of it.
        self.ring_live.may(
            [*READ, "dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:DeleteItem"], on=[self.table.table_arn]
        )
        self.ring_live.may(["dynamodb:UpdateItem"], on=[streams.table.table_arn])
        self.let_ring(self.ring_live)
        events.Rule(
            self,
            "EachMinute",
            description="Rings every live room, for rings that were lost and counts that changed",
            schedule=events.Schedule.rate(cdk.Duration.minutes(1)),
            targets=[
                interface(targets.LambdaFunction(interface(self.ring_live), retry_attempts=0))
            ],  # the next minute is the retry
        )

    def _add_ring_later(self) -> None:
        self.ring_later = Handler(
            self,
            "RingLater",
            house=self._house,
            entry="rooms.ring_later.handle",
            timeout_s=LATER_TIMEOUT_S,
            environment={"RING_QUEUE_URL": self.ring.queue.queue_url, **self._house.settings.limits.environment()},
        )
        self.let_ring(self.ring_later)
        self.ring_later.add_event_source(
            sources.SqsEventSource(self.later.queue, batch_size=10, report_batch_item_failures=True)
        )
