mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name   = "ecap-test"
  vpc_id = "vpc-0123456789abcdef0"
}

run "minimal" {
  command = plan

  module {
    source = "./examples/minimal"
  }
}

run "complete" {
  command = plan

  module {
    source = "./examples/complete"
  }
}

run "every_flow_has_two_sides" {
  command = plan

  assert {
    condition     = keys(aws_vpc_security_group_ingress_rule.flow) == keys(aws_vpc_security_group_egress_rule.flow)
    error_message = "A flow lacks its ingress or its egress."
  }

  assert {
    condition     = alltrue([for r in aws_vpc_security_group_ingress_rule.flow : r.cidr_ipv4 == null && r.from_port == r.to_port])
    error_message = "A flow is open to a network or to a range of ports."
  }

  assert {
    condition     = output.ports["kafka_iam"] == 9098 && output.ports["postgresql"] == 5432
    error_message = "A port changed; data stores and NetworkPolicies depend on it."
  }
}

run "no_flow_goes_back" {
  command = plan

  assert {
    condition     = length([for a in local.flows : a if length([for b in local.flows : b if b.from == a.to && b.to == a.from]) > 0]) == 0
    error_message = "Two groups talk in both directions: their rules would wait for each other."
  }
}

run "refuses_the_world" {
  command = plan

  variables {
    client_cidrs = { all = "0.0.0.0/0" }
  }

  expect_failures = [var.client_cidrs]
}
