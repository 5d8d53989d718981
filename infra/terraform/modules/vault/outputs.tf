output "role_arn" {
  description = "Role of Vault's pods; null for a Vault elsewhere."
  value       = one(aws_iam_role.vault[*].arn)
}

output "seal_stanza" {
  description = "The seal stanza of Vault's configuration; null for a Vault elsewhere."
  value = var.in_cluster ? join("\n", [
    "seal \"awskms\" {",
    "  region     = \"${data.aws_region.current.region}\"",
    "  kms_key_id = \"${var.kms_key_arn}\"",
    "}",
  ]) : null
}
