# What no other module owns: the way out, and the queue that announces lost spot nodes.
resource "aws_cloudwatch_metric_alarm" "nat_instance" {
  count = var.nat_instance == null ? 0 : 1

  alarm_name          = "${var.name}-nat"
  alarm_description   = "The NAT instance fails its checks: nodes reach nothing outside; recover it, or replace it with terraform apply -replace"
  namespace           = "AWS/EC2"
  metric_name         = "StatusCheckFailed"
  dimensions          = { InstanceId = var.nat_instance.id }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 3
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_metric_alarm" "interruptions" {
  count = var.interruption_queue_name == null ? 0 : 1

  alarm_name          = "${var.name}-interruptions-unread"
  alarm_description   = "Nobody reads the interruption queue: Karpenter is down, and spot nodes will vanish without a drain"
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateAgeOfOldestMessage"
  dimensions          = { QueueName = var.interruption_queue_name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 2
  comparison_operator = "GreaterThanThreshold"
  threshold           = 60
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}
