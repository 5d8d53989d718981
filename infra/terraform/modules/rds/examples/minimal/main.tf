# The smallest database that is still protected: Multi-AZ, encrypted, seven days of recovery.
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
  instance_class     = "db.t4g.micro"
  subnet_ids         = ["subnet-0a", "subnet-0b"]
  security_group_ids = ["sg-0123456789abcdef0"]
  kms_key_arn        = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"
  alarm_topic_arn    = "arn:aws:sns:us-east-1:123456789012:ecap-demo-alarms"
}
