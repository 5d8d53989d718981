output "backend" {
  description = "Content of infra/terraform/backend.hcl, which the other roots are initialised with."
  value = join("\n", [
    "bucket     = \"${aws_s3_bucket.state.bucket}\"",
    "region     = \"${var.region}\"",
    "kms_key_id = \"${module.kms.arns["terraform-state"]}\"",
    "",
  ])
}
