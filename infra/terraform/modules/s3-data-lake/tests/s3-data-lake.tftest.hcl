mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name        = "ecap-test"
  kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"
}

run "minimal" {
  command = plan

  module {
    source = "./examples/minimal"
  }
}

run "complete" {
  command = plan

  module {
    source = "./examples/complete"
  }
}

run "closed_and_encrypted" {
  command = plan

  assert {
    condition     = keys(aws_s3_bucket.this) == keys(aws_s3_bucket_public_access_block.this) && alltrue([for b in aws_s3_bucket_public_access_block.this : b.block_public_acls && b.block_public_policy && b.ignore_public_acls && b.restrict_public_buckets])
    error_message = "A bucket is not closed to the public."
  }

  assert {
    condition     = alltrue(flatten([for e in aws_s3_bucket_server_side_encryption_configuration.data : [for r in e.rule : r.bucket_key_enabled]]))
    error_message = "Every object would be a KMS call."
  }

  assert {
    condition     = keys(aws_s3_bucket_policy.this) == keys(aws_s3_bucket.this)
    error_message = "A bucket accepts requests without TLS."
  }

  assert {
    condition     = alltrue([for b in aws_s3_bucket.this : !b.force_destroy])
    error_message = "Destroying would delete data by default."
  }
}

run "names_fit" {
  command = plan

  assert {
    condition     = alltrue([for n in values(local.names) : length(n) <= 63]) && local.names["raw"] == "ecap-test-raw-123456789012"
    error_message = "A bucket name is too long or moved."
  }
}

run "refuses_a_missing_zone" {
  command = plan

  variables {
    retention = { raw = {} }
  }

  expect_failures = [var.retention]
}

run "refuses_early_infrequent_access" {
  command = plan

  variables {
    retention = {
      raw = { infrequent_after_days = 7 }, curated = {}, features = {}, checkpoints = {}, logs = {}
    }
  }

  expect_failures = [var.retention]
}

run "refuses_long_names" {
  command = plan

  variables {
    name = "a-name-that-is-much-too-long-for-a-bucket-of-five"
  }

  expect_failures = [var.name]
}
