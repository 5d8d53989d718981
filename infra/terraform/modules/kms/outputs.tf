output "arns" {
  description = "Key ARNs by purpose."
  value       = { for purpose, key in aws_kms_key.this : purpose => key.arn }
}

output "ids" {
  description = "Key ids by purpose."
  value       = { for purpose, key in aws_kms_key.this : purpose => key.key_id }
}

output "aliases" {
  description = "Alias names by purpose."
  value       = { for purpose, alias in aws_kms_alias.this : purpose => alias.name }
}
