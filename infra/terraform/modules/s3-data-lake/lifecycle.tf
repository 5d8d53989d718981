resource "aws_s3_bucket_lifecycle_configuration" "this" {
  for_each = local.names

  bucket = aws_s3_bucket.this[each.key].id

  rule {
    id     = "leftovers"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }

    noncurrent_version_expiration {
      noncurrent_days = var.retention[each.key].old_versions_days
    }
  }

  dynamic "rule" {
    for_each = var.retention[each.key].infrequent_after_days == null ? [] : [var.retention[each.key].infrequent_after_days]

    content {
      id     = "infrequent"
      status = "Enabled"

      filter {
        # Smaller objects cost more in the cheaper class than they save.
        object_size_greater_than = 131072
      }

      transition {
        days          = rule.value
        storage_class = "STANDARD_IA"
      }
    }
  }

  dynamic "rule" {
    for_each = var.retention[each.key].expire_days == null ? [] : [var.retention[each.key].expire_days]

    content {
      id     = "expire"
      status = "Enabled"

      filter {}

      expiration {
        days = rule.value
      }
    }
  }

  depends_on = [aws_s3_bucket_versioning.this]
}
