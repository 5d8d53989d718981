locals {
  alarms = !local.provisioned ? {} : {
    controller       = { metric = "ActiveControllerCount", statistic = "Maximum", above = false, threshold = 1, minutes = 5, text = "No active controller: the cluster cannot elect leaders; look at the AWS health dashboard" }
    offline          = { metric = "OfflinePartitionsCount", statistic = "Maximum", above = true, threshold = 0, minutes = 5, text = "Partitions without a leader: nothing can be written to them; the outbox holds the events meanwhile" }
    under-replicated = { metric = "UnderReplicatedPartitions", statistic = "Maximum", above = true, threshold = 0, minutes = 15, text = "Replicas lag for 15 minutes: a broker is down or overloaded" }
  }

  disk_alarms = var.kind == "provisioned" ? length(var.subnet_ids) * var.brokers_per_zone : 0
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.text
  namespace           = "AWS/Kafka"
  metric_name         = each.value.metric
  dimensions          = { "Cluster Name" = aws_msk_cluster.this[0].cluster_name }
  statistic           = each.value.statistic
  period              = 60
  evaluation_periods  = each.value.minutes
  comparison_operator = each.value.above ? "GreaterThanThreshold" : "LessThanThreshold"
  threshold           = each.value.threshold
  treat_missing_data  = "breaching"
  alarm_actions       = [var.alarm_topic_arn]
  ok_actions          = [var.alarm_topic_arn]
}

resource "aws_cloudwatch_metric_alarm" "disk" {
  count = local.disk_alarms

  alarm_name          = "${var.name}-disk-${count.index + 1}"
  alarm_description   = "A broker's disk is 80% full: autoscaling grows it once in six hours at most, so shorten retention if it keeps rising"
  namespace           = "AWS/Kafka"
  metric_name         = "KafkaDataLogsDiskUsed"
  dimensions          = { "Cluster Name" = aws_msk_cluster.this[0].cluster_name, "Broker ID" = tostring(count.index + 1) }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 2
  comparison_operator = "GreaterThanThreshold"
  threshold           = 80
  treat_missing_data  = "missing"
  alarm_actions       = [var.alarm_topic_arn]
  ok_actions          = [var.alarm_topic_arn]
}
