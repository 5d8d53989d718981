mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name               = "ecap-test"
  instance_class     = "db.t4g.micro"
  subnet_ids         = ["subnet-0a", "subnet-0b"]
  security_group_ids = ["sg-0123456789abcdef0"]
  kms_key_arn        = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"
  alarm_topic_arn    = "arn:aws:sns:us-east-1:123456789012:ecap-demo-alarms"
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

run "secure_by_default" {
  command = plan

  assert {
    condition     = aws_db_instance.this.storage_encrypted && aws_db_instance.this.kms_key_id == var.kms_key_arn
    error_message = "Storage is not encrypted with the key."
  }

  assert {
    condition     = !aws_db_instance.this.publicly_accessible && aws_db_instance.this.multi_az && aws_db_instance.this.deletion_protection
    error_message = "Public, alone or deletable by default."
  }

  assert {
    condition     = aws_db_instance.this.manage_master_user_password && aws_db_instance.this.iam_database_authentication_enabled
    error_message = "The master password is not AWS's, or IAM users cannot log in."
  }

  assert {
    condition     = one([for p in aws_db_parameter_group.this.parameter : p.value if p.name == "rds.force_ssl"]) == "1"
    error_message = "Connections without TLS are accepted."
  }

  assert {
    condition     = aws_db_instance.this.performance_insights_retention_period == 7
    error_message = "Standard insights keep 7 days."
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.this) == 5
    error_message = "An alarm is missing."
  }
}

run "static_parameters_wait_for_a_restart" {
  command = plan

  assert {
    condition     = one([for p in aws_db_parameter_group.this.parameter : p.apply_method if p.name == "shared_preload_libraries"]) == "pending-reboot"
    error_message = "RDS refuses a static parameter as immediate."
  }

  assert {
    condition     = aws_db_parameter_group.this.family == "postgres17"
    error_message = "The family does not follow from the version."
  }
}

run "ephemeral" {
  command = plan

  variables {
    deletion_protection = false
  }

  assert {
    condition     = aws_db_instance.this.skip_final_snapshot && aws_db_instance.this.final_snapshot_identifier == null
    error_message = "Without protection there must be no final snapshot."
  }
}

run "refuses_unknown_version" {
  command = plan

  variables {
    engine_version = "16"
  }

  expect_failures = [var.engine_version]
}

run "refuses_unknown_parameter" {
  command = plan

  variables {
    parameters = { max_conections = "100" }
  }

  expect_failures = [var.parameters]
}

run "refuses_no_tls" {
  command = plan

  variables {
    parameters = { "rds.force_ssl" = "0" }
  }

  expect_failures = [aws_db_parameter_group.this]
}

run "refuses_intel" {
  command = plan

  variables {
    instance_class = "db.m5.large"
  }

  expect_failures = [var.instance_class]
}

run "refuses_one_zone" {
  command = plan

  variables {
    subnet_ids = ["subnet-0a"]
  }

  expect_failures = [var.subnet_ids]
}

run "refuses_no_backups" {
  command = plan

  variables {
    backup_days = 0
  }

  expect_failures = [var.backup_days]
}

run "refuses_low_storage_ceiling" {
  command = plan

  variables {
    storage_gib     = 100
    max_storage_gib = 110
  }

  expect_failures = [aws_db_instance.this]
}

run "refuses_every_user" {
  command = plan

  variables {
    iam_users = ["*"]
  }

  expect_failures = [var.iam_users]
}
