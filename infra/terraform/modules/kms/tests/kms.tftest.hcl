mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name = "ecap-test"
  keys = { main = { description = "Everything" } }
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

run "keys_rotate" {
  command = plan

  assert {
    condition     = alltrue([for key in aws_kms_key.this : key.enable_key_rotation])
    error_message = "A key does not rotate."
  }

  assert {
    condition     = aws_kms_alias.this["main"].name == "alias/ecap-test/main"
    error_message = "The alias does not carry the purpose."
  }
}

run "refuses_no_keys" {
  command = plan

  variables {
    keys = {}
  }

  expect_failures = [var.keys]
}

run "refuses_full_service_names" {
  command = plan

  variables {
    keys = { main = { description = "x", via_services = ["ec2.amazonaws.com"] } }
  }

  expect_failures = [var.keys]
}

run "refuses_hasty_deletion" {
  command = plan

  variables {
    deletion_window_days = 1
  }

  expect_failures = [var.deletion_window_days]
}

run "refuses_upper_case" {
  command = plan

  variables {
    name = "ECAP"
  }

  expect_failures = [var.name]
}
