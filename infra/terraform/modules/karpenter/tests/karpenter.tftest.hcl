mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  cluster_name   = "ecap-test"
  node_role_name = "ecap-test-node"
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

run "hears_of_interruptions" {
  command = plan

  assert {
    condition     = contains([for r in aws_cloudwatch_event_rule.interruption : jsondecode(r.event_pattern)["detail-type"][0]], "EC2 Spot Instance Interruption Warning")
    error_message = "Nobody announces spot interruptions."
  }

  assert {
    condition     = keys(aws_cloudwatch_event_rule.interruption) == keys(aws_cloudwatch_event_target.interruption)
    error_message = "A rule has no target."
  }

  assert {
    condition     = aws_sqs_queue.interruption.sqs_managed_sse_enabled && aws_sqs_queue.interruption.message_retention_seconds == 300
    error_message = "The queue is not encrypted, or keeps stale warnings."
  }
}
