# Two replicas, larger nodes, a week of snapshots, the second token.
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

variable "auth_token" {
  description = "Token, as TF_VAR_auth_token."
  type        = string
  ephemeral   = true
  default     = "only-for-the-test-of-this-example"
}

module "cache" {
  source = "../.."

  name               = "ecap-demo"
  subnet_ids         = ["subnet-0a", "subnet-0b", "subnet-0c"]
  security_group_ids = ["sg-0123456789abcdef0"]
  kms_key_arn        = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"
  alarm_topic_arn    = "arn:aws:sns:us-east-1:123456789012:ecap-demo-alarms"
  auth_token         = var.auth_token

  node_type            = "cache.m7g.large"
  replicas             = 2
  snapshot_days        = 7
  auth_token_version   = 2
  secret_recovery_days = 7
}
