# The rotator of secrets in KV version 2: writes the next version, reads it back, destroys the old.

path "secret/data/secretkit/rotated/*" {
  capabilities = ["create", "read", "update"]
}

path "secret/metadata/secretkit/rotated/*" {
  capabilities = ["read"]
}

path "secret/destroy/secretkit/rotated/*" {
  capabilities = ["update"]
}

path "auth/token/renew-self" {
  capabilities = ["update"]
}

path "auth/token/revoke-self" {
  capabilities = ["update"]
}
