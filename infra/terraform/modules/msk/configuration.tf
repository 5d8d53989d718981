locals {
  # ECAP makes its topics with their own partitions and retention: a typo must not make one.
  common = {
    "auto.create.topics.enable" = "false"
    "log.retention.hours"       = tostring(var.retention_hours)
    "message.max.bytes"         = "1048588"
  }

  # Express brokers fix replication and durability themselves and refuse these.
  standard = {
    "default.replication.factor"               = tostring(length(var.subnet_ids))
    "min.insync.replicas"                      = tostring(length(var.subnet_ids) - 1)
    "unclean.leader.election.enable"           = "false"
    "offsets.topic.replication.factor"         = tostring(length(var.subnet_ids))
    "transaction.state.log.replication.factor" = tostring(length(var.subnet_ids))
    "allow.everyone.if.no.acl.found"           = "false"
  }

  properties = local.express ? local.common : merge(local.common, local.standard)
  rendered   = join("\n", [for key, value in local.properties : "${key} = ${value}"])
}

resource "aws_msk_configuration" "this" {
  count = local.provisioned ? 1 : 0

  # AWS keeps a name for ever: the content is part of it, so that a replaced one can stand beside the old.
  name              = "${var.name}-${substr(sha256(local.rendered), 0, 8)}"
  description       = "ECAP: ${var.kind} brokers"
  server_properties = local.rendered

  lifecycle {
    create_before_destroy = true
  }
}
