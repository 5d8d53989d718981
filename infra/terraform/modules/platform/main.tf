# What every environment is made of, wired once; the environments differ in size only.
locals {
  name = "ecap-${var.environment}"

  # One key does where a dollar counts; otherwise data, cluster and alarms have keys of their own.
  possible_keys = {
    main = {
      description        = "Everything of ${local.name}"
      via_services       = ["ec2", "eks", "elasticache", "kafka", "rds", "s3", "secretsmanager"]
      service_principals = ["budgets.amazonaws.com", "cloudwatch.amazonaws.com"]
      log_groups         = true
    }
    data   = { description = "Data stores of ${local.name}", via_services = ["elasticache", "kafka", "rds", "s3", "secretsmanager"], log_groups = true }
    nodes  = { description = "Cluster and disks of ${local.name}", via_services = ["ec2", "eks"], log_groups = true }
    alarms = { description = "Alarms of ${local.name}", service_principals = ["budgets.amazonaws.com", "cloudwatch.amazonaws.com"] }
    vault  = { description = "Unseals Vault of ${local.name}" }
  }
  wanted_keys = concat(
    var.single_key ? ["main"] : ["data", "nodes", "alarms"],
    try(var.vault.in_cluster, false) ? ["vault"] : [],
  )

  keys = {
    for purpose in ["data", "nodes", "alarms"] :
    purpose => var.single_key ? module.kms.arns["main"] : module.kms.arns[purpose]
  }
}

module "kms" {
  source = "../kms"

  name                 = local.name
  keys                 = { for purpose in local.wanted_keys : purpose => local.possible_keys[purpose] }
  deletion_window_days = var.ephemeral ? 7 : 30
}

module "vpc" {
  source = "../vpc"

  name                = local.name
  cidr                = var.network.cidr
  zones               = var.network.zones
  reserved_cidrs      = merge(var.network.reserved_cidrs, { kubernetes-services = var.network.service_cidr })
  nat                 = var.network.nat
  interface_endpoints = var.network.interface_endpoints

  flow_logs = {
    destination = "s3"
    bucket_arn  = module.data_lake.delivery_bucket_arn
    traffic     = var.network.flow_log_traffic
  }
}

module "security_groups" {
  source = "../security-groups"

  name                   = local.name
  vpc_id                 = module.vpc.id
  client_cidrs           = var.network.client_cidrs
  client_prefix_list_ids = var.network.client_prefix_list_ids
}

module "data_lake" {
  source = "../s3-data-lake"

  name          = local.name
  kms_key_arn   = local.keys["data"]
  force_destroy = var.ephemeral
}

module "observability" {
  source = "../observability"

  name                    = local.name
  environment             = var.environment
  kms_key_arn             = local.keys["alarms"]
  emails                  = var.alarm_emails
  monthly_budget_usd      = var.monthly_budget_usd
  price_usd               = var.price_usd
  nat_instance            = var.network.nat == "instance" ? { id = module.vpc.nat_instance_id } : null
  interruption_queue_name = var.karpenter ? module.karpenter[0].queue_name : null
  database_identifier     = local.name
  kafka_name              = var.kafka == null ? null : local.name
}
