"""AWS: credentials from STS, and the stores Secrets Manager and Parameter Store.

Requests are signed by ``core/sigv4`` and sent by the context's transport, within one deadline;
boto3 is needed only for ``base = "default"`` and profiles, whose chain is its own
(docs/decisions/0018). Errors name AWS's code and what to do; AWS's own text is not shown, because
it repeats what was sent.
"""
