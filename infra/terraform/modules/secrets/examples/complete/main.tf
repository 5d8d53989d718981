# Two, deleted at once with their environment.
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

module "secrets" {
  source = "../.."

  name          = "ecap-demo"
  kms_key_arn   = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"
  recovery_days = 0

  secrets = {
    grafana-admin  = "Password of the administrator of Grafana, put here by the operator"
    vault-recovery = "Recovery keys of Vault, put here by whoever initialises it"
  }
}
