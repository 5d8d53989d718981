locals {
  provisioned = var.kind != "serverless"
  express     = var.kind == "express"
}

resource "aws_msk_cluster" "this" {
  count = local.provisioned ? 1 : 0

  cluster_name           = var.name
  kafka_version          = var.kafka_version
  number_of_broker_nodes = length(var.subnet_ids) * var.brokers_per_zone
  enhanced_monitoring    = var.monitoring

  broker_node_group_info {
    instance_type   = var.instance_type
    client_subnets  = var.subnet_ids
    security_groups = var.security_group_ids

    connectivity_info {
      public_access {
        type = "DISABLED"
      }
    }

    # Express brokers bring their own storage, paid by use.
    dynamic "storage_info" {
      for_each = local.express ? [] : [1]

      content {
        ebs_storage_info {
          volume_size = var.storage_gib
        }
      }
    }
  }

  client_authentication {
    unauthenticated = false

    sasl {
      iam   = true
      scram = false
    }
  }

  encryption_info {
    encryption_at_rest_kms_key_arn = var.kms_key_arn

    encryption_in_transit {
      client_broker = "TLS"
      in_cluster    = true
    }
  }

  configuration_info {
    arn      = aws_msk_configuration.this[0].arn
    revision = aws_msk_configuration.this[0].latest_revision
  }

  open_monitoring {
    prometheus {
      jmx_exporter {
        enabled_in_broker = true
      }

      node_exporter {
        enabled_in_broker = true
      }
    }
  }

  logging_info {
    broker_logs {
      cloudwatch_logs {
        enabled   = true
        log_group = aws_cloudwatch_log_group.this[0].name
      }
    }
  }

  lifecycle {
    # Autoscaling owns the size after the first apply: a volume cannot shrink, and two owners would fight.
    ignore_changes = [broker_node_group_info[0].storage_info[0].ebs_storage_info[0].volume_size]

    precondition {
      condition     = local.express == startswith(var.instance_type, "express.")
      error_message = "kind \"${var.kind}\" and instance_type \"${var.instance_type}\" disagree: express brokers have types like \"express.m7g.large\", provisioned ones like \"kafka.m7g.large\"."
    }
  }
}

resource "aws_cloudwatch_log_group" "this" {
  count = local.provisioned ? 1 : 0

  name              = "/aws/msk/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}
