resource "aws_budgets_budget" "this" {
  name         = var.name
  budget_type  = "COST"
  limit_amount = tostring(var.monthly_budget_usd)
  limit_unit   = "USD"
  time_unit    = "MONTHLY"

  cost_filter {
    name   = "TagKeyValue"
    values = [format("user:Environment$%s", var.environment)]
  }

  notification {
    notification_type         = "ACTUAL"
    comparison_operator       = "GREATER_THAN"
    threshold_type            = "PERCENTAGE"
    threshold                 = 80
    subscriber_sns_topic_arns = [aws_sns_topic.alarms.arn]
  }

  notification {
    notification_type         = "FORECASTED"
    comparison_operator       = "GREATER_THAN"
    threshold_type            = "PERCENTAGE"
    threshold                 = 100
    subscriber_sns_topic_arns = [aws_sns_topic.alarms.arn]
  }

  lifecycle {
    precondition {
      condition     = var.monthly_budget_usd >= var.price_usd
      error_message = "monthly_budget_usd (${var.monthly_budget_usd}) is under the price of this plan (${var.price_usd} USD a month at list prices): raise the budget, or make the environment smaller and price it again with pricing/price.py."
    }
  }

  depends_on = [aws_sns_topic_policy.alarms]
}
