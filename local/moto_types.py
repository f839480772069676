"""moto's CloudFormation taught the types that it lacks: in moto's own backends where they exist, stand-ins elsewhere.

moto finds models among the subclasses of `CloudFormationModel`, the last one of a type winning, so importing this
module before the first stack is all it takes. `local/resource_types.py` says which type becomes what.
"""

from __future__ import annotations

import json
import re
import secrets
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from moto.cloudformation import parsing
from moto.cognitoidp.models import cognitoidp_backends
from moto.core.common_models import CloudFormationModel
from moto.secretsmanager.models import secretsmanager_backends
from moto.ses.models import ses_backends

from local import resource_types


@dataclass(frozen=True)
class Wanted:
    """A resource to be made: its logical name and its properties with every reference resolved."""

    logical: str
    properties: dict[str, Any]
    account: str
    region: str


# What Ref gives, and attributes for Fn::GetAtt.
Made = tuple[str, Mapping[str, str]]
Maker = Callable[[Wanted], Made]
# Types whose Ref gives an ARN.
_REF_IS_ARN: Final = ("AWS::ElasticLoadBalancingV2::", "AWS::ECS::Service", "AWS::ECS::TaskDefinition")
# What templates build addresses of, so that local/addresses.py knows them again.
_HOST_NAMES: Final = frozenset({"DNSName", "DomainName"})

_models: dict[str, type[CloudFormationModel]] = {}


def install() -> None:
    """Register every type that moto's CloudFormation lacks or would take a wrong way; safe to repeat."""
    if _models:
        return
    for kind, maker in {
        "AWS::Cognito::UserPool": _user_pool,
        "AWS::Cognito::UserPoolClient": _user_pool_client,
        "AWS::Cognito::UserPoolGroup": _user_pool_group,
        "AWS::SecretsManager::Secret": _secret,
        "AWS::SES::EmailIdentity": _email_identity,
        "AWS::ApiGateway::RestApi": _identified("RootResourceId"),
        "AWS::ApiGateway::Stage": _stage,
        "AWS::ApiGatewayV2::Api": _socket_api,
        "AWS::ApiGatewayV2::Stage": _stage,
        "AWS::Lambda::Alias": _alias,
        "AWS::Lambda::Version": _version,
        "AWS::CloudFront::Distribution": _distribution,
    }.items():
        _register(kind, maker)
    for kind in [*resource_types.RUN, *resource_types.INERT]:
        if kind not in _models:
            _register(kind, _named_by_arn if kind.startswith(_REF_IS_ARN) else _stand_in)
    _forget_model_maps()


def stand_in_for(kind: str) -> None:
    """Register an inert model for a type that no table names (the start reports it)."""
    if kind not in _models and kind not in parsing.get_model_map():
        _register(kind, _stand_in)
        _forget_model_maps()


def _forget_model_maps() -> None:
    # moto caches its list of models on first use.
    for cache in (parsing.get_model_list, parsing.get_model_map, parsing.get_name_type_map):
        cache.cache_clear()


def _register(kind: str, maker: Maker) -> None:
    def create(
        cls: type[Any],
        resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
        **rest: Any,
    ) -> Any:
        logical = str(rest.get("LogicalId", resource_name))
        reference, attributes = maker(
            Wanted(logical, cloudformation_json.get("Properties") or {}, account_id, region_name)
        )
        made = cls()
        made.physical_resource_id = reference
        made.attributes = attributes
        return made

    def attribute(self: Any, name: str) -> str:
        # A stand-in answers any attribute with a text that says whose it is, and a host name with one of a host.
        made = f"{self.physical_resource_id}.{name}.local"
        return self.attributes.get(name, re.sub(r"[^\w.-]+", "-", made) if name in _HOST_NAMES else made)

    _models[kind] = type(
        kind.replace("::", ""),
        (CloudFormationModel,),
        {
            "__module__": "local.moto_types",  # moto's metaclass takes the second part of this name
            "cloudformation_name_type": staticmethod(_no_name),
            "cloudformation_type": staticmethod(lambda: kind),
            "has_cfn_attr": staticmethod(_yes),
            "get_cfn_attribute": attribute,
            "create_from_cloudformation_json": classmethod(create),
            "delete_from_cloudformation_json": staticmethod(_nothing),
            "is_created": _yes,
        },
    )


def _no_name() -> str:
    return ""


def _yes(_: Any) -> bool:
    return True


def _nothing(*_: Any, **__: Any) -> None:
    """State is memory and ends with the process: there is nothing to delete."""


def _stand_in(wanted: Wanted) -> Made:
    return wanted.logical, {"Arn": _stand_in_arn(wanted.logical, wanted.account, wanted.region)}


def _named_by_arn(wanted: Wanted) -> Made:
    arn = _stand_in_arn(wanted.logical, wanted.account, wanted.region)
    return arn, {"Arn": arn}


