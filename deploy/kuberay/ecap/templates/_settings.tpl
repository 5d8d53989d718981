{{/* Settings as environment variables, JSON: what Terraform knows, then values.settings, then secrets. */}}
{{- define "ecap.settings" -}}
{{- $platform := .Values.platform -}}
{{- $known := dict
  "postgres.host" (required "platform.database.address is needed" $platform.database.address)
  "postgres.port" $platform.database.port
  "postgres.database" $platform.database.name
  "kafka.bootstrap_servers" (required "platform.kafka.bootstrap is needed" $platform.kafka.bootstrap)
  "mesh.socket_dir" "/tmp/ecap-actors" -}}
{{- if eq $platform.kafka.security "IAM" -}}
{{- $_ := set $known "kafka.security_protocol" "SASL_SSL" -}}
{{- $_ := set $known "kafka.sasl_mechanism" "OAUTHBEARER" -}}
{{- $_ := set $known "kafka.aws_region" (required "platform.kafka.region is needed for security IAM: tokens are signed for it" $platform.kafka.region) -}}
{{- else if eq $platform.kafka.security "SCRAM" -}}
{{- $_ := set $known "kafka.security_protocol" "SASL_SSL" -}}
{{- $_ := set $known "kafka.sasl_mechanism" "SCRAM-SHA-512" -}}
{{- else -}}
{{- $_ := set $known "kafka.security_protocol" "PLAINTEXT" -}}
{{- end -}}
{{- with .Values.ingress.trustedProxies -}}
{{- $_ := set $known "http.trusted_proxies" (concat (list "127.0.0.1/32" "::1/128") .) -}}
{{- end -}}
{{- $known = mergeOverwrite $known (deepCopy .Values.settings) -}}
{{- range .Values.secrets.items -}}
{{- $reference := include "ecap.reference" (dict "root" $ "item" .) -}}
{{- if ne .setting "keyring.file" -}}
{{- $_ := set $known .setting (ternary (list $reference) $reference (default false .list)) -}}
{{- else if eq $.Values.secrets.source "vault" -}}
{{- $known = mergeOverwrite $known (dict "keyring.source" "vault" "keyring.path" (first (splitList "#" .vault))) -}}
{{- else -}}
{{- $known = mergeOverwrite $known (dict "keyring.source" "file" "keyring.file" (trimPrefix "file:" $reference)) -}}
{{- end -}}
{{- end -}}
{{- if eq .Values.secrets.source "vault" -}}
{{- $known = mergeOverwrite $known (dict
  "vault.address" .Values.vault.address
  "vault.auth" "kubernetes"
  "vault.auth_mount" .Values.vault.authMount
  "vault.role" .Values.vault.role
  "vault.mount" .Values.vault.mount
  "vault.jwt_file" "/var/run/secrets/ecap/vault/token") -}}
{{- end -}}
{{- with .Values.configSource -}}
{{- if .enabled -}}
{{- $known = mergeOverwrite $known (dict "kubernetes.enabled" true "kubernetes.namespace" .namespace) -}}
{{- end -}}
{{- end -}}
{{- $env := dict -}}
{{- range $key, $value := $known -}}
{{- $text := ternary $value (toJson $value) (kindIs "string" $value) -}}
{{- $_ := set $env (printf "ECAP__%s" ($key | replace "." "__" | upper)) $text -}}
{{- end -}}
{{- toJson $env -}}
{{- end }}

{{- define "ecap.reference" -}}
{{- $source := .root.Values.secrets.source -}}
{{- if eq $source "kubernetes" }}file:/etc/ecap/secrets/{{ .item.key }}
{{- else if eq $source "vault-agent" }}file:/vault/secrets/{{ .item.key }}
{{- else }}vault:{{ .item.vault }}{{ end }}
{{- end }}

{{/* The file rendered from configs/, with this cluster's settings and its differences. */}}
{{- define "ecap.serveConfig" -}}
{{- $config := .Files.Get (printf "files/serve/%s.yaml" (include "ecap.configEnvironment" .)) | fromYaml -}}
{{- $env := include "ecap.settings" . | fromJson -}}
{{- range $app := $config.applications -}}
{{- $_ := set $app "runtime_env" (dict "env_vars" $env) -}}
{{- $other := get $.Values.services $app.name -}}
{{- if $other -}}
{{- $deployment := first $app.deployments -}}
{{- $scaling := $deployment.autoscaling_config -}}
{{- with $other.minReplicas }}{{ $_ := set $scaling "min_replicas" . }}{{ end -}}
{{- with $other.maxReplicas }}{{ $_ := set $scaling "max_replicas" . }}{{ end -}}
{{- with $other.targetOngoingRequests }}{{ $_ := set $scaling "target_ongoing_requests" . }}{{ end -}}
{{- with $other.numCpus }}{{ $_ := set $deployment.ray_actor_options "num_cpus" . }}{{ end -}}
{{- if gt (int $scaling.min_replicas) (int $scaling.max_replicas) -}}
{{- fail (printf "services.%s: minReplicas %v is above maxReplicas %v" $app.name $scaling.min_replicas $scaling.max_replicas) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $config -}}
{{- end }}
