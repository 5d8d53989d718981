# Defaults of the account, for whatever somebody makes by hand.
resource "aws_ebs_encryption_by_default" "this" {
  enabled = true
}

resource "aws_s3_account_public_access_block" "this" {
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# The budgets of the environments count by this tag; it must be activated for cost reports once.
resource "aws_ce_cost_allocation_tag" "environment" {
  count = var.activate_cost_tag ? 1 : 0

  tag_key = "Environment"
  status  = "Active"
}
