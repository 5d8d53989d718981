{{/* Takes one of values.jobs: a job of `ecap job list` with its arguments, or a command of one's own. */}}
{{- define "ecap.jobEntrypoint" -}}
{{- if .entrypoint }}{{ .entrypoint }}
{{- else }}ecap job run {{ .job }}
{{- range $key, $value := .args }} --arg '{{ $key }}={{ $value }}'{{ end }}
{{- end }}
{{- end }}

{{/* Takes root, entrypoint, workers. A cluster for the job alone: no batch work beside what serves. */}}
{{- define "ecap.rayJob" -}}
entrypoint: {{ .entrypoint | quote }}
submissionMode: HTTPMode
# With a CPU of its own the entry point runs on a worker; the head has neither secrets nor a way out.
entrypointNumCpus: 0.5
shutdownAfterJobFinishes: true
ttlSecondsAfterFinished: 600
activeDeadlineSeconds: 21600
backoffLimit: 1
runtimeEnvYAML: |
  env_vars:
    # Where Kubernetes shows what a pod says: a driver's own output is a file of Ray's.
    ECAP_JOB_LOG: /proc/1/fd/1
    {{- range $name, $value := include "ecap.settings" .root | fromJson }}
    {{ $name }}: {{ $value | quote }}
    {{- end }}
rayClusterSpec: {{- include "ecap.rayCluster" (dict "root" .root "durable" false "groups" (include "ecap.workerGroup" (dict "root" .root "name" "spot" "component" "ray-worker-job" "group" .root.Values.spot "min" 0 "max" .workers "scheduling" .root.Values.scheduling.spot))) | nindent 2 }}
{{- end }}
