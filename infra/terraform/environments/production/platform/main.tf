# Three zones, each with its own way out; brokers, database and cache survive the loss of one.
module "platform" {
  source = "../../../modules/platform"

  environment = "production"
  karpenter   = true

  network = {
    cidr                   = "10.40.0.0/16"
    zones                  = ["${var.region}a", "${var.region}b", "${var.region}c"]
    nat                    = "per_zone"
    reserved_cidrs         = var.reserved_cidrs
    interface_endpoints    = ["ecr.api", "ecr.dkr", "eks-auth", "logs", "secretsmanager", "sts"]
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
      min            = 3
      max            = 6
      disk_gib       = 30
      labels         = { "ecap.io/nodes" = "system" }
      taints         = { CriticalAddonsOnly = { value = "true", effect = "NO_SCHEDULE" } }
    }
  }

  access_entries = {
    admin = { principal_arn = var.admin_role_arn, policy = "AmazonEKSClusterAdminPolicy" }
  }

  database = {
    instance_class    = "db.m7g.large"
    multi_az          = true
    storage_gib       = 200
    max_storage_gib   = 1000
    backup_days       = 30
    insights          = "advanced"
    connections_alarm = 600
    memory_alarm_mib  = 512
  }

  kafka = {
    kind            = "provisioned"
    instance_type   = "kafka.m7g.large"
    storage_gib     = 200
    max_storage_gib = 2000
  }

  cache = {
    node_type = "cache.t4g.medium"
    replicas  = 2
  }
  cache_auth_token = var.cache_auth_token

  vault = { in_cluster = true }

  secrets = {
    vault-recovery = "Recovery keys of Vault, put here by the operator who initialises it"
    grafana-admin  = "Password of Grafana's administrator, put here by the operator"
  }

  log_retention_days = 90

  alarm_emails       = var.alarm_emails
  monthly_budget_usd = var.monthly_budget_usd
  price_usd          = local.price.monthly_usd
}

locals {
  # Written by pricing/price.py from this root's plan; the checks fail when it no longer agrees.
  price = jsondecode(file("${path.module}/price.json"))
}
