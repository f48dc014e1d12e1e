{{/* What can't work together is refused before it is installed. */}}
{{- define "guilder.check" -}}
{{- if and (include "guilder.enabled" (dict "root" $ "name" "edge")) (not .Values.tls.enabled) -}}
{{- fail "components.edge needs tls.enabled: edge knows Envoy by its certificate; or set components.edge.enabled=false" -}}
{{- end -}}
{{- if not (or .Values.tls.enabled .Values.auth.serviceAccountTokens.enabled) -}}
{{- fail "services need a way to know each other: tls.enabled or auth.serviceAccountTokens.enabled" -}}
{{- end -}}
{{- if and .Values.gateway.enabled (not .Values.gateway.parentRefs) -}}
{{- fail "gateway.enabled needs gateway.parentRefs: the Gateways that lead here" -}}
{{- end -}}
{{- end -}}
