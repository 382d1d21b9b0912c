"""What the policies of who calls Claude on AWS have to refuse."""

from __future__ import annotations

from dataclasses import replace

from policies.asked import (
    ACCOUNT,
    EAST,
    MANTLE_MODEL,
    MODEL,
    PROFILE,
    PROJECT,
    WEST,
    WORKSPACE,
    model_arn,
)
from policies.case import OTHER, Cases, ask, each, given


def bedrock_invoke() -> Cases:
    invoke, stream = "bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"
    by, kind = "bedrock:InferenceProfileArn", "bedrock:BearerTokenType"
    opus = "anthropic.claude-opus-4-1-20250805-v1:0"
    direct = ask(invoke, model_arn(EAST))
    through = given(direct, {by: PROFILE})
    rest = "bedrock:CreateModelInvocationJob bedrock:ApplyGuardrail bedrock:DeleteInferenceProfile"
    return {
        "another profile": ask(invoke, PROFILE.replace(MODEL, opus)),
        "another profile, streamed": ask(stream, PROFILE.replace(MODEL, opus)),
        "a profile of all regions": ask(invoke, PROFILE.replace("/us.", "/global.")),
        "the profile of another account": ask(invoke, PROFILE.replace(ACCOUNT, OTHER)),
        "the profile in another region": ask(invoke, PROFILE.replace(EAST, WEST)),
        "the model without the profile": direct,
        "the model through another profile": given(direct, {by: PROFILE.replace("/us.", "/eu.")}),
        "another model through the profile": replace(through, resource=model_arn(EAST, opus)),
        **{
            f"a model like it in {region}": replace(through, resource=model_arn(region, opus))
            for region in ("us-east-2", WEST)
        },
        "a region that is not of the profile": replace(through, resource=model_arn("eu-west-1")),
        "a model like it of another vendor": replace(
            through, resource=model_arn(EAST, "amazon.nova-pro-v1:0")
        ),
        **each("nothing but calls", rest, PROFILE),
        **each("nothing but calls of the model", rest, model_arn(EAST), **{by: PROFILE}),
        "a long-term key": ask("bedrock:CallWithBearerToken", "*", **{kind: "LONG_TERM"}),
        "a key of no kind": ask("bedrock:CallWithBearerToken", "*"),
        "a list of models": ask("bedrock:ListFoundationModels", "*", **{kind: "SHORT_TERM"}),
        "Claude on AWS beside Bedrock": ask("bedrock-mantle:CreateInference", "*"),
    }


def bedrock_mantle_invoke() -> Cases:
    create, model = "bedrock-mantle:CreateInference", "bedrock-mantle:Model"
    usual = ask(create, PROJECT, **{model: MANTLE_MODEL})
    rest = (
        "bedrock-mantle:DeleteInference bedrock-mantle:CreateFile bedrock-mantle:CreateProject"
        " bedrock-mantle:CallWithBearerToken"
    )
    return {
        "another model": given(usual, {model: "anthropic.claude-haiku-4-5"}),
        "a model of another vendor": given(usual, {model: "openai.gpt-oss-120b"}),
        "no model": given(usual, {model: None}),
        "another project": replace(usual, resource=PROJECT.replace("default", "other")),
        "another account": replace(usual, resource=PROJECT.replace(ACCOUNT, OTHER)),
        "another region": replace(usual, resource=PROJECT.replace(EAST, WEST)),
        **each("nothing but calls", rest, PROJECT, **{model: MANTLE_MODEL}),
        "not through Bedrock": ask("bedrock:InvokeModel", model_arn(EAST)),
    }


def claude_on_aws_invoke() -> Cases:
    service = "aws-external-anthropic"
    create = ask(f"{service}:CreateInference", WORKSPACE)
    rest = (
        "CreateBatchInference GetBatchInference CreateFile GetFile ListFiles CreateSkill"
        " UpdateWorkspace CallWithBearerToken"
    )
    return {
        "another workspace": replace(create, resource=WORKSPACE + "2"),
        "another account": replace(create, resource=WORKSPACE.replace(ACCOUNT, OTHER)),
        "another region": replace(create, resource=WORKSPACE.replace(EAST, WEST)),
        "counting in another workspace": ask(f"{service}:CountTokens", WORKSPACE + "2"),
        **{f"not {one}": ask(f"{service}:{one}", WORKSPACE) for one in rest.split()},
        "not through Bedrock": ask("bedrock:InvokeModel", model_arn(EAST)),
    }
