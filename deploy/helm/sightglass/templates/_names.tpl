{{/* Names, labels, ports, and who calls whom. */}}

{{- define "sightglass.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Of one service: dict "root" $ "role" "indexer". Also the name of its Service, of which certificates speak. */}}
{{- define "sightglass.name" -}}
{{- printf "%s-%s" (include "sightglass.fullname" .root) .role -}}
{{- end -}}

{{- define "sightglass.selector" -}}
app.kubernetes.io/name: sightglass
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .role }}
{{- end -}}

{{- define "sightglass.labels" -}}
{{ include "sightglass.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{/* The services of this release, as a list in YAML: without the uploader where the volume uploads by itself. */}}
{{- define "sightglass.roles" -}}
- asset-registry
- indexer
- capture-controller
- archiver
{{- if ne .Values.archive.delivery "acsa" }}
- cloud-uploader
{{- end }}
- mqtt-edge-adapter
{{- end -}}

{{/* Ports of requests (rpc) and hints. Fixed, because they are inside the cluster and network policies name them. */}}
{{- define "sightglass.ports" -}}
asset-registry: {rpc: 7001, hints: 7002}
indexer: {rpc: 7003, hints: 7004}
mqtt-edge-adapter: {rpc: 7005}
capture-controller: {rpc: 7006}
cloud-uploader: {rpc: 7008}
archiver: {rpc: 7009}
{{- end -}}

{{/* Who may call each service: the lines "// Callers:" of proto/sightglass/v1, with those of Health. Tests/Deploy compares the
     network policies that come of it with the contract. */}}
{{- define "sightglass.callers" -}}
asset-registry: [capture-controller, mqtt-edge-adapter, operator]
indexer: [capture-controller, archiver, cloud-uploader, mqtt-edge-adapter, operator]
mqtt-edge-adapter: [capture-controller, operator]
capture-controller: [archiver, mqtt-edge-adapter, operator]
cloud-uploader: [operator]
archiver: [operator]
{{- end -}}

{{/* The address of a service: dict "root" "role" "kind" (rpc or hints). */}}
{{- define "sightglass.address" -}}
{{- $ports := include "sightglass.ports" .root | fromYaml -}}
{{- printf "tls+tcp://%s.%s.svc.%s:%v" (include "sightglass.name" .) .root.Release.Namespace .root.Values.clusterDomain (index $ports .role .kind) -}}
{{- end -}}

{{- define "sightglass.image" -}}
{{- $image := .root.Values.image -}}
{{- $name := printf "%s/%s" $image.prefix .role -}}
{{- with index $image.digests .role -}}
{{- printf "%s@%s" $name . -}}
{{- else -}}
{{- printf "%s:%s" $name ($image.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* The secret with certificate, key and authority of a role. */}}
{{- define "sightglass.tlsSecret" -}}
{{- index .root.Values.tls.secrets .role | default (printf "%s-tls" (include "sightglass.name" .)) -}}
{{- end -}}

{{/* Claims that several pods mount. */}}
{{- define "sightglass.recordingClaim" -}}
{{- .Values.recording.existingClaim | default (printf "%s-recording" (include "sightglass.fullname" .)) -}}
{{- end -}}
{{- define "sightglass.archiveClaim" -}}
{{- .Values.archive.existingClaim | default (printf "%s-archive" (include "sightglass.fullname" .)) -}}
{{- end -}}
{{- define "sightglass.ingestClaim" -}}
{{- .Values.acsa.ingest.existingClaim | default (printf "%s-ingest" (include "sightglass.fullname" .)) -}}
{{- end -}}
