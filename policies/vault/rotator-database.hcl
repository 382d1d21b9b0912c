# The rotator of one static database role: has its password changed, and reads it back to try it.
# Not the root of the connection: OpenBao that is killed while rotating that can lock itself out.

path "database/rotate-role/secretkit-rotated" {
  capabilities = ["update"]
}

path "database/static-creds/secretkit-rotated" {
  capabilities = ["read"]
}

path "auth/token/renew-self" {
  capabilities = ["update"]
}

path "auth/token/revoke-self" {
  capabilities = ["update"]
}
