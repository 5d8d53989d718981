module "rds" {
  source = "../rds"

  name                = local.name
  engine_version      = var.database.engine_version
  instance_class      = var.database.instance_class
  multi_az            = var.database.multi_az
  storage_gib         = var.database.storage_gib
  max_storage_gib     = var.database.max_storage_gib
  backup_days         = var.database.backup_days
  insights            = var.database.insights
  parameters          = var.database.parameters
  connections_alarm   = var.database.connections_alarm
  memory_alarm_mib    = var.database.memory_alarm_mib
  port                = module.security_groups.ports["postgresql"]
  subnet_ids          = module.vpc.database_subnet_ids
  security_group_ids  = [module.security_groups.ids["database"]]
  kms_key_arn         = local.keys["data"]
  deletion_protection = !var.ephemeral
  apply_immediately   = var.ephemeral
  log_retention_days  = var.log_retention_days
  alarm_topic_arn     = module.observability.topic_arn
}

module "msk" {
  source = "../msk"
  count  = var.kafka == null ? 0 : 1

  name               = local.name
  kind               = var.kafka.kind
  instance_type      = var.kafka.instance_type
  storage_gib        = var.kafka.storage_gib
  max_storage_gib    = var.kafka.max_storage_gib
  monitoring         = var.kafka.monitoring
  subnet_ids         = module.vpc.database_subnet_ids
  security_group_ids = [module.security_groups.ids["kafka"]]
  kms_key_arn        = local.keys["data"]
  log_retention_days = var.log_retention_days
  alarm_topic_arn    = module.observability.topic_arn
}

module "cache" {
  source = "../cache"
  count  = var.cache == null ? 0 : 1

  name                 = local.name
  node_type            = var.cache.node_type
  replicas             = var.cache.replicas
  port                 = module.security_groups.ports["valkey"]
  subnet_ids           = module.vpc.database_subnet_ids
  security_group_ids   = [module.security_groups.ids["cache"]]
  kms_key_arn          = local.keys["data"]
  auth_token           = var.cache_auth_token
  auth_token_version   = var.cache.auth_token_version
  secret_recovery_days = var.ephemeral ? 0 : 30
  alarm_topic_arn      = module.observability.topic_arn
}

module "secrets" {
  source = "../secrets"

  name          = local.name
  secrets       = var.secrets
  kms_key_arn   = local.keys["data"]
  recovery_days = var.ephemeral ? 0 : 30
}
