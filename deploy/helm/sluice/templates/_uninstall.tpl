{{/* With `uninstall: true`: the plugin's entry goes first, so that no new pod asks for an agent; then what is pinned. A
pod that runs has taken its node back to what it was. */}}
{{- define "sluice.uninstallContainers" -}}
initContainers:
  {{- if .Values.cni.enabled }}
  - name: remove-cni
    image: {{ include "sluice.image" . }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    command: [/usr/bin/sluice-cni]
    args: [uninstall, --conf-dir=/host/cni/conf, --bin-dir=/host/cni/bin{{ if .Values.cni.keepBinary }}, --keep-binary{{ end }}]
    securityContext:
      {{- include "sluice.cniSecurityContext" . | nindent 6 }}
    volumeMounts:
      {{- include "sluice.cniMounts" . | nindent 6 }}
  {{- end }}
  - name: remove-agent
    image: {{ include "sluice.image" . }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    command: [/usr/sbin/sluiced]
    args: [--uninstall]
    securityContext:
      {{- include "sluice.securityContext" . | nindent 6 }}
    volumeMounts:
      {{- include "sluice.agentMounts" . | nindent 6 }}
containers:
  # Another name than the agent's: an upgrade merges containers of one name, and would keep half of its probes.
  - name: wait
    image: {{ include "sluice.image" . }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    command: [/usr/bin/sleep, infinity]
    securityContext:
      {{- include "sluice.cniSecurityContext" . | nindent 6 }}
{{- end }}
