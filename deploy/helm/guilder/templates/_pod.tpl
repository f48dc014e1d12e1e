{{/* The pod of a component. Takes (dict "root" "name"). */}}

{{- define "guilder.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "guilder.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* A container of our own image: (dict "root" "name" "args" list "container" name). */}}
{{- define "guilder.own" -}}
name: {{ .container }}
image: {{ include "guilder.image" (dict "image" .root.Values.image "appVersion" .root.Chart.AppVersion) }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
args: {{ toJson .args }}
securityContext: {{- include "guilder.containerSecurity" . | nindent 2 }}
{{- end -}}

{{- define "guilder.pod" -}}
{{- $root := .root -}}
{{- $values := include "guilder.values" . | fromYaml -}}
{{- $part := get (include "guilder.catalogue" $root | fromYaml) .name -}}
{{- $stopping := ternary (add $root.Values.front.drainSeconds 5) (ternary $values.preStopSeconds 0 (hasKey $part "port")) (eq .name "envoy") -}}
serviceAccountName: {{ include "guilder.name" . }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ add $stopping $part.drainSeconds }}
securityContext: {{- include "guilder.podSecurity" . | nindent 2 }}
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
affinity:
{{- if $values.affinity }}
  {{- toYaml $values.affinity | nindent 2 }}
{{- else }}
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector: {matchLabels: {{ include "guilder.selector" . | fromYaml | toJson }}}
{{- end }}
{{- if $values.topologySpread.enabled }}
topologySpreadConstraints:
{{- range $key := list $values.topologySpread.zoneKey "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: {{ $values.topologySpread.whenUnsatisfiable }}
    labelSelector: {matchLabels: {{ include "guilder.selector" $ | fromYaml | toJson }}}
    matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end }}
{{- if eq .name "envoy" }}
{{- include "guilder.envoyContainers" (dict "root" $root "name" .name "values" $values "part" $part "stopping" $stopping) }}
{{- else }}
containers:
  - {{- include "guilder.own" (dict "root" $root "args" $part.args "container" .name) | nindent 4 }}
    env: {{- include "guilder.env" . | nindent 6 }}
    ports:
{{- range $port := list "port" "probe" "metrics" }}
{{- with get $part $port }}
      - {name: {{ get (dict "port" "grpc" "probe" "health" "metrics" "metrics") $port }}, containerPort: {{ . }}, protocol: TCP}
{{- end }}
{{- end }}
{{- if $part.probe }}
    startupProbe: {{- merge (dict "grpc" (dict "port" $part.probe "service" "live")) $values.probes.startup | toYaml | nindent 6 }}
    livenessProbe: {{- merge (dict "grpc" (dict "port" $part.probe "service" "live")) $values.probes.liveness | toYaml | nindent 6 }}
    readinessProbe: {{- merge (dict "grpc" (dict "port" $part.probe)) $values.probes.readiness | toYaml | nindent 6 }}
    lifecycle: {preStop: {sleep: {seconds: {{ $stopping }}}}}
{{- else }}
    livenessProbe: {{- merge (dict "tcpSocket" (dict "port" "metrics")) $values.probes.liveness | toYaml | nindent 6 }}
    readinessProbe: {{- merge (dict "httpGet" (dict "port" "metrics" "path" "/metrics")) $values.probes.readiness | toYaml | nindent 6 }}
{{- end }}
    resources: {{- toYaml $values.resources | nindent 6 }}
    volumeMounts: {{- include "guilder.mounts" . | nindent 6 }}
{{- end }}
volumes: {{- include "guilder.volumes" . | nindent 2 }}
{{- end -}}

{{/* Envoy: its configuration is written before it starts, and it is asked to drain before it ends. */}}
{{- define "guilder.envoyContainers" }}
{{- $front := .root.Values.front }}
{{- $small := dict "requests" (dict "cpu" "10m" "memory" "64Mi" "ephemeral-storage" "16Mi") "limits" (dict "cpu" "200m" "memory" "128Mi" "ephemeral-storage" "32Mi") }}
initContainers:
  - {{- include "guilder.own" (dict "root" .root "args" (list "walletkit.front" "--into" "/etc/envoy") "container" "configure") | nindent 4 }}
    env: {{- include "guilder.env" . | nindent 6 }}
    resources: {requests: {cpu: 100m, memory: 128Mi, ephemeral-storage: 32Mi}, limits: {cpu: 1000m, memory: 256Mi, ephemeral-storage: 64Mi}}
    volumeMounts: {{- append (include "guilder.mounts" . | fromYamlArray) (dict "name" "envoy" "mountPath" "/etc/envoy") | toYaml | nindent 6 }}
