"""Hook: what git runs before a commit or a push, how it gets there, and a proof that it works."""
