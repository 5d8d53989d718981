# A production database with advanced insights and a pinned minor version.
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

module "rds" {
  source = "../.."

  name               = "ecap-demo"
  engine_version     = "17.6"
  instance_class     = "db.m7g.large"
  subnet_ids         = ["subnet-0a", "subnet-0b", "subnet-0c"]
  security_group_ids = ["sg-0123456789abcdef0"]
  kms_key_arn        = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"
  alarm_topic_arn    = "arn:aws:sns:us-east-1:123456789012:ecap-demo-alarms"

  storage_gib           = 200
  max_storage_gib       = 1000
  backup_days           = 30
  insights              = "advanced"
  monitoring_interval_s = 15
  connections_alarm     = 600
  memory_alarm_mib      = 512
  iam_users             = ["ecap", "ecap_reader"]

  parameters = {
    max_connections = "800"
    work_mem        = "16384"
  }
}
