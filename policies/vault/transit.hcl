# A key in transit that wraps the key of a local store.
# Neither creates nor rotates the key, nor changes which versions may decrypt.

path "transit/encrypt/secretkit" {
  capabilities = ["update"]
}

path "transit/decrypt/secretkit" {
  capabilities = ["update"]
}

# To the newest version of the key, without seeing the plaintext.
path "transit/rewrap/secretkit" {
  capabilities = ["update"]
}

path "transit/keys/secretkit" {
  capabilities = ["read"]
}

path "auth/token/renew-self" {
  capabilities = ["update"]
}

path "auth/token/revoke-self" {
  capabilities = ["update"]
}
