# What a pod that works on the lake may do: rendered here, attached by whoever owns the role.
data "aws_iam_policy_document" "read_write" {
  statement {
    sid       = "List"
    actions   = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
    resources = [for zone in keys(local.data) : local.arns[zone]]
  }

  statement {
    sid       = "Objects"
    actions   = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"]
    resources = [for zone in keys(local.data) : "${local.arns[zone]}/*"]
  }
}
