mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name        = "ecap-test"
  kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"
  secrets     = { smtp = "Login of the mail relay, put here by the operator" }
}

run "minimal" {
  command = plan

  module {
    source = "./examples/minimal"
  }
}

run "complete" {
  command = plan

  module {
    source = "./examples/complete"
  }
}

run "closed_and_encrypted" {
  command = plan

  assert {
    condition     = aws_secretsmanager_secret.this["smtp"].kms_key_id == var.kms_key_arn && aws_secretsmanager_secret.this["smtp"].name == "ecap-test/smtp"
    error_message = "The secret has another key or name."
  }

  assert {
    condition     = aws_secretsmanager_secret_policy.this["smtp"].block_public_policy
    error_message = "A public policy would be accepted."
  }
}

run "refuses_undescribed" {
  command = plan

  variables {
    secrets = { smtp = "" }
  }

  expect_failures = [var.secrets]
}

run "refuses_three_days" {
  command = plan

  variables {
    recovery_days = 3
  }

  expect_failures = [var.recovery_days]
}
