{{/* The agent's arguments, one line each. */}}
{{- define "sluice.args" -}}
- --kube=in-cluster
- --node-name=$(NODE_NAME)
- --cri={{ if .Values.cri.socket }}unix://{{ .Values.cri.socket }}{{ else }}proc{{ end }}
- --cni-socket={{ .Values.cni.enabled | ternary "/run/sluice/cni.sock" "" }}
- --metrics={{ .Values.prometheus.enabled | ternary .Values.prometheus.address "127.0.0.1" }}:{{ .Values.prometheus.port }}
- --process-sensors={{ .Values.processSensors }}
{{- range .Values.uplinks }}
- --uplink={{ . }}
{{- end }}
{{- range .Values.quarantineAllow }}
- --quarantine-allow={{ . }}
{{- end }}
{{- if .Values.resourceFiles }}
- --resources=/etc/sluice/resources
{{- end }}
{{- if .Values.keepEstablished }}
- --keep-established
{{- end }}
{{- if not .Values.redirect }}
- --no-redirect
{{- end }}
{{- if .Values.relay.enabled }}
- --relay-api={{ .Values.relay.agentAddress }}:{{ .Values.relay.agentPort }}
- --relay-api-tls-cert=/etc/sluice/relay-tls/tls.crt
- --relay-api-tls-key=/etc/sluice/relay-tls/tls.key
- --relay-api-tls-ca=/etc/sluice/relay-tls/ca.crt
{{- end }}
{{- if .Values.debug }}
- --debug
{{- end }}
{{- with .Values.otlp }}
{{- if .endpoint }}
- --otlp={{ .endpoint }}
- --otlp-logs={{ .logs | default (list "none") | join "," }}
- --otlp-metrics-interval={{ .metricsInterval }}
{{- with .secret }}
{{- range $option, $key := dict "--otlp-tls-ca" .ca "--otlp-tls-cert" .certificate "--otlp-tls-key" .key "--otlp-headers" .headers }}
{{- if $key }}
- {{ $option }}=/etc/sluice/otlp/{{ $key }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}

{{/* Rights of the agent, also for taking it off the node. `sluice status` lists the use of each. */}}
{{- define "sluice.securityContext" -}}
privileged: false
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsUser: 0
capabilities:
  drop: [ALL]
  add:
    - BPF # maps and programs
    - PERFMON # programs that see processes
    - NET_ADMIN # attaching programs to interfaces and cgroups
    - NET_BROADCAST # addresses that change inside pods
    - SYS_PTRACE # network namespaces and file systems of workloads, by /proc
    - DAC_READ_SEARCH # the same for other users' processes
    - SYS_NICE # changes that do not wait for busy CPUs
    - SYSLOG # names of the kernel's functions in stack traces
    - SYS_ADMIN # only the helper process keeps it: netlink sockets inside network namespaces
    - KILL # only the helper process keeps it: ending processes, when a Response says so
    - SETPCAP # to give up the others; then given up too
seccompProfile:
  {{- toYaml .Values.seccompProfile | nindent 2 }}
{{- with .Values.seLinuxOptions }}
seLinuxOptions:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if and .Values.appArmorProfile (semverCompare ">= 1.30.0-0" .Capabilities.KubeVersion.Version) }}
appArmorProfile:
  {{- toYaml .Values.appArmorProfile | nindent 2 }}
{{- end }}
{{- end }}

{{/* What the agent sees of the node. */}}
{{- define "sluice.agentMounts" -}}
# Pins: what is enforced outlives the agent. The node has a BPF file system there.
- name: bpffs
  mountPath: /sys/fs/bpf
  mountPropagation: HostToContainer
# What was applied, for the next start.
- name: state
  mountPath: /var/lib/sluice
# The sockets of the API and of the CNI plugin, for the node's programs.
- name: run
  mountPath: /run/sluice
{{- end }}

{{- define "sluice.cniSecurityContext" -}}
privileged: false
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsUser: 0
capabilities:
  drop: [ALL]
seccompProfile:
  {{- toYaml .Values.seccompProfile | nindent 2 }}
{{- with .Values.seLinuxOptions }}
seLinuxOptions:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "sluice.cniMounts" -}}
# The node's conflist gets or loses an entry.
- name: cni-conf
  mountPath: /host/cni/conf
# The plugin, which the container runtime starts.
- name: cni-bin
  mountPath: /host/cni/bin
{{- end }}
