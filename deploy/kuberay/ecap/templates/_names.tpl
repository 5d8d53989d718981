{{- define "ecap.name" -}}{{ .Release.Name }}{{- end }}

{{- define "ecap.configEnvironment" -}}
{{- get (dict "dev" "development" "staging" "staging" "production" "production") .Values.environment }}
{{- end }}

{{- define "ecap.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest }}{{ $image.repository }}@{{ $image.digest }}
{{- else }}{{ $image.repository }}:{{ required "image.tag or image.digest is needed" $image.tag }}{{ end }}
{{- end }}

{{- define "ecap.selector" -}}
app.kubernetes.io/name: ecap
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "ecap.labels" -}}
{{ include "ecap.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* Pods carry no version label: KubeRay builds a second cluster for any change of their template. */}}
{{- define "ecap.podLabels" -}}
{{ include "ecap.selector" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "ecap.workersWanted" -}}
{{- if and .Values.scheduling.workers (gt (int .Values.workers.maxReplicas) 0) }}yes{{ end }}
{{- end }}
