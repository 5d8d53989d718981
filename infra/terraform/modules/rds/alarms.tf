locals {
  gib = 1024 * 1024 * 1024

  # Each says what an operator should look at; a full disk and full memory stop the database.
  alarms = {
    cpu         = { metric = "CPUUtilization", above = true, threshold = 85, minutes = 15, text = "CPU above 85% for 15 minutes: look at the top statements in Database Insights" }
    storage     = { metric = "FreeStorageSpace", above = false, threshold = var.storage_gib * local.gib * 0.1, minutes = 5, text = "Less than a tenth of the first storage is free: autoscaling is at its ceiling or too slow; check for a replication slot that holds WAL" }
    memory      = { metric = "FreeableMemory", above = false, threshold = var.memory_alarm_mib * 1024 * 1024, minutes = 10, text = "Little memory is left: fewer connections or a larger class" }
    connections = { metric = "DatabaseConnections", above = true, threshold = var.connections_alarm, minutes = 5, text = "Many connections: a pool leaks, or too many replicas" }
    latency     = { metric = "WriteLatency", above = true, threshold = 0.05, minutes = 10, text = "Writes take more than 50 ms: the volume's throughput is used up" }
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.text
  namespace           = "AWS/RDS"
  metric_name         = each.value.metric
  dimensions          = { DBInstanceIdentifier = aws_db_instance.this.identifier }
  statistic           = "Average"
  period              = 60
  evaluation_periods  = each.value.minutes
  datapoints_to_alarm = each.value.minutes
  comparison_operator = each.value.above ? "GreaterThanThreshold" : "LessThanThreshold"
  threshold           = each.value.threshold
  treat_missing_data  = "breaching"
  alarm_actions       = [var.alarm_topic_arn]
  ok_actions          = [var.alarm_topic_arn]
}
