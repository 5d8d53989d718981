data "aws_partition" "current" {}

data "aws_iam_policy_document" "monitoring_assumes" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["monitoring.rds.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "monitoring" {
  count = var.monitoring_interval_s > 0 ? 1 : 0

  name               = "${var.name}-monitoring"
  description        = "Operating system metrics of ${var.name}"
  assume_role_policy = data.aws_iam_policy_document.monitoring_assumes.json
}

resource "aws_iam_role_policy_attachment" "monitoring" {
  count = var.monitoring_interval_s > 0 ? 1 : 0

  role       = aws_iam_role.monitoring[0].name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
}

# RDS would make them itself: without a key, and kept for ever.
resource "aws_cloudwatch_log_group" "this" {
  for_each = toset(["postgresql", "upgrade"])

  name              = "/aws/rds/instance/${var.name}/${each.key}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}
