"""All that Ray's workers import, so that no fork does it again.

Ray's come first: the entry point of a worker is run as a program, and imports these.
"""

# ruff: noqa: F401  imported to be there, in this order

from __future__ import annotations

import ray._private.workers.default_worker
import ray.serve._private.controller
import ray.serve._private.haproxy
import ray.serve._private.proxy
import ray.serve._private.replica

from ecap.runtime import applications, cluster, roster
from ecap.serve.analytics import deployment as _analytics
from ecap.serve.auth import deployment as _auth
from ecap.serve.catalog import deployment as _catalog
from ecap.serve.fraud import deployment as _fraud
from ecap.serve.gateway import deployment as _gateway
from ecap.serve.notifications import deployment as _notifications
from ecap.serve.orders import deployment as _orders
from ecap.serve.users import deployment as _users
