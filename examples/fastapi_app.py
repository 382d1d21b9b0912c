"""FastAPI: the broker and the client live as long as the application, and handlers borrow them.

Run it with ``uvicorn --factory fastapi_app:create_app``.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, cast

import anthropic
from fastapi import Depends, FastAPI, HTTPException, Request

import secretkit


def claude(request: Request) -> anthropic.AsyncAnthropic:
    """Give the one client: it owns the connection pool, so it is not made per request."""
    return cast("anthropic.AsyncAnthropic", request.app.state.claude)


def create_app(config: str | None = None, base_url: str | None = None) -> FastAPI:
    """Build the application; nothing is opened before it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            secretkit.AsyncBroker.from_config(config) as broker,
            secretkit.claude.connect_async("claude", broker=broker, base_url=base_url) as client,
        ):
            # A missing store or key stops the start here, not the first request.
            await broker.lease("claude")
            app.state.broker, app.state.claude = broker, client
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/ask")
    async def ask(
        question: str, client: Annotated[anthropic.AsyncAnthropic, Depends(claude)]
    ) -> dict[str, str]:
        message = await client.messages.create(
            model="claude-sonnet-5",
            max_tokens=256,
            messages=[{"role": "user", "content": question}],
        )
        return {"answer": "".join(part.text for part in message.content if part.type == "text")}

    @app.get("/health")
    async def health(request: Request) -> dict[str, int]:
        # peek() never waits and never asks a store: a probe must not depend on either.
        lease = request.app.state.broker.peek("claude")
        if lease is None:
            raise HTTPException(503, "no credential")
        return {"generation": lease.generation}

    return app
