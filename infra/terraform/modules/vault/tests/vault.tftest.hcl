mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  cluster_name = "ecap-test"
  in_cluster   = true
  kms_key_arn  = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"
}

run "minimal" {
  command = plan

  module {
    source = "./examples/minimal"
  }
}

run "complete" {
  command = plan

  module {
    source = "./examples/complete"
  }
}

run "in_the_cluster" {
  command = plan

  assert {
    condition     = length(aws_eks_pod_identity_association.vault) == 1 && strcontains(output.seal_stanza, "awskms")
    error_message = "Vault cannot unseal itself."
  }

  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.token_review) == 0
    error_message = "The API is open to networks without need."
  }
}

run "refuses_a_key_for_an_external_vault" {
  command = plan

  variables {
    in_cluster     = false
    external_cidrs = { vault = "10.90.0.0/24" }
  }

  expect_failures = [var.kms_key_arn]
}

run "refuses_an_external_vault_without_networks" {
  command = plan

  variables {
    in_cluster  = false
    kms_key_arn = null
  }

  expect_failures = [var.external_cidrs]
}
