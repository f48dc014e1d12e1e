{{/*
What the components are: everything in which they differ. `prefix` is that of their settings, `port`
of their gRPC or HTTP, `probe` of health without TLS, `metrics` of Prometheus; `calls` and `callers`
are other components (and the job verify), `data` what they need of databases and Redis.
*/}}
{{- define "guilder.catalogue" -}}
wallet:
  prefix: WALLET
  args: [wallet, serve]
  port: 50051
  probe: 50061
  metrics: 9101
  calls: [ledger]
  callers: [envoy, ledger, verify]
  internal: [ledger]
  drainSeconds: 10
ledger:
  prefix: LEDGER
  args: [ledger, serve]
  port: 50052
  probe: 50062
  metrics: 9102
  calls: [wallet]
  callers: [envoy, wallet, relay, verify]
  internal: [wallet, relay]
  drainSeconds: 10
notify:
  prefix: NOTIFY
  args: [notify, serve]
  port: 50053
  probe: 50063
  metrics: 9103
  redis: true
  webhooks: true
  calls: []
  callers: [envoy, relay]
  internal: [relay]
  drainSeconds: 10
edge:
  prefix: EDGE
  args: [edge, serve]
  port: 50054
  probe: 50064
  metrics: 9104
  redis: true
  calls: []
  callers: [envoy]
  internal: [envoy]
  drainSeconds: 10
relay:
  prefix: WALLET
  args: [wallet, relay]
  metrics: 9105
  calls: [ledger, notify]
  callers: []
  internal: []
  drainSeconds: 10
envoy:
  prefix: FRONT
  port: 8080
  metrics: 9106
  calls: [wallet, ledger, notify, edge]
  callers: []
  internal: []
  drainSeconds: 5
{{- end -}}

{{/* A component's values over the defaults. */}}
{{- define "guilder.values" -}}
{{- $own := get .root.Values.components .name | default dict -}}
{{- mergeOverwrite (deepCopy .root.Values.defaults) (deepCopy $own) | toYaml -}}
{{- end -}}

{{- define "guilder.enabled" -}}
{{- $own := get .root.Values.components .name | default dict -}}
{{- if ne (toString (get $own "enabled")) "false" -}}yes{{- end -}}
{{- end -}}
