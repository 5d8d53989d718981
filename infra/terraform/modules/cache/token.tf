# The same token where pods can be given it. Write-only here too: neither plan nor state holds it.
resource "aws_secretsmanager_secret" "token" {
  name                    = "${var.name}/auth-token"
  description             = "Token of the Valkey that keeps Ray's control state"
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = var.secret_recovery_days
}

resource "aws_secretsmanager_secret_version" "token" {
  secret_id                = aws_secretsmanager_secret.token.id
  secret_string_wo         = var.auth_token
  secret_string_wo_version = var.auth_token_version
}
