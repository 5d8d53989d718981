mock_provider "aws" {
  source = "../../tests/mocks"
}

# The environments are its examples, and planned whole by the checks; here is what it refuses.
variables {
  environment        = "staging"
  karpenter          = true
  network            = { cidr = "10.30.0.0/16", zones = ["us-east-1a", "us-east-1b", "us-east-1c"], nat = "single" }
  node_groups        = { system = { capacity = "ON_DEMAND", instance_types = ["m7g.large"], min = 2, max = 3 } }
  access_entries     = { admin = { principal_arn = "arn:aws:iam::123456789012:role/admin", policy = "AmazonEKSClusterAdminPolicy" } }
  database           = { instance_class = "db.t4g.medium", multi_az = true }
  alarm_emails       = ["ops@example.com"]
  monthly_budget_usd = 900
  price_usd          = 632
}

run "plans" {
  command = plan

  assert {
    condition     = module.eks.name == "ecap-staging"
    error_message = "The cluster is not named after the environment."
  }
}

run "refuses_an_unknown_environment" {
  command = plan

  variables {
    environment = "test"
  }

  expect_failures = [var.environment]
}

run "refuses_a_production_that_may_vanish" {
  command = plan

  variables {
    environment = "production"
    ephemeral   = true
  }

  expect_failures = [var.ephemeral]
}

run "refuses_no_nodes_for_workers" {
  command = plan

  variables {
    karpenter = false
  }

  expect_failures = [var.karpenter]
}

run "refuses_a_cache_without_token" {
  command = plan

  variables {
    cache = {}
  }

  expect_failures = [var.cache_auth_token]
}