containers:
  - name: envoy
    image: {{ include "guilder.image" (dict "image" .root.Values.envoyImage) }}
    imagePullPolicy: {{ .root.Values.envoyImage.pullPolicy }}
    command: [/usr/local/bin/envoy]
    args:
      - --config-path
      - /etc/envoy/envoy.json
      - --concurrency
      - {{ $front.concurrency | quote }}
      - --drain-time-s
      - {{ $front.drainSeconds | quote }}
      - --drain-strategy
      - immediate
      - --disable-hot-restart
    securityContext: {{- include "guilder.containerSecurity" . | nindent 6 }}
    ports:
      - {name: http, containerPort: {{ .part.port }}, protocol: TCP}
      - {name: metrics, containerPort: {{ .part.metrics }}, protocol: TCP}
    livenessProbe: {{- merge (dict "tcpSocket" (dict "port" "http")) .values.probes.liveness | toYaml | nindent 6 }}
    readinessProbe: {{- merge (dict "httpGet" (dict "port" "http" "path" "/healthz" "scheme" (ternary "HTTPS" "HTTP" (ne $front.existingSecret "")))) .values.probes.readiness | toYaml | nindent 6 }}
    lifecycle: {preStop: {sleep: {seconds: {{ .stopping }}}}}
    resources: {{- toYaml .values.resources | nindent 6 }}
    volumeMounts: {{- concat (include "guilder.mounts" . | fromYamlArray) (list (dict "name" "envoy" "mountPath" "/etc/envoy" "readOnly" true) (dict "name" "admin" "mountPath" "/run/envoy")) | toYaml | nindent 6 }}
  - {{- include "guilder.own" (dict "root" .root "args" (list "walletkit.front.drain" "/run/envoy/admin.sock") "container" "drain") | nindent 4 }}
    resources: {{- toYaml $small | nindent 6 }}
    volumeMounts:
      - {name: admin, mountPath: /run/envoy}
{{- end -}}

{{- define "guilder.mounts" -}}
{{- $front := .root.Values.front -}}
- {name: tmp, mountPath: /tmp}
- {name: jwks, mountPath: /etc/guilder/jwks, readOnly: true}
{{- if .root.Values.tls.enabled }}
- {name: tls, mountPath: /etc/guilder/tls, readOnly: true}
{{- end }}
{{- if eq .name "edge" }}
- {name: keys, mountPath: /etc/guilder/edge, readOnly: true}
- {name: limits, mountPath: /etc/guilder/limits, readOnly: true}
{{- end }}
{{- if eq .name "envoy" }}
{{- if $front.existingSecret }}
- {name: front, mountPath: /etc/guilder/front, readOnly: true}
{{- end }}
{{- else if .root.Values.auth.serviceAccountTokens.enabled }}
- {name: token, mountPath: /var/run/secrets/guilder, readOnly: true}
{{- end }}
{{- end -}}

{{- define "guilder.volumes" -}}
{{- $root := .root -}}
- {name: tmp, emptyDir: {sizeLimit: 32Mi}}
- {name: jwks, configMap: {name: {{ $root.Values.auth.existingConfigMap }}}}
{{- if $root.Values.tls.enabled }}
- {name: tls, secret: {secretName: {{ include "guilder.tlsSecret" . }}, defaultMode: 288}}
{{- end }}
{{- if eq .name "edge" }}
- {name: keys, secret: {secretName: {{ $root.Values.edge.existingSecret }}, defaultMode: 288}}
- {name: limits, configMap: {name: {{ include "guilder.name" . }}-limits}}
{{- end }}
{{- if eq .name "envoy" }}
- {name: envoy, emptyDir: {sizeLimit: 32Mi}}
- {name: admin, emptyDir: {sizeLimit: 1Mi}}
{{- with $root.Values.front.existingSecret }}
- {name: front, secret: {secretName: {{ . }}, defaultMode: 288}}
{{- end }}
{{- else if $root.Values.auth.serviceAccountTokens.enabled }}
- name: token
  projected:
    defaultMode: 288
    sources:
      - serviceAccountToken:
          path: token
          audience: {{ $root.Values.auth.audience }}
          expirationSeconds: {{ $root.Values.auth.serviceAccountTokens.expirationSeconds }}
{{- end }}
{{- end -}}
