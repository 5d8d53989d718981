locals {
  groups = {
    load-balancer = "Load balancer: from the clients, to Ray Serve"
    nodes         = "Nodes: the source of all traffic to the data stores"
    database      = "PostgreSQL: from the nodes only"
    kafka         = "MSK: from the nodes only"
    cache         = "Valkey for the state of Ray's control store: from the nodes only"
  }

  # The one list of ports. NetworkPolicies and containers are held equal to it by the checks.
  ports = {
    serve         = 8000
    postgresql    = 5432
    kafka_iam     = 9098
    kafka_jmx     = 11001
    kafka_metrics = 11002
    valkey        = 6379
  }

  # Who may open a connection to whom. No flow goes back, so no group waits for another.
  flows = {
    load-balancer-to-serve = { from = "load-balancer", to = "nodes", port = local.ports.serve }
    nodes-to-postgresql    = { from = "nodes", to = "database", port = local.ports.postgresql }
    nodes-to-kafka         = { from = "nodes", to = "kafka", port = local.ports.kafka_iam }
    nodes-to-kafka-jmx     = { from = "nodes", to = "kafka", port = local.ports.kafka_jmx }
    nodes-to-kafka-metrics = { from = "nodes", to = "kafka", port = local.ports.kafka_metrics }
    nodes-to-valkey        = { from = "nodes", to = "cache", port = local.ports.valkey }
  }
}

resource "aws_security_group" "this" {
  for_each = local.groups

  # A prefix, so that a group that must be replaced has its successor before it goes.
  name_prefix = "${var.name}-${each.key}-"
  description = each.value
  vpc_id      = var.vpc_id

  tags = { Name = "${var.name}-${each.key}" }

  lifecycle {
    create_before_destroy = true
  }
}
