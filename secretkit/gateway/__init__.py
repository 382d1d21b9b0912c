"""Gateway: serves credentials to programs of this machine that speak a protocol of their own."""
