"""The stack made from the template in moto, and read back with every reference resolved.

`make` is the whole of it: prepare the template, let moto's CloudFormation create it, and read what the parts of the
local stack need (local/declared.py). `switch_on` then sets what moto leaves off its tables.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from moto.cloudformation.models import cloudformation_backends
from moto.cloudformation.parsing import clean_json
from moto.secretsmanager.models import secretsmanager_backends

from functions import aws
from local import declared, moto_types, resource_types
from local.addresses import Addresses, localize

ACCOUNT: Final = "123456789012"
REGION: Final = "us-east-1"
STACK: Final = "Onair"
_FUNCTION_IN_URI: Final = re.compile(r"functions/(arn:[^/]+)/invocations")

_STAGE_VARIABLE: Final = re.compile(r"\$\{stageVariables\.(\w+)\}")

Resource = tuple[str, dict[str, Any]]


class TemplateError(RuntimeError):
    """The template lacks something without which nothing can run; the message names it."""


def make(template: Mapping[str, Any], addresses: Addresses) -> declared.Declared:
    """Create the template's resources in moto and read them back."""
    prepared = prepare(template)
    for line in resource_types.account_for(prepared):
        if line.fate == "unlisted":
            moto_types.stand_in_for(line.type)
    moto_types.install()
    client = aws.client("cloudformation")
    made = client.create_stack(StackName=STACK, TemplateBody=json.dumps(prepared))
    stack: Any = cloudformation_backends[ACCOUNT][REGION].get_stack(made["StackId"])
    reader = _Reader(prepared, stack.resource_map, addresses)
    outputs = {str(name): str(stack.output_map[name].value) for name in prepared["Outputs"]}
    return reader.read(outputs)


def prepare(template: Mapping[str, Any]) -> dict[str, Any]:
    """A copy without what only a deployment needs: bootstrap check, left-out types and what names them, code assets."""
    prepared: dict[str, Any] = copy.deepcopy(dict(template))
    prepared.pop("Rules", None)
    prepared.get("Parameters", {}).pop("BootstrapVersion", None)
    resources: dict[str, dict[str, Any]] = prepared["Resources"]
    gone = {name for name, resource in resources.items() if resource_types.fate(resource["Type"])[0] == "left out"}
    for name in gone:
        del resources[name]
    for logical, resource in resources.items():
        depends = resource.get("DependsOn", [])
        depends = [depends] if isinstance(depends, str) else depends
        resource["DependsOn"] = [name for name in depends if name not in gone]
        if resource["Type"] == "AWS::Lambda::Function":
            # The handler runs from the source tree; moto wants some code to keep.
            resource["Properties"]["Code"] = {"ZipFile": "# runs from the source tree"}
            # What a layer holds is installed here already.
            resource["Properties"].pop("Layers", None)
        if resource["Type"] == "AWS::SQS::Queue" and resource["Properties"].get("FifoQueue"):
            # CloudFormation ends the name that it gives a FIFO queue with .fifo, as the service demands; moto does not.
            resource["Properties"].setdefault("QueueName", f"{STACK}-{logical}"[:75] + ".fifo")
        if resource["Type"] == "AWS::S3::Bucket":
            # Notifications, lifecycle and logging settings of a bucket: moto takes them by API only.
            for name in ("Notification", "Lifecycle", "Cors", "Logging"):
                resource["Properties"].pop(f"{name}Configuration", None)
    outputs = prepared.get("Outputs", {})
    prepared["Outputs"] = {name: output for name, output in outputs.items() if not _mentions(output, gone)}
    return prepared


def _mentions(value: Any, names: set[str]) -> bool:
    if isinstance(value, dict):
        target: Any = value.get("Ref") or (value.get("Fn::GetAtt") or [None])[0]
        return target in names or any(_mentions(inner, names) for inner in value.values())
    return isinstance(value, list) and any(_mentions(inner, names) for inner in value)


def switch_on(table: declared.Table) -> None:
    """Set what moto's CloudFormation leaves off a table: TTL and point-in-time recovery."""
    client = aws.client("dynamodb")
    if table.ttl_attribute:
        specification = {"Enabled": True, "AttributeName": table.ttl_attribute}
        client.update_time_to_live(TableName=table.name, TimeToLiveSpecification=specification)
    if table.point_in_time_recovery:
        client.update_continuous_backups(
            TableName=table.name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
        )


