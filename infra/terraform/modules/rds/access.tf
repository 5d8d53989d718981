data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

# Lets a pod log in with a token instead of a password, as one of the named users.
data "aws_iam_policy_document" "connect" {
  statement {
    sid     = "Connect"
    actions = ["rds-db:connect"]
    resources = [
      for user in var.iam_users :
      "arn:${data.aws_partition.current.partition}:rds-db:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:dbuser:${aws_db_instance.this.resource_id}/${user}"
    ]
  }
}
