{{- define "guilder.testTargets" -}}
{{- range $name, $part := include "guilder.catalogue" . | fromYaml }}
{{- $it := dict "root" $ "name" $name }}
{{- if include "guilder.enabled" $it }}
{{- if eq $name "envoy" }}
- {{ ternary "https" "http" (ne $.Values.front.existingSecret "") }}://{{ include "guilder.host" $it }}:{{ $.Values.front.service.port }}/healthz
{{- else if $part.probe }}
- {{ include "guilder.host" $it }}:{{ $part.probe }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
