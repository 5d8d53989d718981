output "buckets" {
  description = "Bucket names by zone (raw, curated, features, checkpoints, logs)."
  value       = { for zone, bucket in aws_s3_bucket.this : zone => bucket.bucket }
}

output "arns" {
  description = "Bucket ARNs by zone, known before the buckets exist."
  value       = local.arns
}

output "read_write_policy_json" {
  description = "IAM policy for pods that read and write the lake's data zones (not the logs). They need the key besides."
  value       = data.aws_iam_policy_document.read_write.json
}

output "delivery_bucket_arn" {
  description = "ARN of the logs bucket, once its policy accepts deliveries."
  value       = local.arns["logs"]

  depends_on = [aws_s3_bucket_policy.this]
}
