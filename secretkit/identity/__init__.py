"""Says who this workload is, by a JWT that is asked for anew each time and looked at before use."""

from secretkit.identity.claims import Claims, read_claims
from secretkit.identity.opening import KINDS, open_identity

__all__ = ["KINDS", "Claims", "open_identity", "read_claims"]
