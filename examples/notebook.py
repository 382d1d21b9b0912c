"""A notebook that can be saved and shared: no cell holds a value, and none prints one.

Open it in Jupyter or VS Code (``# %%`` starts a cell). The last line of a cell is shown under it,
and what is shown is saved in the notebook; so each cell below ends with something to look at.
"""
# ruff: noqa: B018, E402 - cells end with what they show, and import what they need

# %% Parameters: papermill and the test put their own cell after this one.
from __future__ import annotations

config: str | None = None  # None: the user's own secretkit.toml
base_url: str | None = None  # None: the Claude API

# %% One broker for the whole notebook. Run this cell once; running it again is harmless.
import secretkit

broker = secretkit.Broker.from_config(config)
broker.names()

# %% A lease shows who has what until when. The credential in it shows as a mask.
lease = broker.lease("claude")
lease

# %% So does the Secret, wherever it turns up: alone, in a list, in an f-string.
secret = broker.get("claude")
[secret, f"{secret}", {"key": secret}]

# %% An ordinary client. No cell needs the value, so none calls reveal().
client = secretkit.claude.connect("claude", broker=broker, base_url=base_url)
client

# %% Change the key meanwhile (secretkit set claude) and run this again: no restart.
message = client.messages.create(
    model="claude-sonnet-5",
    max_tokens=64,
    messages=[{"role": "user", "content": "hello"}],
)
message.content

# %% What happened, without a value.
broker.status()

# %% Give the lease back. A kernel that is killed cannot: then it ends by itself.
client.close()
broker.close()
