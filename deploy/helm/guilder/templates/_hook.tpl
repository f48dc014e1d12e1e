{{/* What runs before an installation and an upgrade, in the order of its weight, and then goes. */}}
{{- define "guilder.hook" -}}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}
