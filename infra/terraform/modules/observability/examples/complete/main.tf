# With everything that has a row on the dashboard.
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
  environment        = "staging"
  kms_key_arn        = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"
  emails             = ["ops@example.com", "oncall@example.com"]
  monthly_budget_usd = 900
  price_usd          = 640.5

  nat_instance            = { id = "i-0123456789abcdef0" }
  interruption_queue_name = "ecap-demo-interruption"
  database_identifier     = "ecap-demo"
  kafka_name              = "ecap-demo"
}
