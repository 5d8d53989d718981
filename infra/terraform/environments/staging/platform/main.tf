# Production's shape at the smallest size: three zones, MSK, Valkey, a standby database, Karpenter.
module "platform" {
  source = "../../../modules/platform"

  environment = "staging"
  karpenter   = true

  network = {
    cidr                   = "10.30.0.0/16"
    zones                  = ["${var.region}a", "${var.region}b", "${var.region}c"]
    nat                    = "single"
    reserved_cidrs         = var.reserved_cidrs
    client_cidrs           = var.client_cidrs
    client_prefix_list_ids = var.client_prefix_list_ids
  }

  cluster = {
    public_access_cidrs = var.public_access_cidrs
  }

  node_groups = {
    system = {
      capacity       = "ON_DEMAND"
      instance_types = ["m7g.large"]
      min            = 2
      max            = 3
      disk_gib       = 30
      labels         = { "ecap.io/nodes" = "system" }
      taints         = { CriticalAddonsOnly = { value = "true", effect = "NO_SCHEDULE" } }
    }
  }

  access_entries = {
    admin = { principal_arn = var.admin_role_arn, policy = "AmazonEKSClusterAdminPolicy" }
  }

  database = {
    instance_class    = "db.t4g.medium"
    multi_az          = true
    storage_gib       = 50
    max_storage_gib   = 200
    connections_alarm = 300
    memory_alarm_mib  = 256
  }

  # t3.small admits few new IAM connections a second: enough for staging's two dozen clients.
  kafka = {
    kind            = "provisioned"
    instance_type   = "kafka.t3.small"
    storage_gib     = 20
    max_storage_gib = 100
  }

  cache            = {}
  cache_auth_token = var.cache_auth_token

  vault = { in_cluster = true }

  secrets = {
    vault-recovery = "Recovery keys of Vault, put here by the operator who initialises it"
    grafana-admin  = "Password of Grafana's administrator, put here by the operator"
  }

  log_retention_days = 14

  alarm_emails       = var.alarm_emails
  monthly_budget_usd = var.monthly_budget_usd
  price_usd          = local.price.monthly_usd
}

locals {
  # Written by pricing/price.py from this root's plan; the checks fail when it no longer agrees.
  price = jsondecode(file("${path.module}/price.json"))
}
