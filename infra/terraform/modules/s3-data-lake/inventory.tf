# What stands in the lake, weekly and in Parquet: a list of 10 million objects costs 25 cents, listing them costs 50.
resource "aws_s3_bucket_inventory" "this" {
  for_each = local.data

  bucket                   = aws_s3_bucket.this[each.key].id
  name                     = "weekly"
  included_object_versions = "Current"
  optional_fields          = ["EncryptionStatus", "LastModifiedDate", "Size", "StorageClass"]

  schedule {
    frequency = "Weekly"
  }

  destination {
    bucket {
      bucket_arn = local.arns["logs"]
      account_id = local.account
      prefix     = "inventory"
      format     = "Parquet"

      encryption {
        sse_s3 {}
      }
    }
  }

  depends_on = [aws_s3_bucket_policy.this]
}
