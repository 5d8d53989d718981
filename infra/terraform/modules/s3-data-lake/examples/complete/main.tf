# A lake that may be thrown away, with short lives.
terraform {
  required_version = ">= 1.11, < 2.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.69"
    }
  }
}

provider "aws" {
  region = "us-east-1"
}

module "s3_data_lake" {
  source = "../.."

  name          = "ecap-demo"
  kms_key_arn   = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"
  force_destroy = true

  retention = {
    raw         = { infrequent_after_days = 30, expire_days = 90 }
    curated     = {}
    features    = { expire_days = 30 }
    checkpoints = { expire_days = 7, old_versions_days = 1 }
    logs        = { expire_days = 30 }
  }
}
