{{/* What each pod mounts, and from where. dict "root" $ "role", "beside" as in _pod.tpl. */}}
{{- define "sightglass.mounts" -}}
{{- $values := .root.Values -}}
- {name: run, mountPath: /run/sightglass}
- {name: tmp, mountPath: /tmp}
- {name: config, mountPath: /etc/sightglass/config, readOnly: true}
- {name: tls-own, mountPath: /etc/sightglass/tls/own, readOnly: true}
- {name: tls-authorities, mountPath: /etc/sightglass/tls/authorities, readOnly: true}
{{- range include "sightglass.secretFolders" . | fromYamlArray }}
- {name: secret-{{ .folder }}, mountPath: /etc/sightglass/secrets/{{ .folder }}, readOnly: true}
{{- end }}
{{- if has .role (list "asset-registry" "indexer" "capture-controller") }}
- {name: state, mountPath: /var/lib/sightglass/{{ .role }}}
{{- end }}
{{- if eq .role "capture-controller" }}
- name: recording
  mountPath: {{ $values.recording.mountPath }}
  {{- if eq $values.recording.mode "shared" }}
  # Each controller owns a folder, which is its volume.
  subPathExpr: $(POD_NAME)
  {{- end }}
{{- end }}
{{- if eq .role "archiver" }}
- {name: recording, mountPath: {{ $values.recording.mountPath }}, readOnly: true}
{{- if eq $values.archive.delivery "acsa" }}
- {name: archive, mountPath: /var/lib/sightglass/handover}
- {name: ingest, mountPath: {{ $values.acsa.ingest.mountPath }}}
{{- else }}
- {name: archive, mountPath: /var/lib/sightglass/archive}
{{- end }}
{{- end }}
{{- if eq .role "cloud-uploader" }}
- {name: archive, mountPath: /var/lib/sightglass/archive}
{{- end }}
{{- if eq .role "mqtt-edge-adapter" }}
{{- $mqtt := $values.mqtt }}
{{- if not $values.akri.enabled }}
{{- if and $mqtt.tls.enabled $mqtt.tls.caConfigMap }}
- {name: broker-ca, mountPath: /etc/sightglass/broker-ca, readOnly: true}
{{- end }}
{{- if eq $mqtt.authentication "serviceAccountToken" }}
- {name: broker-sat, mountPath: /var/run/secrets/tokens, readOnly: true}
{{- else if eq $mqtt.authentication "certificate" }}
- {name: broker-certificate, mountPath: /etc/sightglass/broker-certificate, readOnly: true}
{{- end }}
{{- end }}
{{- if $values.documents.configMap }}
- {name: documents, mountPath: /etc/sightglass/documents, readOnly: true}
{{- end }}
{{- if $values.eventRules.configMap }}
- {name: event-rules, mountPath: /etc/sightglass/event-rules, readOnly: true}
{{- end }}
{{- end }}
{{- end -}}

{{/* Folders below secrets-directory, as a list of {folder, secret}. The broker's password is one of them. */}}
{{- define "sightglass.secretFolders" -}}
{{- range .root.Values.secrets }}
{{- if has $.role .services }}
- {folder: {{ .folder }}, secret: {{ .secret }}}
{{- end }}
{{- end }}
{{- $mqtt := .root.Values.mqtt }}
{{- if and (eq .role "mqtt-edge-adapter") (eq $mqtt.authentication "password") (not .root.Values.akri.enabled) }}
- {folder: broker, secret: {{ required "mqtt.password.secret: name the secret that holds the broker's password" $mqtt.password.secret }}}
{{- end }}
{{- end -}}

{{/* The roles whose authorities a service needs: its callers, and whom it calls; controllers are called by address of a lease. */}}
{{- define "sightglass.trusted" -}}
{{- $roles := index (include "sightglass.callers" .root | fromYaml) .role -}}
{{- range include "sightglass.calls" . | fromYamlArray }}
{{- $roles = append $roles .role }}
{{- end }}
{{- if has .role (list "archiver" "mqtt-edge-adapter") }}
{{- $roles = append $roles "capture-controller" }}
{{- end }}
{{- $roles | uniq | sortAlpha | toYaml }}
{{- end -}}

{{- define "sightglass.volumes" -}}
{{- $root := .root -}}
# In memory and small: sockets, and what a library puts into its temporary folder.
- {name: run, emptyDir: {medium: Memory, sizeLimit: 16Mi}}
- {name: tmp, emptyDir: {sizeLimit: 64Mi}}
- name: config
  configMap:
    name: {{ include "sightglass.fullname" .root }}-settings
    items: [{key: {{ .role }}.yaml, path: {{ .role }}.yaml}]
