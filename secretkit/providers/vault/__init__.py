"""vault: HashiCorp Vault and OpenBao. KV, dynamic secrets with leases, PKI, transit; eight logins.

``provider`` is the door. ``client`` asks hvac what to send and sends it over our own transport,
``token`` keeps the one token that all threads share, ``login`` and its siblings get it, ``kv`` and
``lease`` read, ``reason`` says what an answer means.
"""
