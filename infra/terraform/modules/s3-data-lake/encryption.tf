resource "aws_s3_bucket_server_side_encryption_configuration" "data" {
  for_each = local.data

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    # One data key for many objects: without it every object is a KMS call, and a bill.
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

# S3's own access logs can only be delivered to a bucket with S3-managed keys.
resource "aws_s3_bucket_server_side_encryption_configuration" "logs" {
  bucket = aws_s3_bucket.this["logs"].id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}
