"""What each AWS policy has to refuse, and what it lets through beside the calls of its job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from policies.asked import (
    ACCOUNT,
    EAST,
    KEYS,
    WEST,
    parameter_arn,
    secret_arn,
    through_parameter_store,
    through_secrets_manager,
    user_arn,
)
from policies.evaluator import Request, Values

Cases = dict[str, Request]
OTHER = "111122223333"
ELSEWHERE = "eu-central-1"


def ask(action: str, resource: str, **context: str) -> Request:
    return Request(action=action, resource=resource, context=context)


def given(request: Request, changes: Mapping[str, str | Values | None]) -> Request:
    """The same request with other context; None takes a key away."""
    context = {**request.context, **changes}
    return replace(request, context={k: v for k, v in context.items() if v is not None})


def each(why: str, actions: str, resource: str, **context: str) -> Cases:
    return {f"{why}: {one}": ask(one, resource, **context) for one in actions.split()}


# -- broker-read -----------------------------------------------------------------------------------

_CLAUDE, _PARAMETER = secret_arn("secretkit/claude"), parameter_arn("secretkit/claude")
_READ = "secretsmanager:GetSecretValue"
_SEVERAL = "secretsmanager:BatchGetSecretValue secretsmanager:ListSecrets"
_DECRYPT = through_secrets_manager("kms:Decrypt", _CLAUDE)
_OF_PARAMETER = through_parameter_store(_PARAMETER)
_SECRET_ARN, _VIA = "kms:EncryptionContext:SecretARN", "kms:ViaService"
_PARAMETER_ARN = "kms:EncryptionContext:PARAMETER_ARN"


def other_keys(request: Request) -> Cases:
    return {
        f"{request.action} with {why}": replace(request, resource=arn)
        for why, arn in {
            "another key": request.resource[:-36] + "ffffffff-0000-0000-0000-ffffffffffff",
            "a key of another account": request.resource.replace(ACCOUNT, OTHER),
            "a key elsewhere": request.resource.replace(request.resource.split(":")[3], ELSEWHERE),
        }.items()
    }


def other_contexts(request: Request, key: str) -> Cases:
    """KMS called directly, for another service, and with a context that is not the caller's."""
    arn = str(request.context[key])
    service = str(request.context[_VIA])
    return {
        "a decryption without a service": given(request, {_VIA: None}),
        "a decryption for S3": given(request, {_VIA: f"s3.{EAST}.amazonaws.com"}),
        "a decryption through a region elsewhere": given(
            request, {_VIA: service.replace(EAST, ELSEWHERE)}
        ),
        "a decryption without a context": given(request, {key: None}),
        "a decryption of another account's": given(request, {key: arn.replace(ACCOUNT, OTHER)}),
        "a decryption of a region elsewhere's": given(request, {key: arn.replace(EAST, ELSEWHERE)}),
        "a decryption of another path's": given(request, {key: arn.replace("secretkit/", "x/")}),
        "a decryption of a similar path's": given(
            request, {key: arn.replace("/claude", "-x/claude")}
        ),
    }


def similar_secrets(action: str, path: str) -> Cases:
    return {
        f"{action}: {why}": ask(action, arn)
        for why, arn in {
            "another path": secret_arn("payroll/database"),
            "a similar path": secret_arn(f"{path}-x/claude"),
            "another account": secret_arn(f"{path}/claude", account=OTHER),
            "another region": secret_arn(f"{path}/claude", region=ELSEWHERE),
        }.items()
    }


def broker_read() -> Cases:
    writes = (
        "secretsmanager:PutSecretValue secretsmanager:DeleteSecret secretsmanager:UpdateSecret"
        " secretsmanager:PutResourcePolicy secretsmanager:UpdateSecretVersionStage"
    )
    west = through_secrets_manager("kms:Decrypt", secret_arn("secretkit/claude", WEST))
    parameters = {
        "another path": parameter_arn("payroll/database"),
        "a similar path": parameter_arn("secretkit-x/claude"),
        "another account": parameter_arn("secretkit/claude", account=OTHER),
        "another region": parameter_arn("secretkit/claude", region=ELSEWHERE),
    }
    return {
        **similar_secrets(_READ, "secretkit"),
        "a replica's other path": ask(_READ, secret_arn("payroll/database", WEST)),
        "a replica's similar path": ask(_READ, secret_arn("secretkit-x/claude", WEST)),
        "a replica of another account": ask(_READ, secret_arn("secretkit/claude", WEST, OTHER)),
        **each("it only reads", writes, _CLAUDE),
        **each("not several at once", _SEVERAL, "*", **{"aws:RequestedRegion": EAST}),
        **other_keys(_DECRYPT),
        **{f"west: {why}": one for why, one in other_keys(west).items()},
        **other_contexts(_DECRYPT, _SECRET_ARN),
        "west: a similar path's": given(
            west, {_SECRET_ARN: secret_arn("secretkit-x/claude", WEST)}
        ),
        "west: another account's": given(
            west, {_SECRET_ARN: secret_arn("secretkit/claude", WEST, OTHER)}
        ),
        "west: another path's": given(west, {_SECRET_ARN: secret_arn("payroll/database", WEST)}),
        "it only decrypts": replace(_DECRYPT, action="kms:Encrypt"),
        **{f"a parameter of {why}": ask("ssm:GetParameter", a) for why, a in parameters.items()},
        **each("it only reads", "ssm:PutParameter ssm:DeleteParameter", _PARAMETER),
        **{f"parameter: {why}": one for why, one in other_keys(_OF_PARAMETER).items()},
        **{
            f"parameter: {why}": one
            for why, one in other_contexts(_OF_PARAMETER, _PARAMETER_ARN).items()
        },
        "parameter: it only decrypts": replace(_OF_PARAMETER, action="kms:Encrypt"),
        **each(
            "no way to more", "iam:PutRolePolicy sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/x"
        ),
    }


