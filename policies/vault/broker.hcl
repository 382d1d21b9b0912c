# The broker: reads what it serves, keeps its own token alive, and gives leases back.
# Nothing here is a template: names that people choose would become part of a path.

path "secret/data/secretkit/*" {
  capabilities = ["read"]
}

# The version of a secret, without the value.
path "secret/metadata/secretkit/*" {
  capabilities = ["read"]
}

path "database/creds/secretkit" {
  capabilities = ["read"]
}

# A lease's id is no proof of whose lease it is: only those of its own role.
path "sys/leases/renew" {
  capabilities = ["update"]

  allowed_parameters = {
    "lease_id"  = ["database/creds/secretkit/*"]
    "increment" = []
  }
}

path "sys/leases/revoke" {
  capabilities = ["update"]

  allowed_parameters = {
    "lease_id" = ["database/creds/secretkit/*"]
  }
}

path "auth/token/lookup-self" {
  capabilities = ["read"]
}

path "auth/token/renew-self" {
  capabilities = ["update"]
}

path "auth/token/revoke-self" {
  capabilities = ["update"]
}

# `secretkit provider test` says what the token may not do.
path "sys/capabilities-self" {
  capabilities = ["update"]
}
