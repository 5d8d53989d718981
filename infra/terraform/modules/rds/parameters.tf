locals {
  family = "postgres${split(".", var.engine_version)[0]}"

  # Taken at start only: RDS refuses them as "immediate".
  static = ["autovacuum_freeze_max_age", "max_connections", "max_worker_processes", "rds.logical_replication", "shared_preload_libraries", "track_activity_query_size"]

  tuned = {
    "rds.force_ssl"                       = "1"
    "password_encryption"                 = "scram-sha-256"
    "rds.accepted_password_auth_method"   = "scram"
    "shared_preload_libraries"            = "pg_stat_statements"
    "track_io_timing"                     = "1"
    "random_page_cost"                    = "1.1"
    "effective_io_concurrency"            = "200"
    "log_lock_waits"                      = "1"
    "log_min_duration_statement"          = "500"
    "log_autovacuum_min_duration"         = "1000"
    "idle_in_transaction_session_timeout" = "60000"
    "lock_timeout"                        = "10000"
    # The outbox and the leases are small and change all the time: clean them early.
    "autovacuum_vacuum_scale_factor"  = "0.05"
    "autovacuum_analyze_scale_factor" = "0.02"
    "autovacuum_vacuum_cost_limit"    = "1000"
  }

  parameters = merge(local.tuned, var.parameters)
}

resource "aws_db_parameter_group" "this" {
  # The family is part of the name: a major upgrade makes a new group beside the old one.
  name        = "${var.name}-${local.family}"
  family      = local.family
  description = "ECAP on ${local.family}"

  dynamic "parameter" {
    for_each = local.parameters

    content {
      name         = parameter.key
      value        = parameter.value
      apply_method = contains(local.static, parameter.key) ? "pending-reboot" : "immediate"
    }
  }

  lifecycle {
    create_before_destroy = true

    precondition {
      condition     = local.parameters["rds.force_ssl"] == "1"
      error_message = "parameters must not turn rds.force_ssl off: remove it, and connect with sslmode=verify-full."
    }
  }
}
