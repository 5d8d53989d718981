# Alarms by mail and a budget.
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

module "observability" {
  source = "../.."

  name               = "ecap-demo"
  environment        = "dev"
  kms_key_arn        = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"
  emails             = ["ops@example.com"]
  monthly_budget_usd = 150
  price_usd          = 149
}
