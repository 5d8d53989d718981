data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  # ARNs from the name: known while planning. The star stands for the cluster's uuid.
  arn_prefix  = "arn:${data.aws_partition.current.partition}:kafka:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}"
  cluster_arn = "${local.arn_prefix}:cluster/${var.name}/*"
  all_topics  = concat(var.topics, [for topic in var.topics : "${topic}.dlq"])
  topic_arns  = [for topic in local.all_topics : "${local.arn_prefix}:topic/${var.name}/*/${topic}"]
  group_arns  = ["${local.arn_prefix}:group/${var.name}/*/${var.group_prefix}*"]
}

# What the running platform does. Relay and shards make the topics that are missing; they assign
# partitions by hand, so no group is used.
data "aws_iam_policy_document" "client" {
  statement {
    sid       = "Connect"
    actions   = ["kafka-cluster:Connect", "kafka-cluster:DescribeCluster", "kafka-cluster:WriteDataIdempotently"]
    resources = [local.cluster_arn]
  }

  statement {
    sid       = "Topics"
    actions   = ["kafka-cluster:CreateTopic", "kafka-cluster:DescribeTopic", "kafka-cluster:ReadData", "kafka-cluster:WriteData"]
    resources = local.topic_arns
  }
}

# What operators' tools do besides: alter topics, look at groups.
data "aws_iam_policy_document" "admin" {
  source_policy_documents = [data.aws_iam_policy_document.client.json]

  statement {
    sid       = "AlterTopics"
    actions   = ["kafka-cluster:AlterTopic", "kafka-cluster:AlterTopicDynamicConfiguration", "kafka-cluster:DescribeTopicDynamicConfiguration"]
    resources = local.topic_arns
  }

  statement {
    sid       = "Groups"
    actions   = ["kafka-cluster:AlterGroup", "kafka-cluster:DescribeGroup"]
    resources = local.group_arns
  }
}
