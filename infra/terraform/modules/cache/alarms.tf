locals {
  alarms = {
    memory    = { metric = "DatabaseMemoryUsagePercentage", threshold = 75, text = "Memory above 75%: with noeviction, Ray's control store stops at 100%; take a larger node type" }
    cpu       = { metric = "EngineCPUUtilization", threshold = 80, text = "The engine's core is above 80%: take a larger node type" }
    evictions = { metric = "Evictions", threshold = 0, text = "Keys were evicted: Ray's control state is damaged; check maxmemory-policy" }
  }

  members = { for i in range(var.replicas + 1) : format("%03d", i + 1) => "${var.name}-${format("%03d", i + 1)}" }

  member_alarms = merge([
    for number, member in local.members : { for alarm, spec in local.alarms : "${alarm}-${number}" => merge(spec, { member = member }) }
  ]...)
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.member_alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.text
  namespace           = "AWS/ElastiCache"
  metric_name         = each.value.metric
  dimensions          = { CacheClusterId = each.value.member }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 5
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  treat_missing_data  = "missing"
  alarm_actions       = [var.alarm_topic_arn]
  ok_actions          = [var.alarm_topic_arn]

  depends_on = [aws_elasticache_replication_group.this]
}
