mock_provider "helm" {}

variables {
  environment = "production"
  charts      = "../../../../deploy/kuberay"
  image       = { repository = "registry.example/ecap", digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
  platform = {
    environment           = "production"
    region                = "eu-west-1"
    cluster_name          = "ecap-production"
    cluster_endpoint      = "https://api.example"
    certificate_authority = "aW52ZW50ZWQ="
    vpc_id                = "vpc-0"
    database              = { address = "db.example", port = 5432, name = "ecap" }
    kafka                 = { bootstrap = "b-1.example:9098" }
    cache                 = { url = "rediss://cache.example:6379", token_secret = "arn" }
    buckets               = {}
    volume_key            = "arn:aws:kms:eu-west-1:123456789012:key/0"
    load_balancer_group   = "sg-0"
    ports                 = { serve = 8000 }
    karpenter             = { queue = "q", instance_profile = "p", node_groups = ["sg-0"], private_subnets = ["subnet-0"] }
    vault                 = { in_cluster = true, seal = "seal" }
  }
}

run "tokens_are_signed_for_the_platforms_region" {
  command = plan

  assert {
    condition     = yamldecode(helm_release.ecap.values[1]).platform.kafka == { bootstrap = "b-1.example:9098", region = "eu-west-1", security = "IAM" }
    error_message = "ECAP would not log in to MSK."
  }

  assert {
    condition     = length(helm_release.kafka) == 0 && length(helm_release.karpenter) == 1
    error_message = "Kafka beside MSK, or no Karpenter."
  }

  assert {
    condition     = yamldecode(helm_release.namespaces.values[0]).namespaces.vault == "restricted"
    error_message = "A Vault in the cluster has no namespace."
  }
}

run "kafka_stands_in_the_cluster_without_msk" {
  command = plan

  variables {
    environment = "dev"
    platform    = merge(var.platform, { environment = "dev", kafka = null, karpenter = null })
  }

  assert {
    condition     = length(helm_release.kafka) == 1 && yamldecode(helm_release.ecap.values[1]).platform.kafka.security == "PLAINTEXT"
    error_message = "There is no broker."
  }
}

run "refuses_a_tag_in_production" {
  command = plan

  variables {
    image = { repository = "registry.example/ecap", tag = "1.0" }
  }

  expect_failures = [var.image]
}

run "refuses_the_platform_of_another_environment" {
  command = plan

  variables {
    environment = "staging"
  }

  expect_failures = [var.platform]
}

run "refuses_a_range_of_versions" {
  command = plan

  variables {
    versions = { karpenter = "~> 1.12" }
  }

  expect_failures = [var.versions]
}

run "refuses_nodes_without_end" {
  command = plan

  variables {
    node_limits = { spot_cpu = 100000 }
  }

  expect_failures = [var.node_limits]
}
