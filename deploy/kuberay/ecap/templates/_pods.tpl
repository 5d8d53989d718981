{{- define "ecap.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "ecap.containerSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* Flags that every process of Ray has to be started with; those of ecap/local/ray/node.py. */}}
{{- define "ecap.rayEnv" -}}
- {name: HOME, value: /tmp}
- {name: ECAP_ENVIRONMENT, value: {{ include "ecap.configEnvironment" . }}}
- {name: PROMETHEUS_MULTIPROC_DIR, value: /run/ecap/metrics}
- {name: RAY_USAGE_STATS_ENABLED, value: "0"}
- {name: __RAY_WORKER_PROCESS_SETUP_HOOK_ENV_VAR, value: ecap.lean.keep_lean}
- {name: RAY_worker_niceness, value: "0"}
- {name: RAY_SERVE_ENABLE_HA_PROXY, value: "1"}
- {name: RAY_SERVE_THROUGHPUT_OPTIMIZED, value: "1"}
- {name: RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD, value: "0"}
- {name: RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S, value: "60"}
- {name: RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S, value: "0.2"}
- {name: RAY_SERVE_HAPROXY_METRICS_ENABLED, value: "0"}
- {name: RAY_SERVE_HAPROXY_NBTHREAD, value: {{ .Values.proxy.threads | quote }}}
- {name: RAY_SERVE_HAPROXY_MAXCONN, value: {{ .Values.proxy.maxConnections | quote }}}
- {name: RAY_SERVE_HAPROXY_BINARY_PATH, value: /opt/ecap/proxy/haproxy.sh}
- {name: RAY_SERVE_HAPROXY_CONFIG_FILE_LOC, value: /run/ecap/proxy/haproxy.cfg}
- {name: RAY_SERVE_HAPROXY_SOCKET_PATH, value: /run/ecap/proxy/admin.sock}
- {name: RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH, value: /run/ecap/proxy/metrics.sock}
- {name: RAY_SERVE_HAPROXY_SERVER_STATE_BASE, value: /run/ecap/proxy}
- {name: RAY_SERVE_HAPROXY_SERVER_STATE_FILE, value: /run/ecap/proxy/server-state}
{{- if .Values.caConfigMap }}
- {name: PGSSLROOTCERT, value: /etc/ecap/ca/ca.pem}
{{- end }}
{{- end }}

{{- define "ecap.secretMounts" -}}
{{- if eq .Values.secrets.source "kubernetes" }}
- {name: secrets, mountPath: /etc/ecap/secrets, readOnly: true}
{{- else if eq .Values.secrets.source "vault" }}
- {name: vault-token, mountPath: /var/run/secrets/ecap/vault, readOnly: true}
{{- end }}
{{- if .Values.caConfigMap }}
- {name: ca, mountPath: /etc/ecap/ca, readOnly: true}
{{- end }}
{{- end }}

{{- define "ecap.secretVolumes" -}}
{{- if eq .Values.secrets.source "kubernetes" }}
- name: secrets
  secret: {secretName: {{ .Values.secrets.existingSecret | default "ecap-secrets" }}, defaultMode: 0440}
{{- else if eq .Values.secrets.source "vault" }}
- name: vault-token
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken: {path: token, audience: {{ .Values.vault.audience }}, expirationSeconds: 3600}
{{- end }}
{{- if .Values.caConfigMap }}
- name: ca
  configMap: {name: {{ .Values.caConfigMap }}}
{{- end }}
{{- end }}

