mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name               = "ecap-test"
  subnet_ids         = ["subnet-0a", "subnet-0b", "subnet-0c"]
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
    condition     = aws_msk_cluster.this[0].encryption_info[0].encryption_in_transit[0].client_broker == "TLS"
    error_message = "Clients may connect without TLS."
  }

  assert {
    condition     = !aws_msk_cluster.this[0].client_authentication[0].unauthenticated && aws_msk_cluster.this[0].client_authentication[0].sasl[0].iam
    error_message = "Clients may stay unknown."
  }

  assert {
    condition     = aws_msk_cluster.this[0].broker_node_group_info[0].connectivity_info[0].public_access[0].type == "DISABLED"
    error_message = "Brokers are public."
  }

  assert {
    condition     = strcontains(aws_msk_configuration.this[0].server_properties, "auto.create.topics.enable = false")
    error_message = "A typo makes a topic."
  }

  assert {
    condition     = strcontains(aws_msk_configuration.this[0].server_properties, "min.insync.replicas = 2")
    error_message = "An acknowledged record may stand on one broker only."
  }

  assert {
    condition     = length(aws_appautoscaling_policy.storage) == 1
    error_message = "Disks do not grow."
  }
}

run "express_brings_its_storage" {
  command = plan

  variables {
    kind          = "express"
    instance_type = "express.m7g.large"
  }

  assert {
    condition     = length(aws_msk_cluster.this[0].broker_node_group_info[0].storage_info) == 0 && length(aws_appautoscaling_target.storage) == 0
    error_message = "Express brokers take no storage settings."
  }

  assert {
    condition     = !strcontains(aws_msk_configuration.this[0].server_properties, "min.insync.replicas")
    error_message = "Express brokers refuse replication settings."
  }
}

run "serverless" {
  command = plan

  variables {
    kind = "serverless"
  }

  assert {
    condition     = length(aws_msk_cluster.this) == 0 && length(aws_msk_serverless_cluster.this) == 1
    error_message = "Serverless makes a serverless cluster only."
  }
}

run "configuration_can_be_replaced" {
  command = plan

  variables {
    retention_hours = 24
  }

  assert {
    condition     = can(regex("^ecap-test-[0-9a-f]{8}$", aws_msk_configuration.this[0].name))
    error_message = "The name does not follow from the content."
  }
}

run "policy_is_limited_to_our_topics" {
  command = plan

  assert {
    condition     = length(local.topic_arns) == 20 && alltrue([for arn in local.topic_arns : !endswith(arn, "*")])
    error_message = "A topic of ECAP or its dead letters is missing, or all topics are allowed."
  }
}

run "refuses_two_zones" {
  command = plan

  variables {
    subnet_ids = ["subnet-0a", "subnet-0b"]
  }

  expect_failures = [var.subnet_ids]
}

run "refuses_express_type_for_provisioned" {
  command = plan

  variables {
    instance_type = "express.m7g.large"
  }

  expect_failures = [aws_msk_cluster.this]
}

run "refuses_zookeeper" {
  command = plan

  variables {
    kafka_version = "3.6.0"
  }

  expect_failures = [var.kafka_version]
}

run "refuses_fixed_storage" {
  command = plan

  variables {
    storage_gib     = 100
    max_storage_gib = 100
  }

  expect_failures = [aws_appautoscaling_target.storage]
}

run "refuses_wildcard_topics" {
  command = plan

  variables {
    topics = ["*"]
  }

  expect_failures = [var.topics]
}

run "refuses_every_group" {
  command = plan

  variables {
    group_prefix = ""
  }

  expect_failures = [var.group_prefix]
}