class _Reader:
    """Reads the created stack; one method a kind of thing."""

    def __init__(self, template: dict[str, Any], resources: Any, addresses: Addresses) -> None:
        self._template = template
        self._resources = resources
        self._addresses = addresses
        self._function_names: dict[str, str] = {}

    def read(self, outputs: Mapping[str, str]) -> declared.Declared:
        functions = self._functions()
        return declared.Declared(
            functions=functions,
            rest=self._rest_api(),
            socket=self._socket_api(),
            sources=tuple(self._sources()),
            schedules=tuple(self._schedules()),
            object_rules=tuple(self._object_rules()),
            tables=tuple(self._tables()),
            relay_environment=self._relay_environment(),
            user_pool=self._only("AWS::Cognito::UserPool"),
            user_pool_client=self._only("AWS::Cognito::UserPoolClient"),
            outputs=outputs,
        )

    def _of(self, kind: str) -> list[Resource]:
        """Logical name and resolved properties of every resource of a type."""
        return [
            (name, self._resolved(resource.get("Properties", {})))
            for name, resource in self._template["Resources"].items()
            if resource["Type"] == kind
        ]

    def _resolved(self, value: Any) -> Any:
        return clean_json(value, self._resources)

    def _physical(self, logical: str) -> str:
        return str(self._resources[logical].physical_resource_id)

    def _only(self, kind: str) -> str:
        names = [name for name, resource in self._template["Resources"].items() if resource["Type"] == kind]
        if len(names) != 1:
            raise TemplateError(f"The template should have one {kind}, and has {len(names)}.")
        return self._physical(names[0])

    def _functions(self) -> dict[str, declared.Function]:
        retries: dict[str, tuple[int, int]] = {}
        for _, properties in self._of("AWS::Lambda::EventInvokeConfig"):
            name = function_name(str(properties["FunctionName"]))
            retries[name] = (
                int(properties.get("MaximumRetryAttempts", 2)),
                int(properties.get("MaximumEventAgeInSeconds", 21_600)),
            )
        found: dict[str, declared.Function] = {}
        for logical, properties in self._of("AWS::Lambda::Function"):
            name = self._physical(logical)
            variables: dict[str, Any] = properties.get("Environment", {}).get("Variables", {})
            environment = {key: localize(key, str(value), self._addresses) for key, value in variables.items()}
            # What Lambda itself adds (Lambda Developer Guide, "Defined runtime environment variables").
            environment |= {"AWS_REGION": REGION, "AWS_LAMBDA_FUNCTION_NAME": name}
            attempts, age_s = retries.get(name, (2, 21_600))
            found[name] = declared.Function(
                logical=logical,
                name=name,
                arn=f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}",
                handler=str(properties["Handler"]),
                role=str(properties["Role"]),
                timeout_s=int(properties.get("Timeout", 3)),
                memory_mib=int(properties.get("MemorySize", 128)),
                environment=environment,
                retries=attempts,
                event_age_s=age_s,
            )
        return found

    def _rest_api(self) -> declared.RestApi:
        apis, stages = self._of("AWS::ApiGateway::RestApi"), self._of("AWS::ApiGateway::Stage")
        if len(apis) != 1 or len(stages) != 1:
            raise TemplateError(f"The template should have one REST API with one stage, and has {len(apis)}.")
        logical, properties = apis[0]
        body: dict[str, Any] = properties["Body"]
        guards = {
            str(name): declared.Guard(
                pool=str(found["x-amazon-apigateway-authorizer"]["providerARNs"][0]).rpartition("/")[2],
                header=str(found["name"]),
                scopes=(),
            )
            for name, found in body["components"]["securitySchemes"].items()
        }
        answers = {
            str(kind): declared.GatewayAnswer(
                kind=str(kind),
                status=int(found["statusCode"]) if "statusCode" in found else None,
                headers=_literal_headers(found.get("responseParameters", {}), "gatewayresponse.header."),
                templates=found.get("responseTemplates", {}),
            )
            for kind, found in body["x-amazon-apigateway-gateway-responses"].items()
        }
        return declared.RestApi(
            api_id=self._physical(logical),
            stage=str(stages[0][1]["StageName"]),
            methods=tuple(
                self._rest_method(str(path), str(method), found, guards, stages[0][1].get("Variables", {}))
                for path, methods in body["paths"].items()
                for method, found in methods.items()
            ),
            answers=answers,
            binary_types=tuple(body.get("x-amazon-apigateway-binary-media-types", ())),
        )

    def _rest_method(
        self,
        path: str,
        method: str,
        found: dict[str, Any],
        guards: Mapping[str, declared.Guard],
        variables: Mapping[str, Any],
    ) -> declared.RestMethod:
        integration: dict[str, Any] = found["x-amazon-apigateway-integration"]
        guard = None
        for scheme, scopes in (found.get("security") or [{}])[0].items():
            guard = replace(guards[str(scheme)], scopes=tuple(scopes))
        mock = integration["type"] == "mock"
        return declared.RestMethod(
            method=method.upper(),
            path=path,
            resource_id=hashlib.sha256(path.encode()).hexdigest()[:6],  # the service makes them up, of this length
            function=None if mock else self._function_of(_with_variables(str(integration["uri"]), variables)),
            mock=_mock_answer(integration) if mock else None,
            guard=guard,
            timeout_ms=int(integration.get("timeoutInMillis", 29_000)),
        )

    def _function_of(self, uri: str) -> str:
        found = _FUNCTION_IN_URI.search(uri)
        if found is None:
            raise TemplateError(f"An integration points at {uri}, which is no function.")
        return function_name(found[1])

    def _socket_api(self) -> declared.SocketApi:
        apis, stages = self._of("AWS::ApiGatewayV2::Api"), self._of("AWS::ApiGatewayV2::Stage")
        if len(apis) != 1 or len(stages) != 1:
            raise TemplateError(f"The template should have one WebSocket API with one stage, and has {len(apis)}.")
        logical, properties = apis[0]
        integrations = {self._physical(name): found for name, found in self._of("AWS::ApiGatewayV2::Integration")}
        authorizers = {
            self._physical(name): declared.SocketAuthorizer(
                self._function_of(str(found["AuthorizerUri"])), tuple(found.get("IdentitySource", ()))
            )
            for name, found in self._of("AWS::ApiGatewayV2::Authorizer")
        }
        answering = {str(found["RouteId"]) for _, found in self._of("AWS::ApiGatewayV2::RouteResponse")}
        routes: dict[str, declared.SocketRoute] = {}
        for name, found in self._of("AWS::ApiGatewayV2::Route"):
            integration = integrations[str(found["Target"]).rpartition("/")[2]]
            mock = integration["IntegrationType"] == "MOCK"
            routes[str(found["RouteKey"])] = declared.SocketRoute(
                key=str(found["RouteKey"]),
                function=None if mock else self._function_of(str(integration["IntegrationUri"])),
                # Both are needed: the expression on the route and the response that it selects.
                answers=bool(found.get("RouteResponseSelectionExpression")) and self._physical(name) in answering,
                authorizer=authorizers.get(str(found.get("AuthorizerId"))),
            )
        selection = str(properties["RouteSelectionExpression"]).removeprefix("${").removesuffix("}").removeprefix("$")
        throttle: dict[str, Any] = stages[0][1].get("DefaultRouteSettings", {})
        return declared.SocketApi(
            api_id=self._physical(logical),
            stage=str(stages[0][1]["StageName"]),
            selection=tuple(selection.removeprefix("request.body.").split(".")),
            routes=routes,
            rate=float(throttle.get("ThrottlingRateLimit", 0)),
            burst=int(throttle.get("ThrottlingBurstLimit", 0)),
        )

    def _sources(self) -> list[declared.EventSource]:
        found: list[declared.EventSource] = []
        for _, properties in self._of("AWS::Lambda::EventSourceMapping"):
            queue = ":sqs:" in str(properties["EventSourceArn"])
            filters = properties.get("FilterCriteria", {}).get("Filters", [])
            found.append(
                declared.EventSource(
                    arn=str(properties["EventSourceArn"]),
                    function=function_name(str(properties["FunctionName"])),
                    batch_size=int(properties.get("BatchSize", 10 if queue else 100)),
                    window_s=float(properties.get("MaximumBatchingWindowInSeconds", 0)),
                    partial_failures="ReportBatchItemFailures" in properties.get("FunctionResponseTypes", []),
                    concurrency_max=properties.get("ScalingConfig", {}).get("MaximumConcurrency"),
                    enabled=bool(properties.get("Enabled", True)),
                    from_start=properties.get("StartingPosition") == "TRIM_HORIZON",
                    retries=int(properties.get("MaximumRetryAttempts", -1)),
                    filters=tuple(json.loads(one["Pattern"]) for one in filters),
                )
            )
        return found

    def _object_rules(self) -> list[declared.ObjectRule]:
        """Rules for uploads; another pattern than these is not understood here, and says so."""
        found: list[declared.ObjectRule] = []
        for logical, properties in self._of("AWS::Events::Rule"):
            pattern: dict[str, Any] | None = properties.get("EventPattern")
            if pattern is None:
                continue
            if pattern.get("source") != ["aws.s3"] or pattern.get("detail-type") != ["Object Created"]:
                raise TemplateError(f"The rule {logical} waits for events that the local stack does not make.")
            detail: dict[str, Any] = pattern["detail"]
            found += [
                declared.ObjectRule(str(bucket), str(key["prefix"]), function_name(str(target["Arn"])))
                for bucket in detail["bucket"]["name"]
                for key in detail["object"]["key"]
                for target in properties.get("Targets", [])
            ]
        return found

    def _schedules(self) -> list[declared.Schedule]:
        found: list[declared.Schedule] = []
        for logical, properties in self._of("AWS::Events::Rule"):
            if "ScheduleExpression" in properties:
                found += [
                    declared.Schedule(
                        logical=logical,
                        function=function_name(str(target["Arn"])),
                        expression=str(properties["ScheduleExpression"]),
                        payload=target.get("Input"),
                        enabled=properties.get("State", "ENABLED") == "ENABLED",
                    )
                    for target in properties.get("Targets", [])
                ]
        for logical, properties in self._of("AWS::Scheduler::Schedule"):
            found.append(
                declared.Schedule(
                    logical=logical,
                    function=function_name(str(properties["Target"]["Arn"])),
                    expression=str(properties["ScheduleExpression"]),
                    payload=properties["Target"].get("Input"),
                    enabled=properties.get("State", "ENABLED") == "ENABLED",
                )
            )
        return found

    def _tables(self) -> list[declared.Table]:
        found: list[declared.Table] = []
        for logical, properties in self._of("AWS::DynamoDB::Table"):
            ttl = properties.get("TimeToLiveSpecification", {})
            recovery = properties.get("PointInTimeRecoverySpecification", {})
            found.append(
                declared.Table(
                    name=self._physical(logical),
                    ttl_attribute=str(ttl["AttributeName"]) if ttl.get("Enabled") else None,
                    point_in_time_recovery=bool(recovery.get("PointInTimeRecoveryEnabled")),
                    properties=properties,
                )
            )
        return found

    def _relay_environment(self) -> dict[str, str]:
        """Variables and secrets of the container named like the relay, as ECS would give them."""
        for _, properties in self._of("AWS::ECS::TaskDefinition"):
            for container in properties["ContainerDefinitions"]:
                given = {str(pair["Name"]): str(pair["Value"]) for pair in container.get("Environment", [])}
                given = {name: localize(name, value, self._addresses) for name, value in given.items()}
                for pair in container.get("Secrets", []):
                    given[str(pair["Name"])] = _secret(str(pair["ValueFrom"]))
                return given
        raise TemplateError("The template has no task definition for the relay.")


