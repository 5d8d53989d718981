# Express brokers: elastic storage, faster recovery; topics of one's own.
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

module "msk" {
  source = "../.."

  name               = "ecap-demo"
  kind               = "express"
  instance_type      = "express.m7g.large"
  subnet_ids         = ["subnet-0a", "subnet-0b", "subnet-0c"]
  security_group_ids = ["sg-0123456789abcdef0"]
  kms_key_arn        = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"
  alarm_topic_arn    = "arn:aws:sns:us-east-1:123456789012:ecap-demo-alarms"

  brokers_per_zone = 2
  retention_hours  = 72
  topics           = ["transactions", "user-events"]
  group_prefix     = "ecap-demo-"
}
