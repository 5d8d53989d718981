mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name               = "ecap-test"
  subnet_ids         = ["subnet-0a", "subnet-0b"]
  security_group_ids = ["sg-0123456789abcdef0"]
  kms_key_arn        = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"
  alarm_topic_arn    = "arn:aws:sns:us-east-1:123456789012:ecap-demo-alarms"
  auth_token         = "0123456789abcdef0123456789abcdef"
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
    condition     = aws_elasticache_replication_group.this.transit_encryption_enabled && aws_elasticache_replication_group.this.transit_encryption_mode == "required"
    error_message = "Clients may connect without TLS."
  }

  assert {
    condition     = aws_elasticache_replication_group.this.at_rest_encryption_enabled == "true" && aws_elasticache_replication_group.this.kms_key_id == var.kms_key_arn
    error_message = "Data is not encrypted with the key."
  }

  assert {
    condition     = aws_elasticache_replication_group.this.automatic_failover_enabled && aws_elasticache_replication_group.this.num_cache_clusters == 2
    error_message = "Nobody takes over from a lost primary."
  }

  assert {
    condition     = one([for p in aws_elasticache_parameter_group.this.parameter : p.value if p.name == "maxmemory-policy"]) == "noeviction"
    error_message = "Ray's state may be evicted."
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.this) == 6
    error_message = "A member or an alarm is missing."
  }
}

run "refuses_short_tokens" {
  command = plan

  variables {
    auth_token = "short"
  }

  expect_failures = [var.auth_token]
}

run "refuses_replicas_in_one_zone" {
  command = plan

  variables {
    subnet_ids = ["subnet-0a"]
  }

  expect_failures = [var.replicas]
}

run "refuses_intel" {
  command = plan

  variables {
    node_type = "cache.r5.large"
  }

  expect_failures = [var.node_type]
}
