locals {
  region = data.aws_region.current.region

  # One row a data store; services and streams have their boards in Grafana.
  rows = merge(
    var.database_identifier == null ? {} : {
      database = [for metric in ["CPUUtilization", "DatabaseConnections", "FreeStorageSpace", "WriteLatency"] :
      { title = "PostgreSQL ${metric}", metric = ["AWS/RDS", metric, "DBInstanceIdentifier", var.database_identifier] }]
    },
    var.kafka_name == null ? {} : {
      kafka = [for metric in ["OfflinePartitionsCount", "UnderReplicatedPartitions", "GlobalPartitionCount", "ActiveControllerCount"] :
      { title = "Kafka ${metric}", metric = ["AWS/Kafka", metric, "Cluster Name", var.kafka_name] }]
    },
    var.nat_instance == null ? {} : {
      nat = [for metric in ["NetworkOut", "CPUCreditBalance", "StatusCheckFailed"] :
      { title = "NAT ${metric}", metric = ["AWS/EC2", metric, "InstanceId", var.nat_instance.id] }]
    },
  )

  widgets = flatten([
    for y, row in keys(local.rows) : [
      for x, widget in local.rows[row] : {
        type   = "metric"
        x      = x * 6
        y      = y * 6
        width  = 6
        height = 6
        properties = {
          title   = widget.title
          region  = local.region
          view    = "timeSeries"
          stat    = "Maximum"
          period  = 60
          metrics = [widget.metric]
        }
      }
    ]
  ])
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name
  dashboard_body = jsonencode({ widgets = local.widgets })
}
