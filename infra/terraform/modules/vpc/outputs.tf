output "id" {
  description = "VPC id."
  value       = aws_vpc.this.id
}

output "cidr" {
  description = "IPv4 range of the VPC."
  value       = aws_vpc.this.cidr_block
}

output "public_subnet_ids" {
  description = "Public subnets, one a zone, for load balancers and NAT."
  value       = [for zone in var.zones : aws_subnet.public[zone].id]
}

output "private_subnet_ids" {
  description = "Private subnets, one a zone. They wait for their way out, so nodes neither start before it nor outlive it."
  value       = [for zone in var.zones : aws_subnet.private[zone].id]

  depends_on = [
    aws_route.nat_gateway,
    aws_route.nat_instance,
    aws_route_table_association.private,
    aws_vpc_endpoint.interface,
    aws_vpc_endpoint.s3,
  ]
}

output "database_subnet_ids" {
  description = "Subnets without a route out, one a zone, for RDS, MSK and ElastiCache."
  value       = [for zone in var.zones : aws_subnet.database[zone].id]
}

output "zones" {
  description = "Availability zones in use."
  value       = var.zones
}

output "nat_public_ips" {
  description = "Addresses under which this VPC is seen from outside, to be allowed by others."
  value       = concat([for eip in aws_eip.nat : eip.public_ip], aws_instance.nat[*].public_ip)
}

output "nat_instance_id" {
  description = "Id of the NAT instance, for Session Manager; null with other kinds of NAT."
  value       = one(aws_instance.nat[*].id)
}
