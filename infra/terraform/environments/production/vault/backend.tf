# Bucket, key and region come from bootstrap: terraform init -backend-config=../../../backend.hcl
terraform {
  backend "s3" {
    key          = "production/vault.tfstate"
    encrypt      = true
    use_lockfile = true
  }
}
