# The rotator of one AppRole's secret ids. The role itself it can neither read nor change.
# A destroyed secret id does not end the tokens it was used for: keep token_max_ttl of the role short.

path "auth/approle/role/secretkit/role-id" {
  capabilities = ["read"]
}

path "auth/approle/role/secretkit/secret-id" {
  capabilities = ["list", "update"]
}

path "auth/approle/role/secretkit/secret-id-accessor/lookup" {
  capabilities = ["update"]
}

path "auth/approle/role/secretkit/secret-id-accessor/destroy" {
  capabilities = ["update"]
}

path "auth/token/renew-self" {
  capabilities = ["update"]
}

path "auth/token/revoke-self" {
  capabilities = ["update"]
}
