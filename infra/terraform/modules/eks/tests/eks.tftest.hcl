mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name                    = "ecap-test"
  subnet_ids              = ["subnet-0a", "subnet-0b"]
  kms_key_arn             = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"
  node_security_group_ids = ["sg-0123456789abcdef0"]
  access_entries          = { admin = { principal_arn = "arn:aws:iam::123456789012:role/admin", policy = "AmazonEKSClusterAdminPolicy" } }
  node_groups             = { system = { capacity = "ON_DEMAND", instance_types = ["t4g.medium"], min = 1, max = 2 } }
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

run "secure_by_default" {
  command = plan

  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_private_access && !aws_eks_cluster.this.vpc_config[0].endpoint_public_access
    error_message = "The API is public by default."
  }

  assert {
    condition     = aws_eks_cluster.this.encryption_config[0].provider[0].key_arn == var.kms_key_arn
    error_message = "Kubernetes secrets are not encrypted with the key."
  }

  assert {
    condition     = length(aws_eks_cluster.this.enabled_cluster_log_types) == 5
    error_message = "A control plane log is missing."
  }

  assert {
    condition     = aws_eks_cluster.this.access_config[0].authentication_mode == "API" && !aws_eks_cluster.this.access_config[0].bootstrap_cluster_creator_admin_permissions
    error_message = "Access does not come from access entries alone."
  }

  assert {
    condition     = alltrue([for t in aws_launch_template.node : t.metadata_options[0].http_tokens == "required" && t.metadata_options[0].http_put_response_hop_limit == 1])
    error_message = "Pods can reach the node's credentials."
  }

  assert {
    condition     = jsondecode(aws_eks_addon.before_nodes["vpc-cni"].configuration_values).enableNetworkPolicy == "true"
    error_message = "NetworkPolicies would be ignored."
  }
}

run "intel_groups_get_their_image" {
  command = plan

  variables {
    node_groups = { system = { capacity = "ON_DEMAND", instance_types = ["m7i.large"], min = 1, max = 1 } }
  }

  assert {
    condition     = aws_eks_node_group.this["system"].ami_type == "AL2023_x86_64_STANDARD"
    error_message = "Intel types got the wrong machine image."
  }
}

run "refuses_few_spot_types" {
  command = plan

  variables {
    node_groups = {
      system = { capacity = "ON_DEMAND", instance_types = ["t4g.medium"], min = 1, max = 2 }
      spot   = { capacity = "SPOT", instance_types = ["m7g.large", "m8g.large"], min = 0, max = 2 }
    }
  }

  expect_failures = [var.node_groups]
}

run "refuses_mixed_processors" {
  command = plan

  variables {
    node_groups = { system = { capacity = "ON_DEMAND", instance_types = ["t4g.medium", "t3.medium"], min = 1, max = 2 } }
  }

  expect_failures = [var.node_groups]
}

run "refuses_spot_only" {
  command = plan

  variables {
    node_groups = { spot = { capacity = "SPOT", instance_types = ["m6g.large", "m6gd.large", "m7g.large", "m7gd.large", "m8g.large", "r6g.large", "r6gd.large", "r7g.large", "r8g.large", "t4g.large"], min = 1, max = 2 } }
  }

  expect_failures = [var.node_groups]
}

run "refuses_the_world" {
  command = plan

  variables {
    public_access_cidrs = ["0.0.0.0/0"]
  }

  expect_failures = [var.public_access_cidrs]
}

run "refuses_no_admin" {
  command = plan

  variables {
    access_entries = { reader = { principal_arn = "arn:aws:iam::123456789012:role/reader", policy = "AmazonEKSViewPolicy" } }
  }

  expect_failures = [var.access_entries]
}

run "refuses_a_session" {
  command = plan

  variables {
    access_entries = { admin = { principal_arn = "arn:aws:sts::123456789012:assumed-role/admin/me", policy = "AmazonEKSClusterAdminPolicy" } }
  }

  expect_failures = [var.access_entries]
}

run "refuses_one_subnet" {
  command = plan

  variables {
    subnet_ids = ["subnet-0a"]
  }

  expect_failures = [var.subnet_ids]
}

run "refuses_old_kubernetes" {
  command = plan

  variables {
    kubernetes_version = "1.29"
  }

  expect_failures = [var.kubernetes_version]
}
