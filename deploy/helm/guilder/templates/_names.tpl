{{/* Names and labels. Each template takes (dict "root" $ "name" component), or the root alone. */}}

{{- define "guilder.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "guilder.name" -}}
{{ include "guilder.fullname" .root }}-{{ .name }}
{{- end -}}

{{- define "guilder.selector" -}}
app.kubernetes.io/name: guilder
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end -}}

{{- define "guilder.labels" -}}
{{ include "guilder.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: guilder
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The whole name of a component's Service: what callers use, and its certificate names. */}}
{{- define "guilder.host" -}}
{{ include "guilder.name" . }}.{{ .root.Release.Namespace }}.svc.{{ .root.Values.clusterDomain }}
{{- end -}}

{{- define "guilder.address" -}}
{{ include "guilder.host" . }}:{{ (get (include "guilder.catalogue" .root | fromYaml) .name).port }}
{{- end -}}

{{- define "guilder.image" -}}
{{- $tag := default .appVersion .image.tag -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ $tag }}
{{- end -}}
{{- end -}}

{{- define "guilder.tlsSecret" -}}
{{- default (printf "%s-tls" (include "guilder.name" .)) (get .root.Values.tls.existingSecrets .name) -}}
{{- end -}}

{{/* Where a key set is: a URL as it is, a file in the mounted ConfigMap. */}}
{{- define "guilder.jwks" -}}
{{- if contains "://" . -}}{{ . }}{{- else -}}/etc/guilder/jwks/{{ . }}{{- end -}}
{{- end -}}

{{/* Whether something is rendered: true, false, or auto with the API group it needs. */}}
{{- define "guilder.wanted" -}}
{{- if or (eq (toString .enabled) "true") (and (eq (toString .enabled) "auto") (.root.Capabilities.APIVersions.Has .api)) -}}yes{{- end -}}
{{- end -}}
