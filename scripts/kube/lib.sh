# Shared by scripts/kube/* and scripts/test-kube: sourced, never run.
# shellcheck shell=bash
# shellcheck disable=SC2034 # the constants are for the scripts that source this file

# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# Debian's only complete Kubernetes: newer source packages hold kubectl alone.
KUBE_VERSION=1.20.2
KUBE_PROGRAMS=(kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl)
KUBE_CACHE=${SLUICE_KUBE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/sluice/kubernetes}
KUBE_BIN=$KUBE_CACHE/$KUBE_VERSION/bin

# All that a cluster leaves in the file system. Its last component also names the cluster's cgroups.
KUBE_STATE=$(realpath -m "${SLUICE_KUBE_STATE:-/var/lib/sluice-kube}")
KUBE_CGROUP=$(basename "$KUBE_STATE")
KUBE_MARK=sluice-test-cluster # the file that says that the directory is a cluster's, and may be removed
KUBE_NODES=(node-a node-b)
KUBE_NEIGHBOURS=net.ipv4.neigh.default.gc_thresh3
KUBE_POD_RANGE=10.244.0.0/16
KUBE_SERVICE_RANGE=10.96.0.0/16
# Addresses in the network that joins the control plane and the nodes.
KUBE_CONTROL_IP=172.30.0.1
declare -A KUBE_NODE_IP=([node-a]=172.30.0.11 [node-b]=172.30.0.12)

# True when all of Kubernetes' programs are in the cache.
have_kubernetes() {
  local program
  for program in "${KUBE_PROGRAMS[@]}"; do [ -x "$KUBE_BIN/$program" ] || return 1; done
}

# kubectl from outside of the cluster, as administrator.
kubectl() { "$KUBE_BIN/kubectl" --kubeconfig "$KUBE_STATE/kubeconfig" "$@"; }

# wait_for SECONDS WHAT COMMAND...: until COMMAND succeeds; it is an error when it does not in time.
wait_for() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $deadline ] || {
      warn "no success in time: $what"
      return 1
    }
    sleep 0.1
  done
}

# The process that keeps the namespaces of a part of the cluster alive: control, node-a, node-b.
holder_of() { cat "$KUBE_STATE/run/$1-holder.pid"; }

# in_control COMMAND...: in the network namespace of the control plane, which is also the network between the nodes.
in_control() { nsenter --target "$(holder_of control)" --net -- "$@"; }

# in_node NODE COMMAND...: in the node's namespaces (mount, network, host name). The processes are visible from outside.
in_node() {
  local node=$1
  shift
  nsenter --target "$(holder_of "$node")" --mount --net --uts -- "$@"
}

# spawn PART NAME COMMAND...: a background process in the cgroup of a part of the cluster, with a log and a pid file.
spawn() {
  local part=$1 name=$2
  shift 2
  : >>"$KUBE_STATE/log/$name.log"
  (
    echo "$BASHPID" >"$(unified_cgroup)/$KUBE_CGROUP/$part/system/cgroup.procs"
    exec setsid "$@" </dev/null >>"$KUBE_STATE/log/$name.log" 2>&1
  ) &
  echo $! >"$KUBE_STATE/run/$name.pid"
}

# The mount point of cgroup version 2, alone or beside version 1.
unified_cgroup() {
  awk '{ for (i = 7; i < NF; i++) if ($i == "-" && $(i + 1) == "cgroup2") { print $5; exit } }' /proc/self/mountinfo
}

# The mount points of all cgroup hierarchies.
cgroup_hierarchies() {
  awk '{ for (i = 7; i < NF; i++) if ($i == "-" && $(i + 1) ~ /^cgroup2?$/) print $5 }' /proc/self/mountinfo | sort -u
}

# Shows the end of a log when a part of the cluster does not start.
show_log() { tail -n "${2:-15}" "$KUBE_STATE/log/$1.log" >&2 || true; }
