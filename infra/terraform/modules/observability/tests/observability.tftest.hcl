mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name               = "ecap-test"
  environment        = "dev"
  kms_key_arn        = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"
  emails             = ["ops@example.com"]
  monthly_budget_usd = 150
  price_usd          = 149
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

run "somebody_hears" {
  command = plan

  assert {
    condition     = length(aws_sns_topic_subscription.email) == 1 && aws_sns_topic.alarms.kms_master_key_id == var.kms_key_arn
    error_message = "Nobody subscribes, or the topic is not encrypted."
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.nat_instance) == 0 && length(aws_cloudwatch_metric_alarm.interruptions) == 0
    error_message = "An alarm watches what is not there."
  }
}

run "watches_what_is_there" {
  command = plan

  variables {
    nat_instance            = { id = "i-0123456789abcdef0" }
    interruption_queue_name = "q"
    kafka_name              = "k"
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.nat_instance) == 1 && length(aws_cloudwatch_metric_alarm.interruptions) == 1
    error_message = "The way out or the queue is not watched."
  }

  assert {
    condition     = length(jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets) == 7
    error_message = "A widget is missing."
  }
}

run "the_budget_counts_its_environment" {
  command = plan

  assert {
    condition     = anytrue([for f in aws_budgets_budget.this.cost_filter : contains(f.values, join("$", ["user:Environment", "dev"]))])
    error_message = "The budget counts another environment, or none."
  }
}

run "refuses_a_budget_under_the_price" {
  command = plan

  variables {
    monthly_budget_usd = 100
  }

  expect_failures = [aws_budgets_budget.this]
}

run "refuses_nobody" {
  command = plan

  variables {
    emails = []
  }

  expect_failures = [var.emails]
}
