{{/* What each service's configuration file holds: what follows from the chart, and over it what the values say. Every key is one
     that `SERVICE --help` lists; Tests/Deploy asks the executables. dict "root" $ "role" "indexer". */}}
{{- define "sightglass.settings" -}}
{{- $own := include "sightglass.ownSettings" . | fromYaml -}}
{{- $common := include "sightglass.commonSettings" . | fromYaml -}}
{{- $given := (index .root.Values.services .role).settings | default dict -}}
{{- mergeOverwrite (dict) $common $own (deepCopy $given) | toYaml -}}
{{- end -}}

{{- define "sightglass.commonSettings" -}}
{{- $ports := index (include "sightglass.ports" .root | fromYaml) .role -}}
log-level: {{ .root.Values.log.level }}
log-format: {{ .root.Values.log.format }}
tls-authorities: /etc/sightglass/tls/authorities
tls-certificate: /etc/sightglass/tls/own/tls.crt
tls-key: /etc/sightglass/tls/own/tls.key
{{- if .root.Values.metrics.enabled }}
http-listen: {{ printf "%s:%v" .root.Values.listenAddress .root.Values.metrics.port | quote }}
{{- end }}
{{- /* A controller's address has its pod's name in it, so that it stands in its environment: _pod.tpl. */}}
{{- if ne .role "capture-controller" }}
listen:
  - tls+tcp://{{ .root.Values.listenAddress }}:{{ $ports.rpc }}
  - ipc:///run/sightglass/{{ .role }}.rpc
{{- with $ports.hints }}
hints:
  - tls+tcp://{{ $.root.Values.listenAddress }}:{{ . }}
  - ipc:///run/sightglass/{{ $.role }}.hints
{{- end }}
{{- end }}
{{- $callers := include "sightglass.callers" .root | fromYaml }}
{{- $calls := include "sightglass.calls" . | fromYamlArray }}
{{- range $calls }}
{{ .role }}{{ if eq .kind "hints" }}-hints{{ end }}: [{{ include "sightglass.address" (dict "root" $.root "role" .role "kind" .kind) }}]
{{- end }}
{{- end -}}

{{/* Whom a service calls, and whose hints it listens to. Controllers are called where their leases say that they are. */}}
{{- define "sightglass.calls" -}}
{{- if eq .role "capture-controller" }}
- {role: asset-registry, kind: rpc}
- {role: asset-registry, kind: hints}
- {role: indexer, kind: rpc}
- {role: mqtt-edge-adapter, kind: rpc}
{{- else if eq .role "mqtt-edge-adapter" }}
- {role: asset-registry, kind: rpc}
- {role: asset-registry, kind: hints}
- {role: indexer, kind: rpc}
- {role: indexer, kind: hints}
{{- else if has .role (list "archiver" "cloud-uploader") }}
- {role: indexer, kind: rpc}
- {role: indexer, kind: hints}
{{- else }}
[]
{{- end }}
{{- end -}}

{{- define "sightglass.ownSettings" -}}
{{- $values := .root.Values -}}
{{- if has .role (list "asset-registry" "indexer") }}
state-directory: /var/lib/sightglass/{{ .role }}
{{- if eq .role "asset-registry" }}
namespace: {{ $values.mqtt.namespace }}
{{- end }}
{{- else if eq .role "capture-controller" }}
state-directory: /var/lib/sightglass/capture-controller
recording-volume: {{ $values.recording.mountPath }}
{{- else if eq .role "archiver" }}
archive-volume: {{ ternary "/var/lib/sightglass/handover" "/var/lib/sightglass/archive" (eq $values.archive.delivery "acsa") }}
{{- if eq $values.recording.mode "local" }}
recording-volumes: [{{ $values.recording.mountPath }}]
{{- else }}
recording-volumes:
{{- range until (int (index $values.services "capture-controller").replicas) }}
  - {{ $values.recording.mountPath }}/{{ include "sightglass.name" (dict "root" $.root "role" "capture-controller") }}-{{ . }}
{{- end }}
{{- end }}
{{- else if eq .role "cloud-uploader" }}
archive-volume: /var/lib/sightglass/archive
target: {{ $values.archive.delivery }}
{{- with $values.archive.blob }}
{{- if eq $values.archive.delivery "blob" }}
container: {{ .container | quote }}
{{- with .endpoint }}
blob-endpoint: {{ . | quote }}
{{- end }}
{{- with .account }}
account: {{ . | quote }}
{{- end }}
{{- with .keyFile }}
key-file: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- else if eq .role "mqtt-edge-adapter" }}
{{- $mqtt := $values.mqtt }}
namespace: {{ $mqtt.namespace }}
{{- if not $values.akri.enabled }}
client-id: {{ $mqtt.clientID }}
broker-host: {{ $mqtt.host | quote }}
broker-port: {{ $mqtt.port }}
broker-tls: {{ ternary "on" "off" $mqtt.tls.enabled | quote }}
{{- if and $mqtt.tls.enabled $mqtt.tls.caConfigMap }}
broker-ca-file: /etc/sightglass/broker-ca
{{- end }}
{{- if eq $mqtt.authentication "serviceAccountToken" }}
broker-token-file: /var/run/secrets/tokens/broker-sat
{{- else if eq $mqtt.authentication "password" }}
username: {{ $mqtt.password.username | quote }}
password-file: broker/{{ $mqtt.password.key }}
{{- else if eq $mqtt.authentication "certificate" }}
broker-certificate: /etc/sightglass/broker-certificate/tls.crt
broker-key: /etc/sightglass/broker-certificate/tls.key
{{- end }}
{{- end }}
{{- if $values.documents.configMap }}
documents-directory: /etc/sightglass/documents
{{- end }}
{{- if $values.eventRules.configMap }}
event-rules: /etc/sightglass/event-rules/{{ $values.eventRules.key }}
{{- end }}
{{- end }}
{{- end -}}
