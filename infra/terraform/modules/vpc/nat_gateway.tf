locals {
  gateway_zones = {
    none     = []
    instance = []
    single   = slice(var.zones, 0, 1)
    per_zone = var.zones
  }[var.nat]
}

resource "aws_eip" "nat" {
  for_each = toset(local.gateway_zones)

  domain = "vpc"

  tags = { Name = "${var.name}-nat-${each.key}" }

  # An address cannot be released while the gateway that routes for it is gone.
  depends_on = [aws_internet_gateway.this]
}

resource "aws_nat_gateway" "this" {
  for_each = toset(local.gateway_zones)

  allocation_id = aws_eip.nat[each.key].id
  subnet_id     = aws_subnet.public[each.key].id

  tags = { Name = "${var.name}-${each.key}" }

  # Nodes that leave must still reach the API of AWS through it: see output private_subnet_ids.
  depends_on = [aws_route.internet]
}

resource "aws_route" "nat_gateway" {
  for_each = length(local.gateway_zones) > 0 ? local.zones : []

  route_table_id         = aws_route_table.private[each.key].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this[var.nat == "single" ? local.gateway_zones[0] : each.key].id
}
