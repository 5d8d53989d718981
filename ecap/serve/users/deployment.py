from ecap.serve.replica.replica import Service
from ecap.serve.users.routes import api
from ecap.serve.users.service import opened

service = Service(api, opened)
