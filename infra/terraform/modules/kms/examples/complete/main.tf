# A key for the data stores, one for logs and disks, one that CloudWatch alarms may use.
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

module "kms" {
  source = "../.."

  name = "ecap-demo"

  keys = {
    data   = { description = "Data stores", via_services = ["rds", "s3"] }
    nodes  = { description = "Disks and logs of the cluster", via_services = ["ec2"], log_groups = true }
    alarms = { description = "Alarm topic", service_principals = ["cloudwatch.amazonaws.com"] }
  }

  rotation_days        = 180
  deletion_window_days = 7
}
