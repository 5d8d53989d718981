locals {
  flow_logs_to_cloudwatch = var.flow_logs.destination == "cloudwatch"
}

resource "aws_flow_log" "this" {
  vpc_id                   = aws_vpc.this.id
  traffic_type             = var.flow_logs.traffic
  max_aggregation_interval = 600
  log_destination_type     = local.flow_logs_to_cloudwatch ? "cloud-watch-logs" : "s3"
  log_destination          = local.flow_logs_to_cloudwatch ? aws_cloudwatch_log_group.flow[0].arn : "${var.flow_logs.bucket_arn}/flow-logs/"
  iam_role_arn             = local.flow_logs_to_cloudwatch ? aws_iam_role.flow[0].arn : null

  dynamic "destination_options" {
    for_each = local.flow_logs_to_cloudwatch ? [] : [1]

    content {
      file_format                = "parquet"
      hive_compatible_partitions = true
      per_hour_partition         = false
    }
  }

  tags = { Name = var.name }
}

resource "aws_cloudwatch_log_group" "flow" {
  count = local.flow_logs_to_cloudwatch ? 1 : 0

  name              = "/aws/vpc/${var.name}/flow"
  retention_in_days = var.flow_logs.retention_days
  kms_key_id        = var.flow_logs.kms_key_arn
}

data "aws_iam_policy_document" "flow_assumes" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["vpc-flow-logs.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "flow" {
  count = local.flow_logs_to_cloudwatch ? 1 : 0

  name               = "${var.name}-flow-logs"
  description        = "VPC flow logs write their log group"
  assume_role_policy = data.aws_iam_policy_document.flow_assumes.json
}

data "aws_iam_policy_document" "flow_writes" {
  count = local.flow_logs_to_cloudwatch ? 1 : 0

  statement {
    actions   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.flow[0].arn}:*"]
  }
}

resource "aws_iam_role_policy" "flow" {
  count = local.flow_logs_to_cloudwatch ? 1 : 0

  name   = "write"
  role   = aws_iam_role.flow[0].id
  policy = data.aws_iam_policy_document.flow_writes[0].json
}
