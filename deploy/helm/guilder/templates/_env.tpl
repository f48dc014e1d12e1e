{{/* What a program is told: settings of docs/configuration.md alone. Takes (dict "root" "name"). */}}

{{- define "guilder.env" -}}
{{- $root := .root -}}
{{- $part := get (include "guilder.catalogue" $root | fromYaml) .name -}}
{{- $values := include "guilder.values" . | fromYaml -}}
{{- $env := dict -}}
{{- if eq .name "envoy" -}}
{{- $env = include "guilder.frontSettings" . | fromYaml -}}
{{- else -}}
{{- range $field, $value := include "guilder.serviceSettings" . | fromYaml -}}
{{- $_ := set $env (printf "%s_%s" $part.prefix $field) $value -}}
{{- end -}}
{{- end -}}
{{- range $variable, $value := mergeOverwrite $env (deepCopy $values.env) }}
- name: {{ $variable }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- include "guilder.secretEnv" . }}
{{- end -}}

{{/* Those that hold passwords. */}}
{{- define "guilder.secretEnv" -}}
{{- $part := get (include "guilder.catalogue" .root | fromYaml) .name -}}
{{- $secret := .root.Values.databases.existingSecret -}}
{{- if eq $part.prefix "WALLET" }}
{{- range $number := until (int .root.Values.databases.shards) }}
- name: WALLET_SHARD_{{ $number }}_URL
  valueFrom: {secretKeyRef: {name: {{ $secret }}, key: shard-{{ $number }}-url}}
{{- end }}
{{- if and (eq .name "relay") .root.Values.databases.replicas }}
- name: WALLET_REPLICA_URLS
  valueFrom: {secretKeyRef: {name: {{ $secret }}, key: replica-urls}}
{{- end }}
{{- else if ne $part.prefix "FRONT" }}
- name: {{ $part.prefix }}_DATABASE_URL
  valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ .name }}-url}}
{{- end }}
{{- if $part.redis }}
- name: {{ $part.prefix }}_REDIS_URL
  valueFrom: {secretKeyRef: {name: {{ .root.Values.redis.existingSecret }}, key: {{ .name }}-url}}
{{- end }}
{{- end -}}

{{/* By field: the prefix is added. */}}
{{- define "guilder.serviceSettings" -}}
{{- $root := .root -}}
{{- $name := .name -}}
{{- $part := get (include "guilder.catalogue" $root | fromYaml) $name -}}
{{- $values := include "guilder.values" . | fromYaml -}}
{{- $edge := include "guilder.enabled" (dict "root" $root "name" "edge") -}}
{{- $auth := $root.Values.auth -}}
{{- $tokens := $auth.serviceAccountTokens -}}
{{- $issuers := list $auth.issuer -}}
{{- $jwks := list (include "guilder.jwks" $auth.jwks) -}}
{{- if $edge -}}
{{- $issuers = append $issuers $root.Values.edge.issuer -}}
{{- $jwks = append $jwks (include "guilder.jwks" $root.Values.edge.jwks) -}}
{{- end -}}
{{- if $tokens.enabled -}}
{{- $issuers = append $issuers $tokens.issuer -}}
{{- $jwks = append $jwks (include "guilder.jwks" $tokens.jwks) -}}
{{- end -}}
{{- $names := list -}}
{{- $subjects := list -}}
{{- range $part.internal -}}
{{- $names = append $names (include "guilder.host" (dict "root" $root "name" .)) -}}
{{- if ne . "envoy" -}}
{{- $account := include "guilder.name" (dict "root" $root "name" .) -}}
{{- $subjects = append $subjects (printf "system:serviceaccount:%s:%s" $root.Release.Namespace $account) -}}
{{- end -}}
{{- end -}}
LISTEN: {{ printf "0.0.0.0:%v" ($part.port | default 50051) }}
METRICS_ADDRESS: {{ printf "0.0.0.0:%v" $part.metrics }}
{{- if $part.probe }}
HEALTH_ADDRESS: {{ printf "0.0.0.0:%v" $part.probe }}
{{- end }}
LOG_LEVEL: {{ $values.logLevel }}
AUTH_MODE: required
AUTH_ISSUER: {{ join "," $issuers | quote }}
AUTH_JWKS: {{ join "," $jwks | quote }}
AUTH_AUDIENCE: {{ $auth.audience | quote }}
{{- if $tokens.enabled }}
AUTH_TOKEN_FILE: /var/run/secrets/guilder/token
{{- if $subjects }}
AUTH_INTERNAL_ISSUER: {{ $tokens.issuer | quote }}
AUTH_INTERNAL_SUBJECTS: {{ join "," $subjects | quote }}
{{- end }}
{{- end }}
{{- if $root.Values.tls.enabled }}
TLS_CERT: /etc/guilder/tls/tls.crt
TLS_KEY: /etc/guilder/tls/tls.key
TLS_CA: /etc/guilder/tls/ca.crt
TLS_CLIENT_CA: /etc/guilder/tls/ca.crt
{{- if $names }}
TLS_INTERNAL_NAMES: {{ join "," $names | quote }}
{{- end }}
{{- end }}
{{- if $root.Values.tracing.address }}
TRACE_ENDPOINT: {{ printf "http://%s" $root.Values.tracing.address | quote }}
{{- end }}
{{- if $root.Values.databases.allowWeakDurability }}
ALLOW_WEAK_DURABILITY: "true"
{{- end }}
{{- if eq $part.prefix "WALLET" }}
LEDGER_ADDRESS: {{ include "guilder.address" (dict "root" $root "name" "ledger") }}
NOTIFY_ADDRESS: {{ include "guilder.address" (dict "root" $root "name" "notify") }}
{{- else if eq $name "ledger" }}
WALLET_ADDRESS: {{ include "guilder.address" (dict "root" $root "name" "wallet") }}
{{- else if eq $name "edge" }}
SIGNING_KEY_FILE: /etc/guilder/edge/signing.pem
SEALING_KEY_FILE: /etc/guilder/edge/sealing.key
LIMITS_FILE: /etc/guilder/limits/limits.toml
SIGNATURE_WINDOW_S: {{ $root.Values.edge.signatureWindowSeconds | toString | quote }}
ISSUER: {{ $root.Values.edge.issuer | quote }}
AUDIENCE: {{ $auth.audience | quote }}
{{- end }}
{{- end -}}

