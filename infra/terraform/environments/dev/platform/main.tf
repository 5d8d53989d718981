# The least that is a whole ECAP: one NAT instance, one small system node, one spot node, a single
# database, Kafka and Prometheus in the cluster. Everything may be lost and made again.
module "platform" {
  source = "../../../modules/platform"

  environment = "dev"
  ephemeral   = true
  single_key  = true
  karpenter   = false

  network = {
    cidr             = "10.20.0.0/16"
    zones            = ["${var.region}a", "${var.region}b"]
    nat              = "instance"
    reserved_cidrs   = var.reserved_cidrs
    flow_log_traffic = "REJECT"
  }

  cluster = {
    public_access_cidrs = var.public_access_cidrs
  }

  node_groups = {
    system = {
      capacity       = "ON_DEMAND"
      instance_types = ["t4g.medium"]
      min            = 1
      max            = 2
      labels         = { "ecap.io/nodes" = "system" }
      taints         = { CriticalAddonsOnly = { value = "true", effect = "NO_SCHEDULE" } }
    }

    ray-spot = {
      capacity = "SPOT"
      # 2 vCPU with 8 or 16 GiB, of eleven pools: AWS picks by free capacity and price.
      instance_types = [
        "m6g.large", "m6gd.large", "m7g.large", "m7gd.large", "m8g.large", "r6g.large",
        "r6gd.large", "r7g.large", "r7gd.large", "r8g.large", "t4g.large",
      ]
      min      = 1
      max      = 3
      disk_gib = 20
      labels   = { "ecap.io/nodes" = "spot" }
      taints   = { "ecap.io/spot" = { value = "true", effect = "NO_SCHEDULE" } }
    }
  }

  access_entries = {
    admin = { principal_arn = var.admin_role_arn, policy = "AmazonEKSClusterAdminPolicy" }
  }

  database = {
    instance_class    = "db.t4g.micro"
    multi_az          = false
    backup_days       = 1
    connections_alarm = 80
    memory_alarm_mib  = 64
  }

  log_retention_days = 7

  alarm_emails       = var.alarm_emails
  monthly_budget_usd = var.monthly_budget_usd
  price_usd          = local.price.monthly_usd
}

locals {
  # Written by pricing/price.py from this root's plan; the checks fail when it no longer agrees.
  price = jsondecode(file("${path.module}/price.json"))
}