{{/* Vault's agent logs in as the pod's service account and keeps the files fresh. */}}
{{- define "ecap.agentAnnotations" -}}
{{- if eq .root.Values.secrets.source "vault-agent" }}
vault.hashicorp.com/agent-inject: "true"
vault.hashicorp.com/agent-pre-populate-only: {{ .once | quote }}
vault.hashicorp.com/agent-limits-mem: 64Mi
vault.hashicorp.com/agent-requests-cpu: 10m
vault.hashicorp.com/agent-run-as-user: "10001"
vault.hashicorp.com/agent-run-as-group: "10001"
vault.hashicorp.com/auth-path: auth/{{ .root.Values.vault.authMount }}
vault.hashicorp.com/role: {{ .root.Values.vault.role }}
vault.hashicorp.com/service: {{ required "vault.address is needed" .root.Values.vault.address }}
{{- range .root.Values.secrets.items }}
{{- $path := printf "%s/data/%s" $.root.Values.vault.mount (first (splitList "#" .vault)) }}
vault.hashicorp.com/agent-inject-secret-{{ .key }}: {{ $path }}
vault.hashicorp.com/agent-inject-perms-{{ .key }}: "0400"
vault.hashicorp.com/agent-inject-template-{{ .key }}: {{ printf "{{- with secret %q -}}{{ .Data.data.%s }}{{- end -}}" $path (last (splitList "#" .vault)) | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* Takes root, component, group (values), ray (name of the container), serving. */}}
{{- define "ecap.rayPod" -}}
{{- $root := .root -}}
{{- $serving := ne .component "ray-head" -}}
metadata:
  labels: {{- include "ecap.podLabels" . | nindent 4 }}
  annotations:
    karpenter.sh/do-not-disrupt: {{ not $serving | quote }}
    {{- if $serving }}
    {{- include "ecap.agentAnnotations" (dict "root" $root "once" false) | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "ecap.name" $root }}-{{ ternary "ray" "head" $serving }}
  # The head's autoscaler asks the API server; workers do where Vault's agent logs in as them, and
  # where settings come from the API: the hub of the configuration runs on any of them.
  automountServiceAccountToken: {{ or (not $serving) (eq $root.Values.secrets.source "vault-agent") $root.Values.configSource.enabled }}
  enableServiceLinks: false
  priorityClassName: {{ include "ecap.name" $root }}-{{ ternary "workers" "head" $serving }}
  terminationGracePeriodSeconds: {{ $root.Values.drain.graceSeconds }}
  securityContext: {{- include "ecap.podSecurity" $root | nindent 4 }}
  {{- with $root.Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with .scheduling.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .scheduling.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if $serving }}
  topologySpreadConstraints:
    - topologyKey: kubernetes.io/hostname
      maxSkew: 1
      whenUnsatisfiable: {{ $root.Values.spread.hosts }}
      labelSelector:
        matchLabels: {{- include "ecap.podLabels" . | nindent 10 }}
      matchLabelKeys: [ray.io/cluster]
    - topologyKey: topology.kubernetes.io/zone
      maxSkew: 1
      whenUnsatisfiable: {{ $root.Values.spread.zones }}
      labelSelector:
        matchLabels: {{- include "ecap.podLabels" . | nindent 10 }}
      matchLabelKeys: [ray.io/cluster]
  {{- end }}
  containers:
    - name: ray
      image: {{ include "ecap.image" $root }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      env:
        {{- include "ecap.rayEnv" $root | nindent 8 }}
        {{- if $serving }}
        - name: POD_IP # drain.py finds its node by it
          valueFrom: {fieldRef: {fieldPath: status.podIP}}
      envFrom:
        - configMapRef: {name: {{ include "ecap.name" $root }}-settings}
        {{- end }}
      ports:
        {{- if $serving }}
        - {name: serve, containerPort: 8000}
        {{- else }}
        - {name: gcs, containerPort: 6379}
        - {name: dashboard, containerPort: 8265}
        {{- end }}
        - {name: metrics, containerPort: 8080}
      resources: {{- toYaml .group.resources | nindent 8 }}
      securityContext: {{- include "ecap.containerSecurity" $root | nindent 8 }}
      {{- if $serving }}
      startupProbe:
        httpGet: {path: /api/local_raylet_healthz, port: 52365}
        periodSeconds: 3
        timeoutSeconds: 3
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /api/local_raylet_healthz, port: 52365}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 12
      readinessProbe:
        {{- if eq .component "ray-worker" }}
        # HAProxy answers it, and runs where replicas are: a worker without any gets no requests.
        httpGet: {path: /-/healthz, port: serve}
        {{- else }}
        httpGet: {path: /api/local_raylet_healthz, port: 52365}
        {{- end }}
        periodSeconds: 3
        timeoutSeconds: 3
        failureThreshold: 2
      lifecycle:
        # KubeRay does not drain on eviction (kuberay #1333).
        preStop:
          exec:
            command: [python, /opt/ecap/drain.py, --deadline-s, {{ $root.Values.drain.deadlineSeconds | quote }}]
      {{- else }}
      startupProbe:
        httpGet: {path: /api/gcs_healthz, port: dashboard}
        periodSeconds: 3
        timeoutSeconds: 3
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /api/gcs_healthz, port: dashboard}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 12
      readinessProbe:
        httpGet: {path: /api/gcs_healthz, port: dashboard}
        periodSeconds: 5
        timeoutSeconds: 5
        failureThreshold: 3
      {{- end }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        - {name: run, mountPath: /run/ecap/proxy}
        - {name: metrics, mountPath: /run/ecap/metrics}
        {{- if $serving }}
        {{- include "ecap.secretMounts" $root | nindent 8 }}
        {{- end }}
    {{- if $serving }}
    - name: exporter
      image: {{ include "ecap.image" $root }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args: [ecap, exporter, --port, "9464"]
      env:
        - {name: PROMETHEUS_MULTIPROC_DIR, value: /run/ecap/metrics}
      ports:
        - {name: ecap-metrics, containerPort: 9464}
      resources:
        requests: {cpu: 10m, memory: 64Mi}
        limits: {memory: 192Mi}
      securityContext: {{- include "ecap.containerSecurity" $root | nindent 8 }}
      startupProbe:
        httpGet: {path: /healthz, port: ecap-metrics}
        periodSeconds: 3
        failureThreshold: 40
      livenessProbe:
        httpGet: {path: /healthz, port: ecap-metrics}
        periodSeconds: 20
        timeoutSeconds: 5
      readinessProbe:
        httpGet: {path: /healthz, port: ecap-metrics}
        periodSeconds: 20
        timeoutSeconds: 5
      volumeMounts:
        - {name: metrics, mountPath: /run/ecap/metrics, readOnly: true}
    {{- end }}
  volumes:
    - name: tmp
      emptyDir: {sizeLimit: 10Gi}
    - name: run
      emptyDir: {sizeLimit: 64Mi}
    - name: metrics
      emptyDir: {medium: Memory, sizeLimit: 128Mi}
    {{- if $serving }}
    {{- include "ecap.secretVolumes" $root | nindent 4 }}
    {{- else }}
    - name: autoscaler-tmp
      emptyDir: {sizeLimit: 256Mi}
    {{- end }}
{{- end }}

{{- define "ecap.rayCluster" -}}
rayVersion: {{ .root.Values.rayVersion | quote }}
authOptions: {mode: token}
enableInTreeAutoscaling: true
autoscalerOptions:
  version: v2
  # What spot takes is missed at once; what is idle may stay a while.
  upscalingMode: Default
  idleTimeoutSeconds: 120
  resources: {{- toYaml .root.Values.head.autoscalerResources | nindent 4 }}
  securityContext: {{- include "ecap.containerSecurity" .root | nindent 4 }}
  env:
    - {name: HOME, value: /tmp}
  volumeMounts:
    - {name: autoscaler-tmp, mountPath: /tmp}
{{- with .root.Values.platform.cache }}
{{- if $.durable }}
gcsFaultToleranceOptions:
  redisAddress: {{ .url | quote }}
  redisPassword:
    valueFrom:
      secretKeyRef: {name: ecap-cache, key: token}
{{- end }}
{{- end }}
headGroupSpec:
  rayStartParams:
    # No replica and no task on the head: it dies with nothing but itself.
    num-cpus: "0"
    dashboard-host: 0.0.0.0
  template: {{- include "ecap.rayPod" (dict "root" .root "component" "ray-head" "group" .root.Values.head "scheduling" (.root.Values.scheduling.head | default dict)) | nindent 4 }}
workerGroupSpecs: {{- .groups | nindent 2 }}
{{- end }}

{{/* Takes root, name, group, scheduling, and replicas that stand in for the group's. */}}
{{- define "ecap.workerGroup" -}}
- groupName: {{ .name }}
  replicas: {{ .min }}
  minReplicas: {{ .min }}
  maxReplicas: {{ .max }}
  idleTimeoutSeconds: {{ .group.idleTimeoutSeconds }}
  rayStartParams:
    num-cpus: {{ .group.cpus | quote }}
  template: {{- include "ecap.rayPod" (dict "root" .root "component" .component "group" .group "scheduling" (.scheduling | default dict)) | nindent 4 }}
{{- end }}