def function_name(reference: str) -> str:
    """The function's name from its name, its ARN, or the ARN of a version or alias."""
    if not reference.startswith("arn:"):
        return reference.partition(":")[0]
    return reference.split(":")[6]


def _secret(reference: str) -> str:
    # arn:aws:secretsmanager:region:account:secret:name[:key:stage:version]
    arn = ":".join(reference.split(":")[:7])
    backend: Any = secretsmanager_backends[ACCOUNT][REGION]
    return str(backend.get_secret_value(arn, None, None)["SecretString"])


def _literal_headers(parameters: Mapping[str, Any], prefix: str) -> dict[str, str]:
    """Header names and literal values (``'text'``) of response parameters; mapped ones do not occur in our template."""
    return {
        name.removeprefix(prefix): str(value)[1:-1]
        for name, value in parameters.items()
        if name.startswith(prefix) and str(value).startswith("'")
    }


def _mock_answer(integration: Mapping[str, Any]) -> declared.MockAnswer:
    response: dict[str, Any] = integration["responses"]["default"]
    headers = _literal_headers(response.get("responseParameters", {}), "method.response.header.")
    templates: dict[str, str] = response.get("responseTemplates", {})
    body = templates.get("application/json", "")
    return declared.MockAnswer(int(response["statusCode"]), headers, "" if "#" in body or "$" in body else body)


def _with_variables(text: str, variables: Mapping[str, Any]) -> str:
    """As API Gateway reads a stage's variables, when a request comes; one that is not set is left empty."""
    return _STAGE_VARIABLE.sub(lambda found: str(variables.get(found[1], "")), text)
