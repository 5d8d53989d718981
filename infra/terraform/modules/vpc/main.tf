locals {
  zones = toset(var.zones)
  index = { for i, zone in var.zones : zone => i }

  # Eighths for the pods (VPC CNI gives every pod an address), then small slices of the last eighth.
  private_cidrs  = { for zone, i in local.index : zone => cidrsubnet(var.cidr, 3, i) }
  public_cidrs   = { for zone, i in local.index : zone => cidrsubnet(cidrsubnet(var.cidr, 3, 7), 4, i) }
  database_cidrs = { for zone, i in local.index : zone => cidrsubnet(cidrsubnet(var.cidr, 3, 7), 4, 8 + i) }
}

resource "aws_vpc" "this" {
  cidr_block           = var.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true

  tags = { Name = var.name }
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id

  tags = { Name = var.name }
}

# The group that instances get when nobody chose one: it lets nothing through.
resource "aws_default_security_group" "closed" {
  vpc_id = aws_vpc.this.id

  tags = { Name = "${var.name}-default-closed" }
}