# -- rotators --------------------------------------------------------------------------------------


def rotator_secretsmanager() -> Cases:
    path, stage = "secretkit/rotated", "secretsmanager:VersionStage"
    arn = secret_arn(f"{path}/claude")
    move = "secretsmanager:UpdateSecretVersionStage"
    decrypt = through_secrets_manager("kms:Decrypt", arn)
    others = {
        f"{why} (move)": given(one, {stage: "AWSCURRENT"})
        for why, one in similar_secrets(move, path).items()
    }
    rest = (
        "secretsmanager:DeleteSecret secretsmanager:UpdateSecret secretsmanager:PutResourcePolicy"
        " secretsmanager:RotateSecret secretsmanager:ReplicateSecretToRegions"
    )
    return {
        **similar_secrets(_READ, path),
        **similar_secrets("secretsmanager:PutSecretValue", path),
        "a secret it does not rotate": ask(_READ, _CLAUDE),
        **others,
        "a stage of somebody else": ask(move, arn, **{stage: "blue"}),
        "a move without a stage": ask(move, arn),
        **each("no more than rotation", rest, arn, **{stage: "AWSCURRENT"}),
        **other_keys(decrypt),
        **other_contexts(decrypt, _SECRET_ARN),
        "no other use of the key": replace(decrypt, action="kms:ReEncryptFrom"),
        **each("not its own policy", "iam:PutRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/rotator"),
    }


_USER = (
    "iam:CreateLoginProfile iam:AttachUserPolicy iam:PutUserPolicy iam:AddUserToGroup"
    " iam:UpdateUser iam:DeleteUser iam:DeactivateMFADevice"
)


def rotator_iam_keys() -> Cases:
    return {
        **each("another user", "iam:CreateAccessKey iam:DeleteAccessKey", user_arn("admin")),
        **each("another path", "iam:CreateAccessKey iam:ListAccessKeys", user_arn("other/service")),
        "a similar path": ask("iam:CreateAccessKey", user_arn("secretkit-x/service")),
        "another account": ask("iam:CreateAccessKey", user_arn("secretkit/service", OTHER)),
        **each("no more than keys", _USER, user_arn("secretkit/service")),
        "a user by the path's name": ask("iam:CreateAccessKey", user_arn("secretkit")),
    }


def rotator_bedrock_keys() -> Cases:
    path, service = "secretkit-bedrock", "iam:ServiceSpecificCredentialServiceName"
    days = "iam:ServiceSpecificCredentialAgeDays"
    bedrock = {service: "bedrock.amazonaws.com"}
    user = user_arn(f"{path}/bedrock")
    create = ask("iam:CreateServiceSpecificCredential", user, **bedrock, **{days: "90"})
    change = ask("iam:UpdateServiceSpecificCredential", user, **bedrock)
    listing = ask("iam:ListServiceSpecificCredentials", user)
    others = {
        "another user": user_arn("admin"),
        "a similar path": user_arn(f"{path}-x/bedrock"),
        "another account": user_arn(f"{path}/bedrock", OTHER),
        "the path of the access keys": user_arn("secretkit/service"),
    }
    return {
        **{
            f"{one.action}: {why}": replace(one, resource=arn)
            for one in (create, change, listing)
            for why, arn in others.items()
        },
        "a key that never ends": given(create, {days: None}),
        "a key of a year": given(create, {days: "365"}),
        "a key of 91 days": given(create, {days: "91"}),
        "a Git password": given(create, {service: "codecommit.amazonaws.com"}),
        "a key for no service": given(create, {service: None}),
        "a Git password disabled": given(change, {service: "codecommit.amazonaws.com"}),
        **each("no more than keys", _USER, user, **bedrock, **{days: "30"}),
    }


# -- the store's key, and Claude -------------------------------------------------------------------


def kms_envelope() -> Cases:
    name = "kms:EncryptionContext:secretkit-store"
    keys = "kms:EncryptionContextKeys"
    use = Request(
        action="kms:Decrypt", resource=KEYS[EAST], context={name: "STORE_NAME", keys: (name[22:],)}
    )
    rest = "kms:Encrypt kms:ScheduleKeyDeletion kms:PutKeyPolicy kms:CreateGrant kms:DisableKey"
    return {
        **other_keys(use),
        **other_keys(replace(use, action="kms:GenerateDataKey")),
        "without a context": Request(action=use.action, resource=use.resource),
        "another store": given(use, {name: "OTHER_STORE"}),
        "the store's name in other letters": given(use, {name: "store_name"}),
        "a second key in the context": given(use, {keys: (name[22:], "more")}),
        **{f"only its two uses: {one}": replace(use, action=one) for one in rest.split()},
    }