{{/* Of the program that writes Envoy's configuration. */}}
{{- define "guilder.frontSettings" -}}
{{- $root := .root -}}
{{- $part := get (include "guilder.catalogue" $root | fromYaml) "envoy" -}}
FRONT_LISTEN: {{ printf "0.0.0.0:%v" $part.port }}
FRONT_METRICS_ADDRESS: {{ printf "0.0.0.0:%v" $part.metrics }}
FRONT_ADMIN: unix:/run/envoy/admin.sock
FRONT_DESCRIPTORS: /opt/guilder/gen/guilder.binpb
FRONT_AUTH_ISSUER: {{ $root.Values.auth.issuer | quote }}
FRONT_AUTH_JWKS: {{ include "guilder.jwks" $root.Values.auth.jwks | quote }}
FRONT_AUTH_AUDIENCE: {{ $root.Values.auth.audience | quote }}
{{- range $callee := list "wallet" "ledger" "notify" }}
FRONT_{{ upper $callee }}_ADDRESS: {{ include "guilder.address" (dict "root" $root "name" $callee) }}
{{- end }}
{{- if include "guilder.enabled" (dict "root" $root "name" "edge") }}
FRONT_EDGE_ADDRESS: {{ include "guilder.address" (dict "root" $root "name" "edge") }}
FRONT_EDGE_ISSUER: {{ $root.Values.edge.issuer | quote }}
FRONT_EDGE_JWKS: {{ include "guilder.jwks" $root.Values.edge.jwks | quote }}
{{- end }}
{{- if $root.Values.tls.enabled }}
FRONT_UPSTREAM_CA: /etc/guilder/tls/ca.crt
FRONT_UPSTREAM_CERT: /etc/guilder/tls/tls.crt
FRONT_UPSTREAM_KEY: /etc/guilder/tls/tls.key
{{- end }}
{{- if $root.Values.front.existingSecret }}
FRONT_TLS_CERT: /etc/guilder/front/tls.crt
FRONT_TLS_KEY: /etc/guilder/front/tls.key
{{- end }}
{{- if $root.Values.tracing.address }}
FRONT_TRACE_ADDRESS: {{ $root.Values.tracing.address | quote }}
FRONT_TRACE_RATIO: {{ $root.Values.tracing.ratio | toString | quote }}
{{- end }}
{{- end -}}
