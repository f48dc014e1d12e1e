{{/* Where pods may go. */}}
{{- define "guilder.dnsEgress" -}}
- ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
{{- with .Values.networkPolicy.dns }}
  to: {{- toYaml . | nindent 4 }}
{{- end }}
{{- end -}}

{{- define "guilder.egress" -}}
- ports:
{{- range .ports }}
    - {port: {{ . }}, protocol: TCP}
{{- end }}
  to:
{{- range .blocks }}
    - ipBlock: {cidr: {{ . }}}
{{- end }}
{{- end -}}
