data "aws_iam_policy_document" "bucket" {
  for_each = local.names

  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [local.arns[each.key], "${local.arns[each.key]}/*"]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }

  # An upload may leave encryption to the bucket, but not name another key.
  dynamic "statement" {
    for_each = each.key == "logs" ? [] : [1]

    content {
      sid       = "NoOtherKey"
      effect    = "Deny"
      actions   = ["s3:PutObject"]
      resources = ["${local.arns[each.key]}/*"]

      principals {
        type        = "AWS"
        identifiers = ["*"]
      }

      condition {
        test     = "StringNotEqualsIfExists"
        variable = "s3:x-amz-server-side-encryption-aws-kms-key-id"
        values   = [var.kms_key_arn]
      }

      condition {
        test     = "Null"
        variable = "s3:x-amz-server-side-encryption-aws-kms-key-id"
        values   = ["false"]
      }
    }
  }

  dynamic "statement" {
    for_each = each.key == "logs" ? {
      "s3-access/" = "logging.s3.amazonaws.com"
      "inventory/" = "s3.amazonaws.com"
      "flow-logs/" = "delivery.logs.amazonaws.com"
    } : {}

    content {
      sid       = "Deliver${replace(title(replace(trimsuffix(statement.key, "/"), "-", " ")), " ", "")}"
      actions   = ["s3:PutObject"]
      resources = ["${local.arns["logs"]}/${statement.key}*"]

      principals {
        type        = "Service"
        identifiers = [statement.value]
      }

      condition {
        test     = "StringEquals"
        variable = "aws:SourceAccount"
        values   = [local.account]
      }
    }
  }

  # Flow logs look at the bucket before they write to it.
  dynamic "statement" {
    for_each = each.key == "logs" ? [1] : []

    content {
      sid       = "DeliveryLooks"
      actions   = ["s3:GetBucketAcl", "s3:ListBucket"]
      resources = [local.arns["logs"]]

      principals {
        type        = "Service"
        identifiers = ["delivery.logs.amazonaws.com"]
      }

      condition {
        test     = "StringEquals"
        variable = "aws:SourceAccount"
        values   = [local.account]
      }
    }
  }
}

resource "aws_s3_bucket_policy" "this" {
  for_each = local.names

  bucket = aws_s3_bucket.this[each.key].id
  policy = data.aws_iam_policy_document.bucket[each.key].json

  # A policy that arrives with its access block can be refused for a moment as conflicting.
  depends_on = [aws_s3_bucket_public_access_block.this]
}
