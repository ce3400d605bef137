{{/* The spec of a StatefulSet. dict "root" $ "role" "archiver", and "beside" (a number) for an archiver that stands on the node of
     one controller. Used by workloads.yaml and, for the adapter under Akri, by akri.yaml. */}}
{{- define "sightglass.statefulSetSpec" -}}
{{- $service := index .root.Values.services .role -}}
{{- $isBeside := hasKey . "beside" -}}
serviceName: {{ include "sightglass.name" . }}
{{- if not (and (eq .role "archiver") (not $isBeside) $service.autoscaling.enabled) }}
{{- if not (and (eq .role "cloud-uploader") $service.autoscaling.enabled) }}
replicas: {{ ternary 1 (int $service.replicas) $isBeside }}
{{- end }}
{{- end }}
{{- /* Instances do not depend on each other; a rolling update still goes one by one. */}}
podManagementPolicy: Parallel
updateStrategy: {type: RollingUpdate}
selector:
  matchLabels:
    {{- include "sightglass.selector" . | nindent 4 }}
    {{- if $isBeside }}
    sightglass/beside: {{ .beside | quote }}
    {{- end }}
template:
  metadata:
    labels:
      {{- include "sightglass.labels" . | nindent 6 }}
      {{- if $isBeside }}
      sightglass/beside: {{ .beside | quote }}
      {{- end }}
      {{- with $service.podLabels }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    annotations:
      {{- /* Settings are read at the start: other settings are another pod. */}}
      checksum/settings: {{ include "sightglass.settings" . | sha256sum }}
      {{- with $service.podAnnotations }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
  spec:
    {{- include "sightglass.podSpec" . | nindent 4 }}
{{- with include "sightglass.claimTemplates" . }}
volumeClaimTemplates:
  {{- . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "sightglass.podSpec" -}}
{{- $values := .root.Values -}}
{{- $service := index $values.services .role -}}
{{- $name := include "sightglass.name" . -}}
{{- $ports := index (include "sightglass.ports" .root | fromYaml) .role -}}
serviceAccountName: {{ $name }}
# No service speaks to the cluster's API.
automountServiceAccountToken: false
# Variables such as SIGHTGLASS_INDEXER_PORT, made of the names of Services, would be taken for settings.
enableServiceLinks: false
# Every service ends within 5 s of SIGTERM, a capture-controller after up to 12 s more in which others take its cameras over; the
# rest is for the node.
terminationGracePeriodSeconds: 30
{{- with $service.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  {{- toYaml $values.podSecurityContext | nindent 2 }}
{{- with $service.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $service.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if hasKey . "beside" }}
affinity:
  podAffinity:
    # Its volume can be mounted on that node alone.
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            statefulset.kubernetes.io/pod-name: {{ include "sightglass.name" (dict "root" .root "role" "capture-controller") }}-{{ .beside }}
{{- else }}
{{- with $service.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if has .role (list "capture-controller" "archiver" "cloud-uploader") }}
topologySpreadConstraints:
  # Not a must: on a single node all run there.
  - maxSkew: 1
    topologyKey: {{ $values.topologyKey }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "sightglass.selector" . | nindent 8 }}
{{- end }}
{{- end }}
containers:
  - name: {{ .role }}
    image: {{ include "sightglass.image" . }}
    imagePullPolicy: {{ $values.image.pullPolicy }}
    args:
      - --config
      - /etc/sightglass/config/{{ .role }}.yaml
    env:
      - name: POD_NAME
        valueFrom: {fieldRef: {fieldPath: metadata.name}}
      - name: SIGHTGLASS_INSTANCE
        value: $(POD_NAME)
      {{- if eq .role "capture-controller" }}
      # The first is where archivers and the adapter call it, by the name that only this pod has.
      - name: SIGHTGLASS_LISTEN
        value: tls+tcp://$(POD_NAME).{{ $name }}.{{ .root.Release.Namespace }}.svc.{{ $values.clusterDomain }}:{{ $ports.rpc }},ipc:///run/sightglass/capture-controller.rpc
      {{- end }}
      {{- with $service.env }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    ports:
      {{- range $kind, $port := $ports }}
      - {name: {{ $kind }}, containerPort: {{ $port }}, protocol: TCP}
      {{- end }}
      {{- if $values.metrics.enabled }}
      - {name: metrics, containerPort: {{ $values.metrics.port }}, protocol: TCP}
      {{- end }}
    {{- include "sightglass.probes" . | nindent 4 }}
    resources:
      {{- toYaml $service.resources | nindent 6 }}
    securityContext:
      {{- toYaml $values.containerSecurityContext | nindent 6 }}
    volumeMounts:
      {{- include "sightglass.mounts" . | nindent 6 }}
volumes:
  {{- include "sightglass.volumes" . | nindent 2 }}
{{- end -}}

{{/* Live: the process takes connections. Ready: it answers and owns what it needs, by the command line over its own socket file. That
     footage lands is never a probe: one dark camera must not take a pod away from the others (architecture, promise 10). */}}
{{- define "sightglass.probes" -}}
{{- $probes := .root.Values.probes -}}
startupProbe:
  tcpSocket: {port: rpc}
  periodSeconds: {{ $probes.startup.periodSeconds }}
  failureThreshold: {{ $probes.startup.failureThreshold }}
livenessProbe:
  tcpSocket: {port: rpc}
  periodSeconds: {{ $probes.liveness.periodSeconds }}
  timeoutSeconds: {{ $probes.liveness.timeoutSeconds }}
  failureThreshold: {{ $probes.liveness.failureThreshold }}
readinessProbe:
  exec:
    command: [/usr/bin/sightglass, health, {{ .role }}, --run-directory, /run/sightglass]
  periodSeconds: {{ $probes.readiness.periodSeconds }}
  timeoutSeconds: {{ $probes.readiness.timeoutSeconds }}
  failureThreshold: {{ $probes.readiness.failureThreshold }}
{{- end -}}