- name: tls-own
  secret:
    secretName: {{ include "sightglass.tlsSecret" . }}
    defaultMode: 0440
    items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]
- name: tls-authorities
  projected:
    defaultMode: 0444
    sources:
      # Of whoever calls this service, and of those that it calls; nobody else is trusted.
      {{- range include "sightglass.trusted" . | fromYamlArray }}
      - secret:
          name: {{ include "sightglass.tlsSecret" (dict "root" $root "role" .) }}
          # A role that this site does not have has no secret.
          optional: true
          items: [{key: ca.crt, path: {{ . }}.pem}]
      {{- end }}
{{- range include "sightglass.secretFolders" . | fromYamlArray }}
- {name: secret-{{ .folder }}, secret: {secretName: {{ .secret }}, defaultMode: 0440}}
{{- end }}
{{- if eq .role "capture-controller" }}
{{- if eq .root.Values.recording.mode "shared" }}
- {name: recording, persistentVolumeClaim: {claimName: {{ include "sightglass.recordingClaim" .root }}}}
{{- end }}
{{- else if eq .role "archiver" }}
{{- include "sightglass.archiverVolumes" . }}
{{- else if eq .role "cloud-uploader" }}
- {name: archive, persistentVolumeClaim: {claimName: {{ include "sightglass.archiveClaim" .root }}}}
{{- else if eq .role "mqtt-edge-adapter" }}
{{- include "sightglass.adapterVolumes" .root }}
{{- end }}
{{- end -}}

{{- define "sightglass.archiverVolumes" }}
{{- if hasKey . "beside" }}
- name: recording
  persistentVolumeClaim:
    claimName: recording-{{ include "sightglass.name" (dict "root" .root "role" "capture-controller") }}-{{ .beside }}
{{- else }}
- {name: recording, persistentVolumeClaim: {claimName: {{ include "sightglass.recordingClaim" .root }}}}
{{- end }}
- {name: archive, persistentVolumeClaim: {claimName: {{ include "sightglass.archiveClaim" .root }}}}
{{- if eq .root.Values.archive.delivery "acsa" }}
- {name: ingest, persistentVolumeClaim: {claimName: {{ include "sightglass.ingestClaim" .root }}}}
{{- end }}
{{- end -}}

{{- define "sightglass.adapterVolumes" }}
{{- $mqtt := .Values.mqtt }}
{{- if not .Values.akri.enabled }}
{{- if and $mqtt.tls.enabled $mqtt.tls.caConfigMap }}
- {name: broker-ca, configMap: {name: {{ $mqtt.tls.caConfigMap }}}}
{{- end }}
{{- if eq $mqtt.authentication "serviceAccountToken" }}
- name: broker-sat
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken:
          path: broker-sat
          audience: {{ $mqtt.serviceAccountToken.audience }}
          expirationSeconds: {{ $mqtt.serviceAccountToken.expirationSeconds }}
{{- else if eq $mqtt.authentication "certificate" }}
- name: broker-certificate
  secret:
    secretName: {{ required "mqtt.certificate.secret: name the secret with tls.crt and tls.key" $mqtt.certificate.secret }}
    defaultMode: 0440
{{- end }}
{{- end }}
{{- with .Values.documents.configMap }}
- {name: documents, configMap: {name: {{ . }}}}
{{- end }}
{{- with .Values.eventRules.configMap }}
- {name: event-rules, configMap: {name: {{ . }}}}
{{- end }}
{{- end -}}

{{/* Claims of a StatefulSet's own: databases and spools on block volumes, which one pod has alone. */}}
{{- define "sightglass.claimTemplates" -}}
{{- $service := index .root.Values.services .role -}}
{{- if has .role (list "asset-registry" "indexer" "capture-controller") }}
- metadata: {name: state}
  spec:
    accessModes: [ReadWriteOnce]
    {{- with $service.state.storageClass | default .root.Values.state.storageClass }}
    storageClassName: {{ . }}
    {{- end }}
    resources: {requests: {storage: {{ $service.state.size }}}}
{{- end }}
{{- if and (eq .role "capture-controller") (eq .root.Values.recording.mode "local") }}
- metadata: {name: recording}
  spec:
    accessModes: [ReadWriteOnce]
    {{- with .root.Values.recording.storageClass }}
    storageClassName: {{ . }}
    {{- end }}
    resources: {requests: {storage: {{ .root.Values.recording.size }}}}
{{- end }}
{{- end -}}