def _stand_in_arn(logical: str, account: str, region: str) -> str:
    # As many parts as the longest real one (a listener's): templates take ARNs apart at their slashes.
    return f"arn:aws:local:{region}:{account}:stand-in/app/{logical}/0123456789abcdef/fedcba9876543210"


def _identifier(length: int = 10) -> str:
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(length))


def _identified(*attributes: str) -> Maker:
    def make(_: Wanted) -> Made:
        return _identifier(), {name: _identifier() for name in attributes}

    return make


def _stage(wanted: Wanted) -> Made:
    return str(wanted.properties["StageName"]), {}


def _socket_api(wanted: Wanted) -> Made:
    api = _identifier()
    return api, {"ApiId": api, "ApiEndpoint": f"wss://{api}.execute-api.{wanted.region}.amazonaws.com"}


def _distribution(_: Wanted) -> Made:
    made = _identifier(14).upper()
    return made, {"Id": made, "DomainName": f"d{_identifier(13)}.cloudfront.net"}


def _alias(wanted: Wanted) -> Made:
    name = str(wanted.properties["FunctionName"]).rpartition(":")[2]
    arn = f"arn:aws:lambda:{wanted.region}:{wanted.account}:function:{name}:{wanted.properties['Name']}"
    return arn, {"AliasArn": arn}


def _version(wanted: Wanted) -> Made:
    name = str(wanted.properties["FunctionName"]).rpartition(":")[2]
    arn = f"arn:aws:lambda:{wanted.region}:{wanted.account}:function:{name}:1"
    return arn, {"FunctionArn": arn, "Version": "1"}


def _user_pool(wanted: Wanted) -> Made:
    # moto's API takes the same shape as CloudFormation, but for the name and one nesting of the schema.
    config = {key: value for key, value in wanted.properties.items() if key != "UserPoolTags"}
    made = cognitoidp_backends[wanted.account][wanted.region].create_user_pool(
        wanted.properties.get("UserPoolName", wanted.logical), config
    )
    provider = f"cognito-idp.{wanted.region}.amazonaws.com/{made.id}"
    attributes = {
        "Arn": made.arn,
        "UserPoolId": made.id,
        "ProviderName": provider,
        "ProviderURL": f"https://{provider}",
    }
    return made.id, attributes


def _user_pool_client(wanted: Wanted) -> Made:
    config = {"ClientName": wanted.logical, **wanted.properties}
    pool = str(config.pop("UserPoolId"))
    secret = bool(config.pop("GenerateSecret", False))
    made: Any = cognitoidp_backends[wanted.account][wanted.region].create_user_pool_client(pool, secret, config)
    return made.id, {"ClientId": made.id, "Name": str(config["ClientName"])}


def _user_pool_group(wanted: Wanted) -> Made:
    backend = cognitoidp_backends[wanted.account][wanted.region]
    name = str(wanted.properties.get("GroupName", wanted.logical))
    backend.create_group(
        str(wanted.properties["UserPoolId"]),
        name,
        str(wanted.properties.get("Description", "")),
        str(wanted.properties.get("RoleArn", "")),
        int(wanted.properties.get("Precedence", 0)),
    )
    return name, {}


def _email_identity(wanted: Wanted) -> Made:
    # Verified at once: nobody is there to click the link in the service's mail.
    address = str(wanted.properties["EmailIdentity"])
    ses_backends[wanted.account][wanted.region].verify_email_identity(address)
    return address, {}


def _secret(wanted: Wanted) -> Made:
    # GenerateSecretString as in the service: letters, digits and punctuation, less what is excluded.
    generate = wanted.properties.get("GenerateSecretString")
    text = str(wanted.properties.get("SecretString", ""))
    if generate is not None:
        alphabet = string.ascii_letters + string.digits
        if not generate.get("ExcludePunctuation"):
            alphabet += string.punctuation
        alphabet = "".join(
            character for character in alphabet if character not in generate.get("ExcludeCharacters", "")
        )
        text = "".join(secrets.choice(alphabet) for _ in range(int(generate.get("PasswordLength", 32))))
    backend: Any = secretsmanager_backends[wanted.account][wanted.region]
    made = backend.create_secret(
        name=str(wanted.properties.get("Name", f"{wanted.logical}-{_identifier(6)}")),
        secret_string=text,
        secret_binary=None,
        description=wanted.properties.get("Description"),
        tags=[],
        kms_key_id=wanted.properties.get("KmsKeyId"),
        client_request_token=None,
        replica_regions=[],
        force_overwrite=False,
    )
    arn = _secret_arn(made)
    return arn, {"Id": arn}


def _secret_arn(answer: str) -> str:
    # moto answers with the service's JSON text.
    return str(json.loads(answer)["ARN"])
