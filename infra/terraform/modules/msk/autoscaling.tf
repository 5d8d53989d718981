resource "aws_appautoscaling_target" "storage" {
  count = var.kind == "provisioned" ? 1 : 0

  service_namespace  = "kafka"
  scalable_dimension = "kafka:broker-storage:VolumeSize"
  resource_id        = aws_msk_cluster.this[0].arn
  min_capacity       = 1
  max_capacity       = var.max_storage_gib

  lifecycle {
    precondition {
      condition     = var.max_storage_gib > var.storage_gib
      error_message = "max_storage_gib (${var.max_storage_gib}) must exceed storage_gib (${var.storage_gib}): a broker with a full disk stops."
    }
  }
}

resource "aws_appautoscaling_policy" "storage" {
  count = var.kind == "provisioned" ? 1 : 0

  name               = "${var.name}-storage"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.storage[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.storage[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.storage[0].resource_id

  target_tracking_scaling_policy_configuration {
    target_value     = 60
    disable_scale_in = true

    predefined_metric_specification {
      predefined_metric_type = "KafkaBrokerStorageUtilization"
    }
  }
}
